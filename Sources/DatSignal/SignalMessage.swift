internal import DatCoding

/// A message of one peer to others through a hub.
///
/// Source: webrtc-swarm 2.9.0 and simple-peer 6.4.4. Kinds of messages that later versions added are
/// `unknown`.
public enum SignalMessage: Hashable, Sendable {
  /// A peer of the application announces itself, on the channel `all`. A peer that doesn't know it offers a
  /// connection.
  case connect(from: String, isNative: Bool)
  /// A part of a connection's setup, on the channel of the receiver.
  case signal(from: String, Signal)
  /// Anything else.
  case unknown

  /// A signal, as simple-peer calls it.
  public enum Signal: Hashable, Sendable {
    /// An offer's or an answer's session description.
    case description(isOffer: Bool, sdp: String)
    /// One address, as `candidate:…`.
    case candidate(String)
  }

  /// The channel on which peers announce themselves.
  public static let announcements = "all"

  /// The most bytes of a message, and of a peer's ID.
  static let byteLimit = 64 << 10
  package static let idLimit = 256
  private static let bounds = JSONReader.Bounds(bytes: byteLimit, depth: 16)

  /// Reads a message; nil if it is not a JSON object within the bounds.
  package init?(bytes: [UInt8]) {
    var from: String?
    var isConnect = false
    var isNative = false
    var signal: Signal?
    do {
      try JSONReader.read(bytes, within: Self.bounds) { reader throws(JSONError) in
        try reader.readObject { name, reader throws(JSONError) in
          switch name {
          case "from": from = try reader.readStringIfPresent()
          case "type":
            isConnect =
              try reader.readStringIfPresent().map { $0.utf8.elementsEqual("connect".utf8) }
              ?? false
          case "native": if reader.kind == .bool { isNative = try reader.readBool() }
          case "signal": if reader.kind == .object { signal = try Self.signal(&reader) }
          default: break
          }
        }
      }
    } catch {
      return nil
    }
    guard let from, !from.utf8.isEmpty, from.utf8.count <= Self.idLimit else {
      self = .unknown
      return
    }
    if isConnect {
      self = .connect(from: from, isNative: isNative)
    } else if let signal {
      self = .signal(from: from, signal)
    } else {
      self = .unknown
    }
  }

  private static func signal(_ reader: inout JSONReader) throws(JSONError) -> Signal? {
    var type: String?
    var sdp: String?
    var candidate: String?
    try reader.readObject { name, reader throws(JSONError) in
      switch name {
      case "type": type = try reader.readStringIfPresent()
      case "sdp": sdp = try reader.readStringIfPresent()
      case "candidate" where reader.kind == .object:
        try reader.readObject { name, reader throws(JSONError) in
          if name == "candidate" { candidate = try reader.readStringIfPresent() }
        }
      default: break
      }
    }
    if let sdp, let type {
      if type.utf8.elementsEqual("offer".utf8) { return .description(isOffer: true, sdp: sdp) }
      if type.utf8.elementsEqual("answer".utf8) { return .description(isOffer: false, sdp: sdp) }
      return nil
    }
    return candidate.map { .candidate($0) }
  }

  /// The message as JSON.
  package var bytes: [UInt8] {
    var text: [UInt8] = []
    func string(_ value: String) { JSONWriter.append(value, to: &text) }
    switch self {
    case .connect(let from, let isNative):
      text.append(contentsOf: #"{"type":"connect","from":"#.utf8)
      string(from)
      if isNative { text.append(contentsOf: #","native":true"#.utf8) }
      text.append(UInt8(ascii: "}"))
    case .signal(let from, let signal):
      text.append(contentsOf: #"{"from":"#.utf8)
      string(from)
      text.append(contentsOf: #","signal":"#.utf8)
      switch signal {
      case .description(let isOffer, let sdp):
        text.append(
          contentsOf: (isOffer ? #"{"type":"offer","sdp":"# : #"{"type":"answer","sdp":"#).utf8)
        string(sdp)
      case .candidate(let candidate):
        text.append(contentsOf: #"{"candidate":{"candidate":"#.utf8)
        string(candidate)
        text.append(contentsOf: #","sdpMLineIndex":0,"sdpMid":"0"}"#.utf8)
      }
      text.append(contentsOf: "}}".utf8)
    case .unknown: text.append(contentsOf: "{}".utf8)
    }
    return text
  }
}

internal import DatCoding
internal import DatWire
internal import HypercoreCrypto
internal import HypercoreProtocol

/// A recording's messages, printed as they are decoded.
struct WirePrinter {
  /// The most connections that are followed at a time, and the most bytes of incomplete frames of all of
  /// them: a recording may be anybody's.
  static let connectionLimit = 1024
  static let waitingLimit = 64 << 20

  private struct Connection {
    var here: WireDecoder
    var there: WireDecoder
    /// True once something of the direction was encrypted with an unknown key.
    var isSealed = false

    subscript(side: RecordedPart.Side) -> WireDecoder {
      get { side == .here ? here : there }
      _modify {
        if side == .here { yield &here } else { yield &there }
      }
    }
  }

  private let key: PublicKey?
  private let output: Output
  private var connections: [UInt64: Connection] = [:]
  private var waiting = 0
  private var start: Int64?

  /// The number of directions that could not be decoded to their end.
  private(set) var faults = 0
  /// The number of messages that were printed.
  private(set) var messages = 0

  /// - Parameter key: the key of the connections' first feed; nil if it is not known.
  init(key: PublicKey?, output: Output) {
    self.key = key
    self.output = output
  }

  /// Prints what a part holds.
  ///
  /// - Throws: ``Misuse`` if the recording has more open connections, or more in them, than is kept.
  mutating func print(_ part: RecordedPart) throws {
    if start == nil { start = part.time }
    switch part.content {
    case .began(let peer, let isInbound, let feed):
      note(
        part, "began",
        [
          ("peer", peer.map { .string($0) } ?? .null),
          ("inbound", isInbound.map { .bool($0) } ?? .null),
          ("discoveryKey", feed.map { .string($0.hex) } ?? .null),
        ])
    case .bytes(let side, let bytes): try decode(bytes, side, part)
    case .ended:
      close(part)
      note(part, "ended", [])
    case .stopped(let reason): note(part, "stopped", [("reason", .string(reason))])
    }
  }

  /// Prints what is left at the end of the recording.
  mutating func finish() {
    for number in connections.keys.sorted() {
      close(RecordedPart(connection: number, time: nil, content: .ended))
    }
  }

  private mutating func decode(
    _ bytes: [UInt8], _ side: RecordedPart.Side, _ part: RecordedPart
  ) throws {
    if connections[part.connection] == nil {
      guard connections.count < Self.connectionLimit else {
        throw Misuse("The recording has more than \(Self.connectionLimit) open connections.")
      }
      connections[part.connection] = Connection(
        here: WireDecoder(key: key), there: WireDecoder(key: key))
    }
    let before = connections[part.connection]?[side].waiting ?? 0
    var items: [WireItem] = []
    connections[part.connection]?[side].add(bytes) { items.append($0) }
    waiting += (connections[part.connection]?[side].waiting ?? 0) - before
    guard waiting <= Self.waitingLimit else {
      throw Misuse(
        "The recording has more than \(Self.waitingLimit >> 20) MiB of incomplete frames.")
    }
    for item in items { show(item, side, part) }
  }

  private mutating func close(_ part: RecordedPart) {
    guard let connection = connections.removeValue(forKey: part.connection) else { return }
    for side in RecordedPart.Side.allCases {
      waiting -= connection[side].waiting
      if let rest = connection[side].rest() { show(rest, side, part) }
      let sealed = connection[side].sealedBytes
      guard sealed > 0 else { continue }
      note(part, "sealed", [("from", .string(side.rawValue)), ("bytes", number(sealed))])
    }
  }

  // MARK: Lines

  private mutating func show(_ item: WireItem, _ side: RecordedPart.Side, _ part: RecordedPart) {
    if case .malformed = item.content { faults += 1 }
    messages += 1
    let (type, fields) = WireFields.of(item.content)
    if output.json {
      var all: [(String, JSON)] = [
        ("connection", number(part.connection)), ("time", part.time.map { .integer($0) } ?? .null),
        ("from", .string(side.rawValue)), ("offset", number(item.offset)),
        ("bytes", .integer(Int64(item.size))), ("type", .string(type)),
      ]
      if let channel = item.channel { all.append(("channel", number(channel))) }
      if let feed = item.feed { all.append(("feed", .string(feed.hex))) }
      return output.value(.members(all + fields))
    }
    let channel = item.channel.map { "channel \($0)" } ?? ""
    let rest = WireFields.text(fields)
    let words = [channel, rest, item.size > 0 ? output.dim("(\(item.size) bytes)") : ""]
      .filter { !$0.isEmpty }.joined(separator: "  ")
    output.line(
      "\(prefix(part)) \(side == .here ? "here " : "there")  \(output.bold(Self.padded(type, 10)))  \(words)"
    )
  }

  private func note(_ part: RecordedPart, _ event: String, _ fields: [(String, JSON)]) {
    if output.json {
      return output.value(
        .members(
          [
            ("connection", number(part.connection)),
            ("time", part.time.map { .integer($0) } ?? .null),
            ("event", .string(event)),
          ] + fields))
    }
    output.line(output.dim("\(prefix(part)) \(Self.padded(event, 5))  \(WireFields.text(fields))"))
  }

  /// Returns the connection and the seconds since the first part, such as `#1    0.013`.
  private func prefix(_ part: RecordedPart) -> String {
    guard let time = part.time, let start else { return "#\(part.connection)" }
    // A clock may have gone back in between.
    let milliseconds = time - start
    let rest = "\(abs(milliseconds) % 1000)"
    let zeros = String(repeating: "0", count: 3 - rest.count)
    return
      "#\(part.connection) \(milliseconds < 0 ? "-" : "")\(abs(milliseconds) / 1000).\(zeros)\(rest)"
  }

  private func number(_ value: UInt64) -> JSON { .integer(Int64(clamping: value)) }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.utf8.count))
  }
}

/// The fields of messages, for people and programs.
enum WireFields {
  /// The most entries of a list in a line for people, and letters of a text.
  private static let shown = (entries: 4, letters: 64)

  /// Returns the name of a message's type, and its fields.
  static func of(_ content: WireItem.Content) -> (type: String, fields: [(String, JSON)]) {
    switch content {
    case .feed(let key, let nonce):
      (
        "Feed",
        [
          ("discoveryKey", .string(key.hex)),
          ("nonce", nonce.map { .string(Hex.encode($0.bytes)) } ?? .null),
        ]
      )
    case .handshake(let handshake): ("Handshake", of(handshake))
    case .message(let message): of(message)
    case .extension(let index, let name, let payload):
      (
        "Extension",
        [
          ("index", number(index)), ("name", name.map { .string($0) } ?? .null),
          ("payload", .integer(Int64(payload.count))),
        ]
      )
    case .unknown(let type): ("Unknown", [("number", .integer(Int64(type)))])
    case .keepAlive: ("KeepAlive", [])
    case .sealed:
      (
        "Encrypted",
        [("note", "the rest is encrypted; --key-file FILE with that feed's key decodes it")]
      )
    case .otherKey:
      ("Encrypted", [("note", "the rest is encrypted, and the key is of another feed than this")])
    case .malformed(let sentence): ("Malformed", [("note", .string(sentence))])
    }
  }

  private static func of(_ handshake: Handshake) -> [(String, JSON)] {
    [
      ("id", handshake.id.map { .string(Hex.encode($0)) } ?? .null),
      ("live", .bool(handshake.live)),
      ("ack", .bool(handshake.ack)),
      ("extensions", .array(handshake.extensions.map { .string($0) })),
      (
        "userData", handshake.userData.map { .string(String(decoding: $0, as: UTF8.self)) } ?? .null
      ),
      ("userDataBytes", handshake.userData.map { .integer(Int64($0.count)) } ?? .null),
    ]
  }

  private static func of(_ message: Message) -> (type: String, fields: [(String, JSON)]) {
    switch message {
    case .info(let uploading, let downloading):
      ("Info", [("uploading", .bool(uploading)), ("downloading", .bool(downloading))])
    case .have(let start, let length, let bitfield, let ack):
      (
        "Have",
        [
          ("start", number(start)), ("length", number(length)),
          ("bitfield", bitfield.map { .integer(Int64($0.count)) } ?? .null), ("ack", .bool(ack)),
        ]
      )
    case .unhave(let start, let length): ("Unhave", range(start, length))
    case .want(let start, let length): ("Want", range(start, length))
    case .unwant(let start, let length): ("Unwant", range(start, length))
    case .request(let request):
      (
        "Request",
        [
          ("index", number(request.index)), ("bytes", number(request.bytes)),
          ("hash", .bool(request.hash)),
          // All 64 bits are in use: as text, since programs lose some in a number.
          ("nodes", .string("\(request.nodes)")),
        ]
      )
    case .cancel(let index, let bytes, let hash):
      ("Cancel", [("index", number(index)), ("bytes", number(bytes)), ("hash", .bool(hash))])
    case .data(let data): ("Data", of(data))
    }
  }

  private static func of(_ data: DataMessage) -> [(String, JSON)] {
    [
      ("index", number(data.index)),
      ("value", data.value.map { .integer(Int64($0.count)) } ?? .null),
      (
        "nodes",
        .array(
          data.nodes.map {
            .members([
              ("index", number($0.index)), ("hash", .string($0.hash.hex)),
              ("size", number($0.size)),
            ])
          })
      ),
      ("signature", data.signature.map { .string(Hex.encode($0.bytes)) } ?? .null),
    ]
  }

  private static func range(_ start: UInt64, _ length: UInt64) -> [(String, JSON)] {
    [("start", number(start)), ("length", number(length))]
  }

  private static func number(_ value: UInt64) -> JSON { .integer(Int64(clamping: value)) }

  /// Returns fields on one line, such as `index 3, value 12, 2 nodes (0, 5)`.
  static func text(_ fields: [(String, JSON)]) -> String {
    fields.compactMap { name, value -> String? in
      switch value {
      case .null: return nil
      case .bool(let isTrue): return isTrue ? name : nil
      case .array(let entries):
        if entries.isEmpty { return nil }
        let list = entries.prefix(shown.entries).map(entry).joined(separator: ", ")
        let more = entries.count > shown.entries ? ", …" : ""
        let noun = entries.count == 1 ? String(name.dropLast()) : name
        return "\(entries.count) \(noun) (\(list)\(more))"
      case .string(let text) where name == "note" || name == "reason":
        return SafeText.line(text, limit: 200)
      default: return "\(name) \(entry(value))"
      }
    }.joined(separator: ", ")
  }

  private static func entry(_ value: JSON) -> String {
    switch value {
    case .string(let text): SafeText.line(text, limit: shown.letters)
    case .integer(let number): "\(number)"
    case .members(let members): members.first.map { entry($0.1) } ?? ""
    default: SafeText.line(value.text, limit: shown.letters)
    }
  }
}

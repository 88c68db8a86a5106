internal import DatCoding
package import HypercoreCrypto

/// A part of a recording of connections.
package struct RecordedPart: Hashable, Sendable {
  /// The end of a connection that sent something.
  package enum Side: String, Hashable, Sendable, CaseIterable {
    /// The end that recorded; in a capture the one that sent first.
    case here
    /// The other end.
    case there
  }

  /// The content of a part.
  package enum Content: Hashable, Sendable {
    /// A connection began: the other end's address, true if that end opened it, and the feed it is about.
    case began(peer: String?, isInbound: Bool?, DiscoveryKey?)
    /// Bytes that one end sent.
    case bytes(Side, [UInt8])
    /// A connection ended.
    case ended
    /// Nothing was recorded from here on, and why.
    case stopped(String)
  }

  /// The number of the connection in the recording, from 1.
  package var connection: UInt64
  /// The time in milliseconds since 1970; nil if it is not known.
  package var time: Int64?
  /// The content.
  package var content: Content

  /// Creates a part.
  package init(connection: UInt64, time: Int64?, content: Content) {
    self.connection = connection
    self.time = time
    self.content = content
  }
}

/// The file of a recording: JSON, one object a line, bytes in hex.
///
/// The first line is `{"dat":"recording","version":1}`. The others have the fields `connection`, a number from
/// 1, and `time`, in milliseconds since 1970. With `from`, `here` or `there`, and `bytes` a line is what one
/// end sent, as it went over the wire. With `event` it is `began` (and `peer`, `inbound`, `discoveryKey`),
/// `ended`, or `stopped` (and `reason`).
///
/// One file has both directions in the order of their times. A file that was cut off can be read as far as
/// it goes, and lines can be searched and cut with ordinary tools. It has no key in it.
package enum RecordingFormat {
  /// The first line.
  package static let heading = #"{"dat":"recording","version":1}"#
  /// The most bytes of a connection on one line; more are cut into several.
  package static let bytesOfLine = 32 << 10
  /// The most bytes of a line when it is read: that, in hex, and room for the other fields.
  package static let lineLimit = 128 << 10

  /// Returns the line for a part, without its end.
  package static func line(_ part: RecordedPart) -> String {
    var fields: [(String, JSON)] = [
      ("connection", .integer(Int64(clamping: part.connection))),
      ("time", part.time.map { .integer($0) } ?? .null),
    ]
    switch part.content {
    case .began(let peer, let isInbound, let feed):
      fields.append(("event", "began"))
      if let peer { fields.append(("peer", .string(peer))) }
      if let isInbound { fields.append(("inbound", .bool(isInbound))) }
      if let feed { fields.append(("discoveryKey", .string(feed.hex))) }
    case .bytes(let side, let bytes):
      fields.append(("from", .string(side.rawValue)))
      fields.append(("bytes", .string(Hex.encode(bytes))))
    case .ended: fields.append(("event", "ended"))
    case .stopped(let reason):
      fields.append(("event", "stopped"))
      fields.append(("reason", .string(reason)))
    }
    return JSON.members(fields).text
  }

  private struct Fields {
    var (dat, event, from, bytes, peer, key, reason) = (
      String?.none, String?.none, String?.none, String?.none, String?.none, String?.none,
      String?.none
    )
    var (isInbound, time, connection, version) = (
      Bool?.none, Double?.none, Double?.none, Double?.none
    )
  }

  /// Reads a line.
  ///
  /// - Returns: nil for the first line.
  /// - Throws: ``RecordingError`` if it is not a recording's.
  package static func part(_ line: [UInt8], number: Int) throws(RecordingError) -> RecordedPart? {
    let fields = try fields(of: line, number)
    if let dat = fields.dat {
      guard ForeignText(dat) == ForeignText("recording"), fields.version == 1 else {
        throw RecordingError(
          "Line \(number) is the beginning of another kind of file, or of a newer version's recording."
        )
      }
      return nil
    }
    guard let connection = fields.connection, connection >= 1, connection <= 1e15,
      connection == connection.rounded()
    else { throw RecordingError("Line \(number) has no number of a connection.") }
    let time = fields.time.flatMap { abs($0) <= 8.64e15 ? Int64($0) : nil }
    return RecordedPart(
      connection: UInt64(connection), time: time, content: try content(fields, number))
  }

  private static func content(
    _ fields: Fields, _ number: Int
  ) throws(RecordingError) -> RecordedPart.Content {
    if let from = fields.from.map({ ForeignText($0) }),
      let side = RecordedPart.Side.allCases.first(where: { ForeignText($0.rawValue) == from })
    {
      guard let bytes = fields.bytes.flatMap({ Hex.decode($0) }) else {
        throw RecordingError("The bytes on line \(number) are not in hex.")
      }
      return .bytes(side, bytes)
    }
    let event = ForeignText(fields.event ?? "")
    if event == ForeignText("began") {
      return .began(
        peer: fields.peer, isInbound: fields.isInbound,
        fields.key.flatMap { Hex.decode($0) }.flatMap { DiscoveryKey(bytes: $0) })
    }
    if event == ForeignText("ended") { return .ended }
    if event == ForeignText("stopped") { return .stopped(fields.reason ?? "") }
    throw RecordingError(
      "Line \(number) is not a recording's: it has neither bytes nor an event.")
  }

  private static func fields(of line: [UInt8], _ number: Int) throws(RecordingError) -> Fields {
    var fields = Fields()
    do throws(JSONError) {
      try JSONReader.read(line, within: JSONReader.Bounds(bytes: lineLimit, depth: 4)) {
        reader throws(JSONError) in
        try reader.readObject { name, reader throws(JSONError) in
          switch name {
          case "dat": fields.dat = try reader.readStringIfPresent()
          case "version": fields.version = try reader.readNumberIfPresent()
          case "connection": fields.connection = try reader.readNumberIfPresent()
          case "time": fields.time = try reader.readNumberIfPresent()
          case "event": fields.event = try reader.readStringIfPresent()
          case "from": fields.from = try reader.readStringIfPresent()
          case "bytes": fields.bytes = try reader.readStringIfPresent()
          case "peer": fields.peer = try reader.readStringIfPresent()
          case "discoveryKey": fields.key = try reader.readStringIfPresent()
          case "reason": fields.reason = try reader.readStringIfPresent()
          case "inbound": fields.isInbound = reader.kind == .bool ? try reader.readBool() : nil
          default: break
          }
        }
      }
    } catch {
      throw RecordingError("Line \(number) is not JSON: \(error).")
    }
    return fields
  }
}

/// The error of a file that is not a recording, or a damaged one.
package struct RecordingError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A sentence for people.
  package let description: String

  init(_ sentence: String) { description = sentence }
}

/// A reader of recordings, which takes a file in pieces.
///
/// It takes the files of ``RecordingFormat``, captures of packets (see ``PacketCapture``), and anything else as
/// the bare bytes that one end sent.
package struct RecordingReader {
  private enum Kind {
    case lines(TextLines, number: Int)
    case capture(PacketCapture)
    case bare
  }

  private var kind: Kind?
  private var beginning: [UInt8] = []

  /// Creates a reader at the beginning of a file.
  package init() {}

  /// Takes the next piece, and passes on what it holds.
  ///
  /// - Throws: ``RecordingError`` if the file can't be read any further.
  package mutating func add(
    _ bytes: [UInt8], _ found: (RecordedPart) throws(RecordingError) -> Void
  ) throws(RecordingError) {
    var bytes = bytes
    if kind == nil {
      beginning += bytes
      guard beginning.count >= 24 else { return }
      (bytes, beginning) = (beginning, [])
      kind = try Self.kind(of: bytes)
    }
    try pass(on: bytes, found)
  }

  /// Notes the end of the file.
  package mutating func finish(
    _ found: (RecordedPart) throws(RecordingError) -> Void
  ) throws(RecordingError) {
    if kind == nil {
      guard !beginning.isEmpty else { throw RecordingError("The recording is empty.") }
      kind = try Self.kind(of: beginning)
      try pass(on: beginning, found)
    }
    // The last line of a recording that was cut off is not whole.
  }

  private static func kind(of bytes: [UInt8]) throws(RecordingError) -> Kind {
    if bytes.starts(with: Array(RecordingFormat.heading.utf8.prefix(24))) {
      return .lines(TextLines(limit: RecordingFormat.lineLimit), number: 0)
    }
    if let capture = try PacketCapture(beginning: bytes) { return .capture(capture) }
    return .bare
  }

  private mutating func pass(
    on bytes: [UInt8], _ found: (RecordedPart) throws(RecordingError) -> Void
  ) throws(RecordingError) {
    switch kind {
    case .lines(var lines, var number):
      // Held in one place, so that adding copies nothing.
      kind = nil
      lines.add(bytes)
      while let line = try Self.next(&lines) {
        number += 1
        if let part = try RecordingFormat.part(line, number: number) { try found(part) }
      }
      kind = .lines(lines, number: number)
    case .capture(var capture):
      kind = nil
      try capture.add(bytes, found)
      kind = .capture(capture)
    case .bare, nil:
      try found(RecordedPart(connection: 1, time: nil, content: .bytes(.here, bytes)))
    }
  }

  private static func next(_ lines: inout TextLines) throws(RecordingError) -> [UInt8]? {
    do { return try lines.next() } catch {
      throw RecordingError("In the recording \(error).")
    }
  }
}

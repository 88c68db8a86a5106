internal import DatTesting
internal import DatWire
internal import HypercoreCrypto

extension FuzzTarget {
  static func recording(_ bytes: [UInt8]) {
    let whole = read(bytes, pieces: bytes.count)
    let cut = read(bytes, pieces: 1 + Int(bytes.last ?? 0) % 31)
    hold(whole == cut, "a recording reads differently when it comes in pieces")
    let count = whole.found.values.reduce(0) { $0 + $1.count }
    hold(count <= bytes.count + 4, "more came out of a recording than is in it")
  }

  private struct Direction: Hashable {
    let connection: UInt64
    let side: RecordedPart.Side
  }

  private struct Outcome: Equatable {
    var found: [Direction: [WireItem]] = [:]
    var error: RecordingError?
  }

  /// Returns the messages of each direction, and the error that ended reading.
  private static func read(_ bytes: [UInt8], pieces: Int) -> Outcome {
    var reader = RecordingReader()
    var decoders: [Direction: WireDecoder] = [:]
    var outcome = Outcome()
    let key = PublicKey(bytes: [UInt8](repeating: 1, count: 32))
    func take(_ part: RecordedPart) {
      guard case .bytes(let side, let bytes) = part.content else { return }
      let direction = Direction(connection: part.connection, side: side)
      decoders[direction, default: WireDecoder(key: key)].add(bytes) {
        outcome.found[direction, default: []].append($0)
      }
    }
    do throws(RecordingError) {
      for start in stride(from: 0, to: bytes.count, by: max(pieces, 1)) {
        try reader.add(Array(bytes[start..<min(bytes.count, start + max(pieces, 1))])) { take($0) }
      }
      try reader.finish { take($0) }
    } catch {
      outcome.error = error
    }
    return outcome
  }

  static func recordings() throws -> [[UInt8]] {
    let stream = Array(try streams().first?.prefix(200) ?? [])
    let lines = [
      RecordingFormat.heading,
      RecordingFormat.line(
        RecordedPart(connection: 1, time: 5, content: .bytes(.here, Array(stream.prefix(80))))),
      RecordingFormat.line(RecordedPart(connection: 1, time: nil, content: .ended)),
    ].map { $0 + "\n" }.joined()
    var packets: [UInt8] = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    packets += [0, 0, 4, 0, 101, 0, 0, 0]
    for (sequence, payload) in [
      (UInt8(1), stream.prefix(50)), (51, stream.dropFirst(50).prefix(50)),
    ] {
      let size = UInt8(40 + payload.count)
      packets += [1, 0, 0, 0, 0, 0, 0, 0, size, 0, 0, 0, size, 0, 0, 0]
      packets += [0x45, 0, 0, size, 0, 0, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]
      packets += [
        0x9c, 0x40, 0x0c, 0xd2, 0, 0, 0, sequence, 0, 0, 0, 0, 0x50, 16, 1, 1, 0, 0, 0, 0,
      ]
      packets += payload
    }
    return [stream, Array(lines.utf8), packets]
  }
}

import DatTesting

/// A writer of captures in the classic format, as tests need them.
struct CaptureWriter {
  private(set) var bytes: [UInt8]
  private let link: UInt32
  private var time: UInt32 = 1_700_000_000

  /// - Parameter link: 1 for Ethernet, 101 for none, 0 for BSD's loopback.
  init(link: UInt32 = 1) {
    self.link = link
    bytes =
      [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]
      + Self.little(262_144) + Self.little(link)
  }

  private static func little(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  private static func big(_ value: UInt32) -> [UInt8] { little(value).reversed() }

  /// Adds a segment between ports 40000 (true) and 3282 (false) of one address.
  mutating func add(
    fromClient: Bool, sequence: UInt32, flags: UInt8 = 16, _ payload: [UInt8] = [],
    isSix: Bool = false
  ) {
    let ports: [UInt8] = fromClient ? [0x9c, 0x40, 0x0c, 0xd2] : [0x0c, 0xd2, 0x9c, 0x40]
    let tcp =
      ports + Self.big(sequence) + Self.big(0) + [0x50, flags, 0xff, 0xff, 0, 0, 0, 0] + payload
    let ip: [UInt8]
    if isSix {
      let address = [UInt8](repeating: 0, count: 15) + [1]
      ip =
        [0x60, 0, 0, 0, UInt8(tcp.count >> 8), UInt8(tcp.count & 255), 6, 64] + address + address
    } else {
      let length = tcp.count + 20
      ip =
        [0x45, 0, UInt8(length >> 8), UInt8(length & 255), 0, 0, 0x40, 0, 64, 6, 0, 0]
        + [127, 0, 0, 1, 127, 0, 0, 1]
    }
    let frame: [UInt8]
    switch link {
    case 1: frame = [UInt8](repeating: 0, count: 12) + (isSix ? [0x86, 0xdd] : [8, 0])
    case 0: frame = [isSix ? 24 : 2, 0, 0, 0]
    default: frame = []
    }
    // Ethernet fills short packets up.
    var packet = frame + ip + tcp
    if link == 1, packet.count < 60 { packet += [UInt8](repeating: 0xee, count: 60 - packet.count) }
    time += 1
    bytes +=
      Self.little(time) + Self.little(500_000) + Self.little(UInt32(packet.count))
      + Self.little(UInt32(packet.count)) + packet
  }

  /// Adds a whole connection: with some segments out of order, sent twice, or overlapping.
  mutating func add(
    _ session: [(fromClient: Bool, bytes: [UInt8])], seed: UInt64, isSix: Bool = false
  ) {
    var random = SeededRandom(seed: seed)
    var next: [Bool: UInt32] = [true: .max - 5, false: 77]
    // Each begins twice, as a capture on loopback has it.
    for _ in 0..<2 { add(fromClient: true, sequence: .max - 6, flags: 2, isSix: isSix) }
    for _ in 0..<2 { add(fromClient: false, sequence: 76, flags: 18, isSix: isSix) }
    for (side, bytes) in session {
      var segments: [(UInt32, [UInt8])] = []
      var rest = bytes[...]
      while !rest.isEmpty {
        let part = Array(rest.prefix(Int.random(in: 1...1400, using: &random)))
        segments.append((next[side] ?? 0, part))
        next[side] = (next[side] ?? 0) &+ UInt32(part.count)
        rest = rest.dropFirst(part.count)
      }
      if segments.count > 1, Bool.random(using: &random) { segments.swapAt(0, 1) }
      if let first = segments.first, Bool.random(using: &random) { segments.append(first) }
      for (number, (sequence, part)) in segments.enumerated() {
        if number == 1, !side { add(fromClient: false, sequence: 76, flags: 18, isSix: isSix) }
        add(fromClient: side, sequence: sequence, part, isSix: isSix)
      }
    }
    add(fromClient: true, sequence: next[true] ?? 0, flags: 17, isSix: isSix)
    add(fromClient: false, sequence: next[false] ?? 0, flags: 17, isSix: isSix)
  }
}

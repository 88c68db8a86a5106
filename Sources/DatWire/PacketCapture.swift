internal import DatCoding

/// A reader of captures of packets, such as `tcpdump -w FILE -s 0` makes: the classic pcap format, with TCP
/// over IPv4 and IPv6, on Ethernet, loopback, Linux' `any` device, or without a link layer.
///
/// Each connection's bytes are put in order. What arrives early is kept, up to a limit; a gap that is never
/// filled ends the direction.
package struct PacketCapture {
  /// The most bytes of one packet. A larger one is not a packet.
  static let packetLimit = 256 << 10
  /// The most connections that are followed at a time.
  static let connectionLimit = 256
  /// The most bytes that wait for an earlier one, of one direction, and the most segments.
  static let waitingLimit = 1 << 20
  static let segmentLimit = 1024

  private let isLittleEndian: Bool
  private let isNano: Bool
  private let link: UInt32
  private var bytes: [UInt8]
  private var start = 0
  private var streams: [Ends: Stream] = [:]
  private var count: UInt64 = 0

  /// The two ends of a direction, each as address and port.
  private struct Ends: Hashable {
    let from: [UInt8]
    let to: [UInt8]
    var reversed: Ends { Ends(from: to, to: from) }
  }

  /// One direction of a connection.
  private struct Stream {
    let connection: UInt64
    let side: RecordedPart.Side
    /// The number with which it began; nil if the capture began later.
    var first: UInt32?
    /// The next expected sequence number; nil before the first segment.
    var next: UInt32?
    var waiting: [UInt32: [UInt8]] = [:]
    var waitingBytes = 0
    var hasEnded = false
    var isFinished = false
  }

  /// - Parameter beginning: at least the first 24 bytes of a file. They are not taken yet.
  /// - Returns: nil if it is not a capture.
  /// - Throws: ``RecordingError`` if it is one that can't be read.
  init?(beginning: [UInt8]) throws(RecordingError) {
    guard beginning.count >= 24 else { return nil }
    let magic = Array(beginning[..<4])
    switch magic {
    case [0xd4, 0xc3, 0xb2, 0xa1]: (isLittleEndian, isNano) = (true, false)
    case [0xa1, 0xb2, 0xc3, 0xd4]: (isLittleEndian, isNano) = (false, false)
    case [0x4d, 0x3c, 0xb2, 0xa1]: (isLittleEndian, isNano) = (true, true)
    case [0xa1, 0xb2, 0x3c, 0x4d]: (isLittleEndian, isNano) = (false, true)
    case [0x0a, 0x0d, 0x0d, 0x0a]:
      throw RecordingError(
        "This is a capture in the format pcapng: make a classic one of it (editcap -F pcap IN OUT)."
      )
    default: return nil
    }
    link = Self.number(beginning, at: 20, isLittleEndian) & 0xffff
    guard [0, 1, 12, 14, 101, 108, 113, 228, 229, 276].contains(link) else {
      throw RecordingError("The capture is of a link layer that is not read here: number \(link).")
    }
    bytes = []
    start = -24
  }

  private static func number(_ bytes: [UInt8], at place: Int, _ isLittleEndian: Bool) -> UInt32 {
    guard place >= 0, place + 4 <= bytes.count else { return 0 }
    let four = bytes[place..<place + 4]
    return (isLittleEndian ? Array(four.reversed()) : Array(four)).reduce(0) {
      $0 << 8 | UInt32($1)
    }
  }

  /// Takes the next piece of the file.
  mutating func add(
    _ more: [UInt8], _ found: (RecordedPart) throws(RecordingError) -> Void
  ) throws(RecordingError) {
    bytes += more
    if start < 0 {
      // The header of the file.
      guard bytes.count >= -start else { return }
      start = -start
    }
    while bytes.count - start >= 16 {
      let size = Int(Self.number(bytes, at: start + 8, isLittleEndian))
      guard size <= Self.packetLimit else {
        throw RecordingError("The capture is damaged: a packet of \(size) bytes.")
      }
      guard bytes.count - start >= 16 + size else { break }
      let seconds = Int64(Self.number(bytes, at: start, isLittleEndian))
      let fraction = Int64(Self.number(bytes, at: start + 4, isLittleEndian))
      let packet = Array(bytes[start + 16..<start + 16 + size])
      start += 16 + size
      try take(packet, seconds * 1000 + fraction / (isNano ? 1_000_000 : 1000), found)
    }
    bytes.removeSubrange(..<start)
    start = 0
  }

  // MARK: Layers

  /// Returns the offset of the IP packet.
  private func network(_ packet: [UInt8]) -> Int? {
    func isIP(_ place: Int) -> Bool {
      guard place + 2 <= packet.count else { return false }
      let kind = (packet[place], packet[place + 1])
      return kind == (8, 0) || kind == (0x86, 0xdd)
    }
    switch link {
    case 0, 108: return 4
    case 1:
      // A tag of a virtual network stands before the kind.
      if packet.count >= 18, packet[12] == 0x81, packet[13] == 0 { return isIP(16) ? 18 : nil }
      return isIP(12) ? 14 : nil
    case 113: return isIP(14) ? 16 : nil
    case 276: return isIP(0) ? 20 : nil
    default: return 0
    }
  }

  private mutating func take(
    _ packet: [UInt8], _ time: Int64, _ found: (RecordedPart) throws(RecordingError) -> Void
  ) throws(RecordingError) {
    guard let ip = network(packet), ip < packet.count else { return }
    switch packet[ip] >> 4 {
    case 4:
      let header = Int(packet[ip] & 15) * 4
      guard header >= 20, packet.count >= ip + header, packet[ip + 9] == 6,
        // A fragment has no header of TCP.
        packet[ip + 6] & 0x3f == 0, packet[ip + 7] == 0
      else { return }
      let length = Int(packet[ip + 2]) << 8 | Int(packet[ip + 3])
      // Zero if the network card cuts the packet.
      let end = length == 0 ? packet.count : min(packet.count, ip + length)
      try takeTCP(
        packet, ip + header, end, Array(packet[ip + 12..<ip + 16]),
        Array(packet[ip + 16..<ip + 20]),
        time, found)
    case 6:
      guard packet.count >= ip + 40, packet[ip + 6] == 6 else { return }
      let length = Int(packet[ip + 4]) << 8 | Int(packet[ip + 5])
      let end = length == 0 ? packet.count : min(packet.count, ip + 40 + length)
      try takeTCP(
        packet, ip + 40, end, Array(packet[ip + 8..<ip + 24]), Array(packet[ip + 24..<ip + 40]),
        time,
        found)
    default: return
    }
  }

  private mutating func takeTCP(
    _ packet: [UInt8], _ tcp: Int, _ end: Int, _ from: [UInt8], _ to: [UInt8], _ time: Int64,
    _ found: (RecordedPart) throws(RecordingError) -> Void
  ) throws(RecordingError) {
    guard tcp + 20 <= end else { return }
    let header = Int(packet[tcp + 12] >> 4) * 4
    guard header >= 20, tcp + header <= end else { return }
    let ends = Ends(
      from: from + packet[tcp..<tcp + 2], to: to + packet[tcp + 2..<tcp + 4])
    let sequence = Self.number(packet, at: tcp + 4, false)
    let flags = packet[tcp + 13]
    let payload = Array(packet[tcp + header..<end])
    if flags & 2 != 0 {
      let first = sequence &+ 1
      // Begins: what was known of these ends is another connection's, unless this was sent twice.
      if flags & 16 == 0, streams[ends]?.first != first { remove(ends) }
      try follow(ends, time, found)
      if streams[ends]?.first == nil {
        streams[ends]?.first = first
        if streams[ends]?.next == nil { streams[ends]?.next = first }
      }
      return
    }
    if !payload.isEmpty {
      try follow(ends, time, found)
      try add(payload, at: sequence, ends, time, found)
    }
    if flags & 1 != 0 { streams[ends]?.isFinished = true }
    let isOver = streams[ends]?.isFinished == true && streams[ends.reversed]?.isFinished == true
    guard isOver || flags & 4 != 0, let stream = streams[ends] else { return }
    remove(ends)
    try found(RecordedPart(connection: stream.connection, time: time, content: .ended))
  }

  private mutating func remove(_ ends: Ends) {
    streams[ends] = nil
    streams[ends.reversed] = nil
  }

  /// Starts following a connection, if it is new.
  private mutating func follow(
    _ ends: Ends, _ time: Int64, _ found: (RecordedPart) throws(RecordingError) -> Void
  ) throws(RecordingError) {
    guard streams[ends] == nil else { return }
    guard streams.count < 2 * Self.connectionLimit else {
      throw RecordingError(
        "The capture has more than \(Self.connectionLimit) connections: cut it to one port (tcpdump -r IN -w OUT port "
          + "3282).")
    }
    count += 1
    streams[ends] = Stream(connection: count, side: .here)
    streams[ends.reversed] = Stream(connection: count, side: .there)
    try found(
      RecordedPart(
        connection: count, time: time,
        content: .began(peer: Self.name(of: ends.to), isInbound: nil, nil)))
  }

  /// Returns an address such as `192.0.2.7:3282` or `[2001:db8:0:0:0:0:0:7]:3282`.
  private static func name(of end: [UInt8]) -> String {
    let port = Int(end[end.count - 2]) << 8 | Int(end[end.count - 1])
    let address = end.dropLast(2)
    if address.count == 4 { return address.map { "\($0)" }.joined(separator: ".") + ":\(port)" }
    let groups = stride(from: address.startIndex, to: address.endIndex, by: 2).map {
      String(Int(address[$0]) << 8 | Int(address[$0 + 1]), radix: 16)
    }
    return "[\(groups.joined(separator: ":"))]:\(port)"
  }

  private mutating func add(
    _ payload: [UInt8], at sequence: UInt32, _ ends: Ends, _ time: Int64,
    _ found: (RecordedPart) throws(RecordingError) -> Void
  ) throws(RecordingError) {
    guard var stream = streams[ends], !stream.hasEnded else { return }
    streams[ends] = nil
    defer { streams[ends] = stream }
    // A capture that began in the middle begins with what it has.
    if stream.next == nil { stream.next = sequence }
    var segment: (sequence: UInt32, bytes: [UInt8])? = (sequence, payload)
    while let (sequence, bytes) = segment, let next = stream.next {
      segment = nil
      let ahead = Int32(bitPattern: sequence &- next)
      if ahead > 0 {
        stream.waitingBytes += bytes.count - (stream.waiting[sequence]?.count ?? 0)
        stream.waiting[sequence] = bytes
        guard stream.waitingBytes <= Self.waitingLimit, stream.waiting.count <= Self.segmentLimit
        else {
          (stream.hasEnded, stream.waiting) = (true, [:])
          return try found(
            RecordedPart(
              connection: stream.connection, time: time,
              content: .stopped(
                "A part of what \(stream.side.rawValue) sent is not in the capture.")))
        }
      } else if -Int(ahead) < bytes.count {
        // Some of it may have come before.
        let fresh = Array(bytes.dropFirst(-Int(ahead)))
        stream.next = next &+ UInt32(fresh.count)
        try found(
          RecordedPart(
            connection: stream.connection, time: time, content: .bytes(stream.side, fresh)))
      }
      guard ahead <= 0, let after = stream.next else { break }
      let ready = stream.waiting.keys.first { Int32(bitPattern: $0 &- after) <= 0 }
      if let ready, let bytes = stream.waiting.removeValue(forKey: ready) {
        stream.waitingBytes -= bytes.count
        segment = (ready, bytes)
      }
    }
  }
}

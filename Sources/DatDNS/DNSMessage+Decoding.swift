extension DNSMessage {
  /// Reads a packet. Bytes after the message are ignored.
  ///
  /// - Parameters:
  ///   - bytes: the packet.
  ///   - maximumRecords: the most questions and records that it may have. As names can point to one another, each
  ///     takes up to 255 bytes of memory, however few it has in the packet: 256 records take 64 KiB at most.
  /// - Returns: nil if this is not a message: it is cut short, its names loop or are too long, the data of its
  ///   records doesn't fit, or it has more records than allowed.
  package init?(decoding bytes: [UInt8], maximumRecords: Int = 256) {
    var reader = DNSReader(bytes)
    guard let id = reader.uint16(), let flags = reader.uint16(),
      let questionCount = reader.uint16(), let answerCount = reader.uint16(),
      let authorityCount = reader.uint16(), let additionalCount = reader.uint16()
    else { return nil }
    let counts = [questionCount, answerCount, authorityCount, additionalCount].map(Int.init)
    guard counts.reduce(0, +) <= maximumRecords else { return nil }
    self.init(id: id, flags: flags)
    for _ in 0..<counts[0] {
      guard let name = reader.name(), let type = reader.uint16(), let code = reader.uint16() else {
        return nil
      }
      questions.append(DNSQuestion(name, type: type, classCode: code))
    }
    guard let answers = reader.records(counts[1]), let authorities = reader.records(counts[2]),
      let additionals = reader.records(counts[3])
    else { return nil }
    self.answers = answers
    self.authorities = authorities
    self.additionals = additionals
  }
}

/// Reads a packet from its start to its end.
private struct DNSReader {
  private let bytes: [UInt8]
  private var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func uint16() -> UInt16? {
    guard bytes.count - offset >= 2 else { return nil }
    defer { offset += 2 }
    return UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
  }

  mutating func uint32() -> UInt32? {
    guard let high = uint16(), let low = uint16() else { return nil }
    return UInt32(high) << 16 | UInt32(low)
  }

  mutating func read(_ count: Int) -> [UInt8]? {
    guard count <= bytes.count - offset else { return nil }
    defer { offset += count }
    return Array(bytes[offset..<offset + count])
  }

  /// Reads a name, following pointers. Each must point before the beginning of the part that holds it, so
  /// there are no loops.
  mutating func name() -> DNSName? {
    var labels: [[UInt8]] = []
    var length = 1
    var at = offset
    var limit = offset
    var end: Int?
    while true {
      guard at < bytes.count else { return nil }
      let first = bytes[at]
      switch first >> 6 {
      case 0:
        at += 1
        if first == 0 {
          offset = end ?? at
          return DNSName(labels: labels)
        }
        let count = Int(first)
        length += count + 1
        guard count <= bytes.count - at, length <= 255 else { return nil }
        labels.append(Array(bytes[at..<at + count]))
        at += count
      case 3:
        guard at + 1 < bytes.count else { return nil }
        let target = Int(first & 0x3f) << 8 | Int(bytes[at + 1])
        guard target < limit else { return nil }
        end = end ?? at + 2
        at = target
        limit = target
      default: return nil
      }
    }
  }

  mutating func records(_ count: Int) -> [DNSRecord]? {
    var records: [DNSRecord] = []
    for _ in 0..<count {
      guard let record = record() else { return nil }
      records.append(record)
    }
    return records
  }

  private mutating func record() -> DNSRecord? {
    guard let name = name(), let type = uint16(), let code = uint16(), let ttl = uint32(),
      let count = uint16(), Int(count) <= bytes.count - offset
    else { return nil }
    let end = offset + Int(count)
    guard let contents = contents(type, end), offset == end else { return nil }
    return DNSRecord(name, contents, ttl: ttl, classCode: code)
  }

  private mutating func contents(_ type: UInt16, _ end: Int) -> DNSRecord.Contents? {
    switch type {
    case DNSRecord.textType:
      var strings: [[UInt8]] = []
      while offset < end {
        let length = Int(bytes[offset])
        offset += 1
        guard offset + length <= end, let string = read(length) else { return nil }
        strings.append(string)
      }
      return .text(strings)
    case DNSRecord.serviceType:
      guard end - offset >= 7, let priority = uint16(), let weight = uint16(), let port = uint16(),
        let target = name()
      else { return nil }
      return .service(priority: priority, weight: weight, port: port, target: target)
    case DNSRecord.addressType where end - offset == 4:
      return read(4).map { .address($0) }
    default:
      return read(end - offset).map { .other(type: type, $0) }
    }
  }
}

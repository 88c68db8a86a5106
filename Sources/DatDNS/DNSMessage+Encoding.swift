extension DNSMessage {
  /// Encodes the message as a packet.
  ///
  /// - Returns: nil if a name, a string or a count exceeds what the format allows.
  package func encoded() -> [UInt8]? {
    var bytes: [UInt8] = []
    for number in [id, flags] { bytes.add(number) }
    for count in [questions.count, answers.count, authorities.count, additionals.count] {
      guard let count = UInt16(exactly: count) else { return nil }
      bytes.add(count)
    }
    for question in questions {
      guard bytes.add(question.name) else { return nil }
      bytes.add(question.type)
      bytes.add(question.classCode)
    }
    for record in answers + authorities + additionals {
      guard bytes.add(record) else { return nil }
    }
    return bytes
  }
}

extension [UInt8] {
  fileprivate mutating func add(_ number: UInt16) {
    append(UInt8(number >> 8))
    append(UInt8(number & 255))
  }

  fileprivate mutating func add(_ name: DNSName) -> Bool {
    let length = name.labels.reduce(1) { $0 + $1.count + 1 }
    guard length <= 255 else { return false }
    for label in name.labels {
      guard (1...63).contains(label.count) else { return false }
      append(UInt8(label.count))
      append(contentsOf: label)
    }
    append(0)
    return true
  }

  fileprivate mutating func add(_ record: DNSRecord) -> Bool {
    guard add(record.name) else { return false }
    add(record.type)
    add(record.classCode)
    add(UInt16(record.ttl >> 16))
    add(UInt16(record.ttl & 0xffff))
    var data: [UInt8] = []
    switch record.contents {
    case .text(let strings):
      for string in strings {
        guard let length = UInt8(exactly: string.count) else { return false }
        data.append(length)
        data += string
      }
    case .service(let priority, let weight, let port, let target):
      for number in [priority, weight, port] { data.add(number) }
      guard data.add(target) else { return false }
    case .address(let address), .other(_, let address): data += address
    }
    guard let count = UInt16(exactly: data.count) else { return false }
    add(count)
    append(contentsOf: data)
    return true
  }
}

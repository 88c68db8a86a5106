/// One question for the SRV records of a service (RFC 2782), with EDNS (RFC 6891), and the reading of its answers.
///
/// An answer is taken as a whole or not at all: one with a record that can't be read names nobody.
package struct ServiceLookup: Sendable {
  /// A host that offers the service.
  package struct Host: Hashable, Sendable {
    /// The target's name: lower case, without a dot at its end; letters, digits, `-`, `_` and dots alone.
    package let target: String
    /// Its port, from 1.
    package let port: UInt16
    /// Its IPv4 address, if the answer has it; the least of several.
    package let address: String?

    /// Makes a host that offers the service.
    package init(target: String, port: UInt16, address: String? = nil) {
      self.target = target
      self.port = port
      self.address = address
    }
  }

  /// An answer's content.
  package enum Reading: Hashable, Sendable {
    /// All hosts, by name, and the seconds for which that holds.
    case hosts([Host], ttl: UInt32)
    /// The answer was cut to fit the packet: ask over TCP.
    case truncated
    /// No answer to go by, with a sentence.
    case unusable(String)
  }

  /// The name that is asked for, such as `_dat._tcp.hosts.example.org`.
  package let name: DNSName
  /// The number of the question, which its answer repeats.
  package let id: UInt16

  /// The most hosts of an answer: a message over TCP, of 65,535 bytes at most, has room for about 1,000.
  package static let maximumHosts = 4096
  /// The size of packets that this side takes: 1,232 bytes pass everywhere in one piece.
  static let packetSize: UInt16 = 1232
  private static let optionType: UInt16 = 41
  private static let truncatedBit: UInt16 = 0x0200

  /// Makes a question.
  ///
  /// - Returns: nil if this is not a name: its parts have 1 to 63 letters, digits, `-` or `_`, 253 in all.
  package init?(_ text: String, id: UInt16) {
    guard let name = Self.name(text) else { return nil }
    self.name = name
    self.id = id
  }

  /// Returns the name in a text, with or without a dot at its end.
  static func name(_ text: String) -> DNSName? {
    var bytes = text.utf8.prefix(256).map { $0 }
    if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
    let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    let name = DNSName(labels: labels.map { Array($0) })
    return Self.text(name) == nil ? nil : name
  }

  /// Returns a name as text in lower case; nil if it is not a host's name, or is the root.
  static func text(_ name: DNSName) -> String? {
    var bytes: [UInt8] = []
    for label in name.labels {
      guard (1...63).contains(label.count), label.allSatisfy(isPlain) else { return nil }
      if !bytes.isEmpty { bytes.append(UInt8(ascii: ".")) }
      bytes += label.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }
    }
    guard (1...253).contains(bytes.count) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "_"): true
    default: false
    }
  }

  /// The question as a packet.
  package var question: [UInt8] {
    let option = DNSRecord(
      DNSName(labels: []), .other(type: Self.optionType, []), classCode: Self.packetSize)
    let message = DNSMessage(
      id: id, flags: DNSMessage.recursionDesired,
      questions: [DNSQuestion(name, type: DNSRecord.serviceType)], additionals: [option])
    // The name was checked, so this can be written.
    return message.encoded() ?? []
  }

  /// Reads a message.
  ///
  /// - Parameters:
  ///   - bytes: the message.
  ///   - isPacket: true if it came over UDP, where it may be truncated.
  /// - Returns: nil if it is not an answer to this question. It may come from anybody: wait on.
  package func read(_ bytes: [UInt8], isPacket: Bool) -> Reading? {
    guard
      let message = DNSMessage(decoding: bytes, maximumRecords: Self.maximumHosts * 2),
      message.id == id, message.isResponse, message.questions.count == 1,
      let question = message.questions.first, question.type == DNSRecord.serviceType,
      question.classCode == DNSRecord.internet, isSame(question.name)
    else { return nil }
    if message.flags & Self.truncatedBit != 0 {
      return isPacket ? .truncated : .unusable("The answer is cut short.")
    }
    switch message.flags & 15 {
    case 0: return hosts(message.answers, message.additionals)
    case 3: return .unusable("The name does not exist.")
    case let code: return .unusable("The server answers with error \(code).")
    }
  }

  private func isSame(_ other: DNSName) -> Bool {
    guard let other = Self.text(other) else { return false }
    return other == Self.text(name)
  }

  private func hosts(_ records: [DNSRecord], _ more: [DNSRecord]) -> Reading {
    var ports: [String: UInt16] = [:]
    var ttl = UInt32.max
    for record in records {
      guard case .service(_, _, let port, let target) = record.contents,
        record.classCode == DNSRecord.internet, isSame(record.name)
      else { continue }
      // A single dot: the service is not offered here.
      if target.labels.isEmpty { continue }
      guard let name = Self.text(target), port > 0 else {
        return .unusable("The answer names a host that can't be one.")
      }
      // A host with two ports is one host; every lookup takes the same of them.
      ports[name] = min(ports[name] ?? port, port)
      ttl = min(ttl, record.ttl)
      guard ports.count <= Self.maximumHosts else {
        return .unusable("The answer names more than \(Self.maximumHosts) hosts.")
      }
    }
    guard !ports.isEmpty else { return .unusable("The answer names no host.") }
    let addresses = Self.addresses(more)
    let hosts = ports.map {
      Host(target: $0.key, port: $0.value, address: addresses[$0.key])
    }
    return .hosts(hosts.sorted { $0.target < $1.target }, ttl: ttl)
  }

  /// Returns the addresses that an answer adds, by name.
  private static func addresses(_ records: [DNSRecord]) -> [String: String] {
    var addresses: [String: [UInt8]] = [:]
    for record in records {
      guard case .address(let bytes) = record.contents, record.classCode == DNSRecord.internet,
        let name = text(record.name)
      else { continue }
      if let known = addresses[name], known.lexicographicallyPrecedes(bytes) { continue }
      addresses[name] = bytes
    }
    return addresses.mapValues { $0.map { "\($0)" }.joined(separator: ".") }
  }
}

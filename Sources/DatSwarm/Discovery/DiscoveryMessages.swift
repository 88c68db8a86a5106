internal import DatDNS
internal import Foundation
internal import HypercoreCrypto

/// The DNS messages of dns-discovery: names, tokens and lists of peers.
enum DiscoveryMessages {
  /// Dat's domain; dns-discovery by itself would use `dns-discovery.local`.
  static let domain = DNSName("dat.local")

  static func name(of topic: Topic) -> DNSName {
    DNSName(labels: [Array(topic.hex.utf8)] + domain.labels)
  }

  /// Returns the topic in a name below any domain of two labels; nil if there is none.
  static func topic(of name: DNSName) -> Topic? {
    guard name.labels.count == 3 else { return nil }
    return Topic(hex: String(decoding: name.labels[0], as: UTF8.self))
  }

  /// Returns a question about the peers of a topic.
  static func question(about topic: Topic) -> DNSQuestion {
    DNSQuestion(name(of: topic), type: DNSRecord.textType)
  }

  /// Returns a token. Whoever returns it later proves to its maker that packets to this address are received.
  static func token(_ secret: [UInt8], for host: String) -> String {
    Data(SHA256.hash(secret + Array(host.utf8))).base64EncodedString()
  }

  /// Returns a text record of `name=value` strings.
  static func text(_ name: DNSName, _ fields: [(String, String)]) -> DNSRecord {
    DNSRecord(name, .text(fields.map { Array("\($0)=\($1)".utf8) }))
  }

  /// Returns the strings of a text record, cut at their first `=`; a string without one is empty. A string that
  /// is not ASCII is not of this protocol, and would be costly to compare.
  static func fields(_ strings: [[UInt8]]) -> [String: String] {
    var fields: [String: String] = [:]
    for string in strings where string.allSatisfy({ $0 < 0x80 }) {
      let parts = string.split(separator: 61, maxSplits: 1, omittingEmptySubsequences: false)
        .map { String(decoding: $0, as: UTF8.self) }
      guard let name = parts.first else { continue }
      fields[name] = parts.count > 1 ? parts[1] : ""
    }
    return fields
  }

  /// The most records that fit into one string with its name: more would wrap the length in the reference.
  static let maximumPeers = 31

  /// The same for IPv6 records, which take 18 bytes.
  static let maximumPeers6 = 10

  /// Returns six bytes for each address, IPv4 and port, as base64. Other addresses are left out.
  static func peers(_ addresses: [PeerAddress]) -> String {
    list(addresses, isIPv6: false, maximumPeers)
  }

  /// Returns eighteen bytes for each address, IPv6 and port, as base64. Other addresses are left out. The field
  /// is this project's own: the reference knows only IPv4, and skips unknown fields.
  static func peers6(_ addresses: [PeerAddress]) -> String {
    list(addresses, isIPv6: true, maximumPeers6)
  }

  private static func list(_ addresses: [PeerAddress], isIPv6: Bool, _ limit: Int) -> String {
    var bytes: [UInt8] = []
    var count = 0
    for address in addresses where count < limit {
      guard let host = IPAddress(address.host), host.isIPv6 == isIPv6,
        let port = UInt16(exactly: address.port)
      else { continue }
      bytes += host.bytes + [UInt8(port >> 8), UInt8(port & 255)]
      count += 1
    }
    return Data(bytes).base64EncodedString()
  }

  /// Reads ``peers(_:)``; 0.0.0.0 stands for the sender. A partial record at the end is ignored.
  static func peers(reading text: String, from sender: String) -> [PeerAddress] {
    records(text, of: 6).compactMap { bytes in
      guard let host = IPv4(bytes.prefix(4)) else { return nil }
      return PeerAddress(
        host: host.number == 0 ? sender : host.description, port: port(bytes.suffix(2)))
    }
  }

  /// Reads ``peers6(_:)``. A partial record at the end is ignored.
  static func peers6(reading text: String) -> [PeerAddress] {
    records(text, of: 18).compactMap { bytes in
      guard let host = IPAddress(bytes: bytes.prefix(16)), host.isIPv6 else { return nil }
      return PeerAddress(host: host.description, port: port(bytes.suffix(2)))
    }
  }

  private static func records(_ text: String, of size: Int) -> [ArraySlice<UInt8>] {
    guard let data = Data(base64Encoded: text, options: .ignoreUnknownCharacters) else { return [] }
    let bytes = [UInt8](data)
    return stride(from: 0, to: bytes.count / size * size, by: size).map { bytes[$0..<$0 + size] }
  }

  private static func port(_ bytes: ArraySlice<UInt8>) -> Int {
    bytes.reduce(0) { $0 << 8 | Int($1) }
  }

  /// Returns the address in a service record: a numeric one; 0.0.0.0 and port 0 are the sender's.
  static func service(
    _ target: DNSName, _ port: UInt16, from sender: PeerAddress
  ) -> PeerAddress? {
    guard let host = IPAddress(target.description) else { return nil }
    return PeerAddress(
      host: host == IPAddress(IPv4(number: 0)) ? sender.host : host.description,
      port: port == 0 ? sender.port : Int(port))
  }

  /// Answers a question about a topic with the known peers, in the form that was asked for.
  ///
  /// - Parameters:
  ///   - peers: the peers; 0.0.0.0 stands for this machine.
  ///   - ownHost: the address that stands for 0.0.0.0 in an address record.
  static func answers(
    to question: DNSQuestion, with peers: [PeerAddress], token: String, ownHost: String?
  ) -> [DNSRecord] {
    switch question.type {
    case DNSRecord.textType:
      let known = [("peers", Self.peers(peers)), ("peers6", Self.peers6(peers))]
        .filter { !$0.1.isEmpty }
      return [text(question.name, [("token", token)] + known)]
    case DNSRecord.serviceType:
      return peers.prefix(10).compactMap { peer in
        guard let port = UInt16(exactly: peer.port) else { return nil }
        return DNSRecord(
          question.name,
          .service(priority: 0, weight: 0, port: port, target: DNSName(peer.host)))
      }
    case DNSRecord.addressType:
      return peers.prefix(10).compactMap { peer in
        let host = peer.host == "0.0.0.0" ? ownHost ?? peer.host : peer.host
        return IPv4(host).map { DNSRecord(question.name, .address($0.bytes)) }
      }
    default: return []
    }
  }

  /// The most bytes of an answer without peers, and the size to which a question without a token is padded: a
  /// question with a forged sender is not amplified.
  static let tokenPacketBytes = 200

  /// Returns strings that take this many bytes in a record, as padding.
  static func padding(_ bytes: Int) -> [[UInt8]] {
    var strings: [[UInt8]] = []
    var rest = bytes
    while rest > 0 {
      let name = Array("padding=".utf8)
      let count = max(min(rest - 1, 255), name.count)
      strings.append(name + [UInt8](repeating: 48, count: count - name.count))
      rest -= 1 + count
    }
    return strings
  }

  /// Answers the question for the domain alone with the asker's address as seen from here.
  static func whoami(_ name: DNSName, _ asker: PeerAddress, token: String) -> DNSRecord {
    text(name, [("token", token), ("host", asker.host), ("port", "\(asker.port)")])
  }
}

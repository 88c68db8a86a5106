internal import DatDNS
internal import Foundation
internal import HypercoreCrypto

/// What dns-discovery says in DNS messages: names, tokens and lists of peers.
enum DiscoveryMessages {
  /// Dat's domain; dns-discovery alone would say `dns-discovery.local`.
  static let domain = DNSName("dat.local")

  static func name(of topic: Topic) -> DNSName {
    DNSName(labels: [Array(topic.hex.utf8)] + domain.labels)
  }

  /// What a name of any domain of two labels is about; nil where that is no topic.
  static func topic(of name: DNSName) -> Topic? {
    guard name.labels.count == 3 else { return nil }
    return Topic(hex: String(decoding: name.labels[0], as: UTF8.self))
  }

  /// Asks for the peers of a topic.
  static func question(about topic: Topic) -> DNSQuestion {
    DNSQuestion(name(of: topic), type: DNSRecord.textType)
  }

  /// Proves to its maker, later, that somebody at this address has read it.
  static func token(_ secret: [UInt8], for host: String) -> String {
    Data(SHA256.hash(secret + Array(host.utf8))).base64EncodedString()
  }

  /// A text record of `name=value` strings.
  static func text(_ name: DNSName, _ fields: [(String, String)]) -> DNSRecord {
    DNSRecord(name, .text(fields.map { Array("\($0)=\($1)".utf8) }))
  }

  /// The strings of a text record, cut at their first `=`; a string without one is empty. What is not
  /// ASCII is none of ours, and would cost much to compare.
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

  /// As many records as fit into one string with its name: more would wrap the length in the reference.
  static let maximumPeers = 31

  /// Six bytes for each address, IPv4 and port, as base64. Other addresses are left out.
  static func peers(_ addresses: [PeerAddress]) -> String {
    var bytes: [UInt8] = []
    for address in addresses.prefix(maximumPeers) {
      guard let host = IPv4(address.host), let port = UInt16(exactly: address.port) else {
        continue
      }
      bytes += host.bytes + [UInt8(port >> 8), UInt8(port & 255)]
    }
    return Data(bytes).base64EncodedString()
  }

  /// Reads ``peers(_:)``, where 0.0.0.0 stands for the sender. What is cut off at the end is ignored.
  static func peers(reading text: String, from sender: String) -> [PeerAddress] {
    guard let data = Data(base64Encoded: text, options: .ignoreUnknownCharacters) else { return [] }
    let bytes = [UInt8](data)
    return stride(from: 0, to: bytes.count / 6 * 6, by: 6).compactMap { start in
      guard let host = IPv4(bytes[start..<start + 4]) else { return nil }
      let port = Int(bytes[start + 4]) << 8 | Int(bytes[start + 5])
      return PeerAddress(host: host.number == 0 ? sender : host.description, port: port)
    }
  }

  /// What a service record names: an IPv4 address, 0.0.0.0 and port 0 being the sender's.
  static func service(
    _ target: DNSName, _ port: UInt16, from sender: PeerAddress
  ) -> PeerAddress? {
    guard let host = IPv4(target.description) else { return nil }
    return PeerAddress(
      host: host.number == 0 ? sender.host : host.description,
      port: port == 0 ? sender.port : Int(port))
  }

  /// Answers a question about a topic with what is known, in the form that was asked for.
  ///
  /// - Parameters:
  ///   - peers: 0.0.0.0 for ourselves.
  ///   - ownHost: what stands for 0.0.0.0 in an address record.
  static func answers(
    to question: DNSQuestion, with peers: [PeerAddress], token: String, ownHost: String?
  ) -> [DNSRecord] {
    switch question.type {
    case DNSRecord.textType:
      let known = peers.isEmpty ? [] : [("peers", Self.peers(peers))]
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

  /// Answers the question for the domain alone: who the asker is, seen from here.
  static func whoami(_ name: DNSName, _ asker: PeerAddress, token: String) -> DNSRecord {
    text(name, [("token", token), ("host", asker.host), ("port", "\(asker.port)")])
  }
}

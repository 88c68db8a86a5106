/// An address at which a peer may be reached, as hubs carry it: `candidate:…`.
///
/// Source: RFC 8839, section 5.1. Only UDP candidates of the first component with numeric addresses are
/// usable; names ending in `.local`, behind which browsers hide their addresses, are not.
package struct ICECandidate: Hashable, Sendable {
  /// The way in which the peer learned of the address.
  package enum Kind: String, Hashable, Sendable {
    case host, srflx, prflx, relay

    /// The type preference, which is the kind's part of a priority. RFC 8445, section 5.1.2.2.
    var preference: UInt32 {
      switch self {
      case .host: 126
      case .prflx: 110
      case .srflx: 100
      case .relay: 0
      }
    }

    init?(_ text: some Collection<UInt8>) {
      for kind in [Self.host, .srflx, .prflx, .relay] where text.elementsEqual(kind.rawValue.utf8) {
        self = kind
        return
      }
      return nil
    }
  }

  package var address: TransportAddress
  package var kind: Kind
  package var priority: UInt32
  /// The address behind a reflexive or relayed one.
  var related: TransportAddress?
  var foundation = "1"

  /// The longest text that is read, in bytes.
  static let textLimit = 512

  init(
    address: TransportAddress, kind: Kind, priority: UInt32, related: TransportAddress? = nil
  ) {
    self.address = address
    self.kind = kind
    self.priority = priority
    self.related = related
  }

  /// Reads a candidate, with or without `a=` before it; nil if it is not usable here.
  package init?(parsing text: some Collection<UInt8>) {
    guard text.count <= Self.textLimit else { return nil }
    var rest = Array(text)[...]
    if rest.starts(with: "a=".utf8) { rest = rest.dropFirst(2) }
    guard rest.starts(with: "candidate:".utf8) else { return nil }
    let fields = rest.dropFirst(10).split(separator: UInt8(ascii: " "))
    guard fields.count >= 8, fields[1].elementsEqual("1".utf8),
      fields[2].lazy.map({ $0 | 0x20 }).elementsEqual("udp".utf8),
      let priority = DecimalNumber.parse(fields[3]),
      let port = DecimalNumber.parse(fields[5]).flatMap(UInt16.init(exactly:)),
      let address = TransportAddress(host: fields[4], port: port), address.isUsable,
      fields[6].elementsEqual("typ".utf8), let kind = Kind(fields[7])
    else { return nil }
    self.init(address: address, kind: kind, priority: priority)
  }

  /// The text in the form that other implementations read.
  package var description: String {
    var text =
      "candidate:\(foundation) 1 udp \(priority) \(address.host) \(address.port) typ \(kind.rawValue)"
    if kind != .host {
      // A peer that hides its host addresses names none here either.
      let related = related ?? TransportAddress(bytes: address.bytes.map { _ in 0 }, port: 0)
      text += " raddr \(related.host) rport \(related.port)"
    }
    return text
  }

  /// Returns the priority of a local address. RFC 8445, section 5.1.2.1.
  static func priority(_ kind: Kind, preference: UInt16 = .max) -> UInt32 {
    kind.preference << 24 | UInt32(preference) << 8 | 255
  }
}

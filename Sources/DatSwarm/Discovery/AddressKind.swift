/// The reach of an address, as far as its number tells.
enum AddressKind: Hashable {
  /// Any machine.
  case global
  /// A machine of one network: private, link-local and carrier-grade ranges.
  case local
  /// This machine.
  case loopback
  /// Not a single machine, or one that can't be dialled: multicast, broadcast, reserved, unspecified, port 0.
  case unusable
  /// A name, which only a user gives.
  case name

  init(_ address: PeerAddress) {
    guard (1...65535).contains(address.port) else {
      self = .unusable
      return
    }
    if let number = IPv4(address.host) {
      self = Self(number)
    } else if address.host.contains(":") {
      self = Self(ipv6: address.host.lowercased())
    } else {
      self = .name
    }
  }

  private init(_ address: IPv4) {
    let (a, b, _, _) = address.octets
    switch (a, b) {
    case (0, _), (224..., _): self = .unusable
    case (127, _): self = .loopback
    case (10, _), (172, 16...31), (192, 168), (169, 254), (100, 64...127): self = .local
    default: self = .global
    }
  }

  private init(ipv6 text: String) {
    if text == "::" || text.hasPrefix("ff") || text.contains(".") {
      // An IPv6 address with IPv4 notation inside it is IPv4 in disguise.
      self = .unusable
    } else if text == "::1" {
      self = .loopback
    } else if text.hasPrefix("fc") || text.hasPrefix("fd")
      || ["fe8", "fe9", "fea", "feb"].contains(where: text.hasPrefix)
    {
      self = .local
    } else {
      self = .global
    }
  }
}

/// An IPv4 address as a number.
struct IPv4: Hashable, Sendable, CustomStringConvertible {
  var number: UInt32

  init(number: UInt32) { self.number = number }

  /// Makes an address of four bytes in network order; nil for any other number of them.
  init?(_ bytes: some Collection<UInt8>) {
    guard bytes.count == 4 else { return nil }
    number = bytes.reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// Reads four decimal numbers with dots between them.
  init?(_ text: String) {
    var number: UInt32 = 0
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    for part in parts {
      guard (1...3).contains(part.count), part.allSatisfy({ (48...57).contains($0) }) else {
        return nil
      }
      let value = part.reduce(0) { $0 * 10 + UInt32($1 - 48) }
      guard value < 256 else { return nil }
      number = number << 8 | value
    }
    self.number = number
  }

  var octets: (UInt8, UInt8, UInt8, UInt8) {
    (
      UInt8(number >> 24), UInt8(number >> 16 & 255), UInt8(number >> 8 & 255), UInt8(number & 255)
    )
  }

  var bytes: [UInt8] {
    let (a, b, c, d) = octets
    return [a, b, c, d]
  }

  var description: String {
    let (a, b, c, d) = octets
    return "\(a).\(b).\(c).\(d)"
  }
}

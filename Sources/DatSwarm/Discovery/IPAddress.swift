internal import NIOCore

/// A numeric address of either kind, as its bits. Places and budgets are counted by it.
struct IPAddress: Hashable, Sendable, CustomStringConvertible {
  /// The upper half of an IPv6 address; 0 for IPv4.
  private var high: UInt64
  /// The lower half of an IPv6 address, or an IPv4 address.
  private var low: UInt64
  /// True if it is an IPv6 address.
  let isIPv6: Bool

  init(_ address: IPv4) {
    high = 0
    low = UInt64(address.number)
    isIPv6 = false
  }

  /// Reads a numeric address. An IPv4 address in IPv6 notation is IPv4.
  ///
  /// - Returns: nil for a name, and for anything longer than an address is.
  init?(_ text: String) {
    guard text.utf8.count <= 45 else { return nil }
    if let number = IPv4(text) {
      self.init(number)
      return
    }
    guard case .v6(let address)? = try? SocketAddress(ipAddress: text, port: 0) else { return nil }
    // The address follows family, port and flow label.
    self.init(bytes: withUnsafeBytes(of: address.address) { Array($0[8..<24]) })
  }

  /// Makes an address of four bytes or sixteen, in network order; nil for any other number of them.
  init?(bytes: some Collection<UInt8>) {
    if let number = IPv4(bytes) {
      self.init(number)
      return
    }
    guard bytes.count == 16 else { return nil }
    let high = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let low = bytes.dropFirst(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    if high == 0, low >> 32 == 0xffff {
      self.init(IPv4(number: UInt32(truncatingIfNeeded: low)))
      return
    }
    self.init(high, low)
  }

  private init(_ high: UInt64, _ low: UInt64) {
    self.high = high
    self.low = low
    isIPv6 = true
  }

  /// The four bytes or sixteen, in network order.
  var bytes: [UInt8] {
    guard isIPv6 else { return IPv4(number: UInt32(truncatingIfNeeded: low)).bytes }
    return [high, low].flatMap { half in
      stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: half >> UInt64($0)) }
    }
  }

  /// The address that counts as one host: itself, or for IPv6 its network of 64 bits, all addresses of
  /// which may belong to a single host.
  var neighbourhood: IPAddress {
    var address = self
    if isIPv6, !isLoopback { address.low = 0 }
    return address
  }

  /// True if it is this machine's own.
  var isLoopback: Bool { isIPv6 ? high == 0 && low == 1 : low >> 24 == 127 }

  /// The usual notation, with the zeros of an IPv6 address shortened.
  var description: String {
    guard isIPv6 else { return IPv4(number: UInt32(truncatingIfNeeded: low)).description }
    let address = try? SocketAddress(packedIPAddress: ByteBuffer(bytes: bytes), port: 0)
    return address?.ipAddress ?? ""
  }
}

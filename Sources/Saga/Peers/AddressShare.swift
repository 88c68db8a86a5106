/// The unit that has one share of what all newcomers may have: an IPv4 address, or an IPv6 network of 48 bits,
/// since that may be one customer's.
struct AddressShare: Hashable {
  private let bytes: [UInt8]

  /// - Parameter address: a numeric address as `getnameinfo` writes it; nil if none is known. Those without one
  ///   have one share together.
  init(_ address: String?) {
    let text = Array((address ?? "").utf8.prefix(64))
    let colon = UInt8(ascii: ":")
    guard text.contains(colon), !text.contains(UInt8(ascii: ".")) else {
      bytes = text
      return
    }
    // Groups of zeros are written as none at all.
    let groups = text.split(separator: colon, omittingEmptySubsequences: false)
    var network: [UInt8] = []
    for group in groups.prefix(3) {
      network += (group.isEmpty ? [UInt8(ascii: "0")] : Array(group)) + [colon]
      // What follows is the rest of the address.
      if group.isEmpty { break }
    }
    bytes = network
  }
}

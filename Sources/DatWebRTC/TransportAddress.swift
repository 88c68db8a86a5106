internal import CDataChannel

/// A numeric IPv4 or IPv6 address with a UDP port.
package struct TransportAddress: Hashable, Sendable, CustomStringConvertible {
  /// The address: four bytes or sixteen.
  package var bytes: [UInt8]
  /// The UDP port.
  package var port: UInt16

  var isIPv6: Bool { bytes.count == 16 }

  package init(bytes: [UInt8], port: UInt16) {
    self.bytes = bytes
    self.port = port
  }

  /// Reads a numeric address; nil for a name, or anything else.
  init?(host: some Collection<UInt8>, port: UInt16) {
    // No numeric address is longer.
    guard host.count <= 45, let bytes = Self.parse(Array(host)) else { return nil }
    self.init(bytes: bytes, port: port)
  }

  private static func parse(_ text: [UInt8]) -> [UInt8]? {
    guard text.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
    return text.contains(UInt8(ascii: ":")) ? parseIPv6(text) : parseIPv4(text)
  }

  private static func parseIPv4(_ text: [UInt8]) -> [UInt8]? {
    let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var bytes: [UInt8] = []
    for part in parts {
      guard (1...3).contains(part.count), let number = DecimalNumber.parse(part), number <= 255
      else {
        return nil
      }
      bytes.append(UInt8(number))
    }
    return bytes
  }

  /// Parses the groups before and after `::`, with an IPv4 address for the last two if there is one.
  private static func parseIPv6(_ text: [UInt8]) -> [UInt8]? {
    let colon = UInt8(ascii: ":")
    var halves: [[UInt8]] = [text]
    let gaps = text.indices.dropLast().filter { text[$0] == colon && text[$0 + 1] == colon }
    if let gap = gaps.first {
      guard gaps.count == 1 else { return nil }
      halves = [Array(text[..<gap]), Array(text[(gap + 2)...])]
    }
    var found: [[UInt8]] = []
    for half in halves {
      var bytes: [UInt8] = []
      let groups =
        half.isEmpty ? [] : half.split(separator: colon, omittingEmptySubsequences: false)
      for (index, group) in groups.enumerated() {
        if index == groups.count - 1, group.contains(UInt8(ascii: ".")) {
          guard let last = parseIPv4(Array(group)) else { return nil }
          bytes += last
        } else {
          guard let number = DecimalNumber.parseHex(group) else { return nil }
          bytes += [UInt8(number >> 8), UInt8(number & 0xff)]
        }
      }
      found.append(bytes)
    }
    let count = found.reduce(0) { $0 + $1.count }
    guard found.count == 2 ? count <= 14 : count == 16 else { return nil }
    return found[0] + [UInt8](repeating: 0, count: 16 - count) + (found.count == 2 ? found[1] : [])
  }

  /// True unless it belongs to no single machine or has port 0, so that a packet to it would be wasted.
  package var isUsable: Bool {
    if port == 0 || bytes.allSatisfy({ $0 == 0 }) { return false }
    if isIPv6 { return bytes[0] != 0xff }
    return bytes[0] != 0 && bytes[0] < 224
  }

  /// True if it is this machine's own.
  var isLoopback: Bool {
    isIPv6 ? bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1 : bytes[0] == 127
  }

  /// The address without its port, as candidates write it.
  var host: String {
    guard isIPv6 else { return bytes.map(String.init).joined(separator: ".") }
    return stride(from: 0, to: 16, by: 2)
      .map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }
      .joined(separator: ":")
  }

  package var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Numbers in foreign text: only digits, without sign or space.
enum DecimalNumber {
  /// Reads up to ten digits that fit into 32 bits.
  static func parse(_ text: some Collection<UInt8>) -> UInt32? {
    guard !text.isEmpty, text.count <= 10 else { return nil }
    var number: UInt64 = 0
    for byte in text {
      guard byte >= 0x30, byte <= 0x39 else { return nil }
      number = number * 10 + UInt64(byte - 0x30)
    }
    return UInt32(exactly: number)
  }

  /// Reads one to four hexadecimal digits.
  static func parseHex(_ text: some Collection<UInt8>) -> UInt16? {
    guard (1...4).contains(text.count) else { return nil }
    var number: UInt16 = 0
    for byte in text {
      guard let digit = hexDigit(byte) else { return nil }
      number = number << 4 | UInt16(digit)
    }
    return number
  }

  /// Returns the value of a hexadecimal digit.
  static func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x37
    case 0x61...0x66: byte - 0x57
    default: nil
    }
  }
}

extension TransportAddress {
  init(_ address: cdc_address) {
    let all = withUnsafeBytes(of: address.bytes) { Array($0) }
    self.init(bytes: address.is_ipv6 ? all : Array(all.prefix(4)), port: address.port)
  }

  var c: cdc_address {
    var address = cdc_address()
    address.is_ipv6 = isIPv6
    address.port = port
    withUnsafeMutableBytes(of: &address.bytes) { $0.copyBytes(from: bytes) }
    return address
  }
}

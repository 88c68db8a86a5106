/// The DNS servers that a machine's settings name, as `/etc/resolv.conf` has them.
package enum ResolverList {
  /// The most servers that are asked, as the C library has it.
  package static let most = 3

  /// Returns the addresses after `nameserver`, in their order.
  ///
  /// - Parameter bytes: the file. Everything else in it is ignored.
  package static func servers(in bytes: some Collection<UInt8>) -> [String] {
    var servers: [String] = []
    for line in bytes.prefix(65_536).split(whereSeparator: { $0 == 10 || $0 == 13 }) {
      let words = line.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 })
      guard words.count >= 2, words[0].elementsEqual("nameserver".utf8), words[1].count <= 64
      else { continue }
      let isAddress = words[1].allSatisfy {
        (0x30...0x39).contains($0) || (0x61...0x66).contains($0) || (0x41...0x46).contains($0)
          || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":")
      }
      guard isAddress else { continue }
      servers.append(String(decoding: words[1], as: UTF8.self))
      if servers.count == most { break }
    }
    return servers
  }
}

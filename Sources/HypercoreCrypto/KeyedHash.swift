internal import CSodium

/// BLAKE2b with a key, which only those who have the key can compute: proofs of members, of blocks and of messages.
package enum KeyedHash {
  /// Returns the hash of several byte strings, one after the other.
  ///
  /// - Parameters:
  ///   - parts: the byte strings. If their lengths are not fixed, the lengths have to be hashed, too.
  ///   - key: 16 to 64 bytes; with any other count the hash has no key.
  ///   - count: the number of bytes of the hash, 16 to 64.
  package static func hash(_ parts: [[UInt8]], key: [UInt8], count: Int = 32) -> [UInt8] {
    _ = Sodium.ready
    let message = parts.count == 1 ? parts[0] : Array(parts.joined())
    let key = (16...64).contains(key.count) ? key : []
    var digest = [UInt8](repeating: 0, count: min(max(count, 16), 64))
    digest.withUnsafeMutableBytes { output in
      message.withUnsafeBytes { message in
        key.withUnsafeBytes { key in
          _ = crypto_generichash(
            output.octets, output.count, message.octets, UInt64(message.count), key.octets,
            key.count)
        }
      }
    }
    return digest
  }

  /// Returns whether two hashes are the same, in a time that says nothing about where they differ.
  package static func isSame(_ one: [UInt8], _ other: [UInt8]) -> Bool {
    guard one.count == other.count else { return false }
    return zip(one, other).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }
}

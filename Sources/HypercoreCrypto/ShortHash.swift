internal import CSodium

/// SipHash-2-4 with a key of zeros, which distributes hyperdb's path components over the trie.
///
/// Calls `crypto_shorthash`. Fixture: `vectors/path-hash.json`.
public enum ShortHash {
  /// The eight bytes of the hash as a little-endian integer: the lowest bits come first in a path.
  public static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    _ = Sodium.ready
    var output: UInt64 = 0
    withUnsafeMutableBytes(of: &output) { output in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { key in
        key.initialize(repeating: 0)
        _ = crypto_shorthash(
          output.octets,
          bytes.octets, UInt64(bytes.count),
          key.baseAddress!)
      }
    }
    return UInt64(littleEndian: output)
  }
}

internal import CSodium

/// SHA-256, with which dns-discovery makes its tokens. The feeds' formats don't use it.
///
/// Calls `crypto_hash_sha256`.
public enum SHA256 {
  /// The 32 bytes of the hash.
  public static func hash(_ bytes: [UInt8]) -> [UInt8] {
    _ = Sodium.ready
    var output = [UInt8](repeating: 0, count: 32)
    output.withUnsafeMutableBytes { output in
      bytes.withUnsafeBytes { bytes in
        _ = crypto_hash_sha256(output.octets, bytes.octets, UInt64(bytes.count))
      }
    }
    return output
  }
}

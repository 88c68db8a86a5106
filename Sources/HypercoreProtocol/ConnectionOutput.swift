internal import HypercoreCrypto

/// The sending half of a connection: frames that are encrypted when they are taken.
struct ConnectionOutput {
  var buffer = OutputBuffer()
  /// The number of bytes at the start that are sent in clear: the first Feed.
  private var clearCount = 0
  private var cipher: StreamCipher?

  /// Encrypts everything after what is queued.
  mutating func startEncrypting(with key: PublicKey, nonce: Nonce) {
    clearCount = buffer.count
    cipher = StreamCipher(key: key, nonce: nonce)
  }

  /// Removes everything that is queued, encrypted.
  mutating func take() -> [UInt8] {
    defer { clearCount = 0 }
    return Self.take(&buffer, clear: clearCount, &cipher)
  }

  private static func take(
    _ buffer: inout OutputBuffer, clear: Int, _ cipher: inout StreamCipher?
  ) -> [UInt8] {
    buffer.take { bytes in
      cipher?.apply(to: UnsafeMutableRawBufferPointer(rebasing: bytes[clear...]))
    }
  }

  mutating func removeAll() {
    buffer.removeAll()
    clearCount = 0
  }
}

internal import CSodium

/// The 24 bytes that a side sends in its first Feed message.
public struct Nonce: Hashable, Sendable {
  /// The number of bytes of a nonce: 24.
  public static let byteCount = 24
  /// The bytes themselves.
  public let bytes: [UInt8]

  /// Creates a nonce from exactly 24 bytes; nil for any other number.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = Array(bytes)
  }
}

/// One direction of an encrypted connection: XSalsa20, with one keystream from its start to its
/// end.
///
/// Keeps its position between calls, so the stream may be cut anywhere.
/// Calls `crypto_core_hsalsa20` once and `crypto_stream_salsa20_xor_ic` after that, which together
/// are XSalsa20. Fixture: the `sessions` and `vectors/crypto.json`.
public struct StreamCipher: Sendable {
  private static let blockSize: UInt64 = 64

  /// The Salsa20 key that XSalsa20 derives from the key and the first 16 bytes of the nonce.
  private let key: [UInt8]
  /// The last 8 bytes of the nonce.
  private let nonce: [UInt8]
  /// The number of keystream bytes that were used.
  private var position: UInt64 = 0
  /// The keystream block that contains ``position``, unless that is at its start.
  private var partial = [UInt8](repeating: 0, count: 64)

  /// - Parameters:
  ///   - key: the key of the connection's first feed.
  ///   - nonce: the nonce of the side that sends in this direction.
  public init(key: PublicKey, nonce: Nonce) {
    _ = Sodium.ready
    var derived = [UInt8](repeating: 0, count: 32)
    key.withUnsafeBytes { keyBytes in
      _ = crypto_core_hsalsa20(
        &derived, nonce.bytes, keyBytes.octets, nil)
    }
    self.key = derived
    self.nonce = Array(nonce.bytes[16...])
  }

  /// Encrypts or decrypts `bytes` in place and advances by their number.
  public mutating func apply(to bytes: UnsafeMutableRawBufferPointer) {
    apply(from: UnsafeRawBufferPointer(bytes), to: bytes)
  }

  /// Encrypts or decrypts `source` into `target` and advances by the number of bytes. Both have the
  /// same length; they are the same memory or don't overlap.
  public mutating func apply(
    from source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer
  ) {
    let count = min(source.count, target.count)
    if count == 0 { return }
    let input = source.octets
    let output = target.octets
    var done = 0
    // The rest of a keystream block of an earlier call.
    let inBlock = Int(position % Self.blockSize)
    if inBlock > 0 {
      done = min(64 - inBlock, count)
      for index in 0..<done { output[index] = input[index] ^ partial[inBlock + index] }
    }
    // Whole blocks in one call.
    let whole = (count - done) & ~63
    if whole > 0 {
      _ = crypto_stream_salsa20_xor_ic(
        output + done, input + done, UInt64(whole), nonce,
        (position + UInt64(done)) / Self.blockSize, key)
      done += whole
    }
    // The start of a block; its rest is kept for the next call.
    if done < count {
      for index in 0..<64 { partial[index] = 0 }
      partial.withUnsafeMutableBufferPointer { block in
        _ = crypto_stream_salsa20_xor_ic(
          block.baseAddress!, block.baseAddress!, 64, nonce,
          (position + UInt64(done)) / Self.blockSize, key)
      }
      for index in 0..<(count - done) {
        output[done + index] = input[done + index] ^ partial[index]
      }
    }
    position += UInt64(count)
  }
}

extension Nonce {
  /// Returns 24 bytes from the system's generator: never the same twice.
  public static func random() -> Nonce {
    var generator = SystemRandomNumberGenerator()
    return Nonce((0..<byteCount).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
  }

  private init(_ bytes: [UInt8]) { self.bytes = bytes }
}

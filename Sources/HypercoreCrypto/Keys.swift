// The fixed-size values of the formats. Each has a type of its own, so that a discovery key can't
// be passed where a key is needed.

/// The Ed25519 public key of a feed: it names the feed and makes its blocks readable.
///
/// A feed's key is shared out of band. Anybody who has it can find, fetch and verify the feed, and
/// decrypt a connection that starts with it. The key of a static feed is its tree hash.
@frozen
public struct PublicKey: FixedBytes {
  public static let byteCount = 32

  @usableFromInline var storage = Words4()

  @inlinable
  public init() {}

  @inlinable
  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Swift.withUnsafeBytes(of: storage, body)
  }

  @inlinable
  public mutating func withUnsafeMutableBytes<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Swift.withUnsafeMutableBytes(of: &storage, body)
  }
}

/// The public name of a feed: BLAKE2b-256 of `hypercore`, keyed with the feed's key.
///
/// It is sent in clear and names folders; it does not reveal the key.
/// Source: hypercore-crypto `discoveryKey`.
@frozen
public struct DiscoveryKey: FixedBytes {
  public static let byteCount = 32

  @usableFromInline var storage = Words4()

  @inlinable
  public init() {}

  @inlinable
  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Swift.withUnsafeBytes(of: storage, body)
  }

  @inlinable
  public mutating func withUnsafeMutableBytes<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Swift.withUnsafeMutableBytes(of: &storage, body)
  }
}

/// A BLAKE2b-256 hash of a leaf, a parent or a set of roots.
@frozen
public struct Digest: FixedBytes {
  public static let byteCount = 32

  @usableFromInline var storage = Words4()

  @inlinable
  public init() {}

  @inlinable
  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Swift.withUnsafeBytes(of: storage, body)
  }

  @inlinable
  public mutating func withUnsafeMutableBytes<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Swift.withUnsafeMutableBytes(of: &storage, body)
  }
}

/// The Ed25519 secret key of a feed in libsodium's layout: 32 bytes of seed, then the public key.
@frozen
public struct SecretKey: FixedBytes {
  public static let byteCount = 64

  @usableFromInline var storage = Words8()

  @inlinable
  public init() {}

  @inlinable
  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Swift.withUnsafeBytes(of: storage, body)
  }

  @inlinable
  public mutating func withUnsafeMutableBytes<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Swift.withUnsafeMutableBytes(of: &storage, body)
  }

  /// Never shows the key itself.
  public var description: String { "SecretKey(of: \(publicKey))" }
}

/// A detached Ed25519 signature over the tree hash of a feed's length.
@frozen
public struct Signature: FixedBytes {
  public static let byteCount = 64

  @usableFromInline var storage = Words8()

  @inlinable
  public init() {}

  @inlinable
  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Swift.withUnsafeBytes(of: storage, body)
  }

  @inlinable
  public mutating func withUnsafeMutableBytes<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Swift.withUnsafeMutableBytes(of: &storage, body)
  }
}

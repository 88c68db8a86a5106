public import HypercoreCrypto

/// The name by which peers look each other up: the first 20 bytes of a discovery key, unhashed.
///
/// An announcement reveals nothing else: neither the key nor the whole discovery key follows from it.
/// Stands for discovery-channel's id with `hash: false`, which Dat uses.
public struct Topic: FixedBytes {
  public static let byteCount = 20

  private var storage: (UInt64, UInt64, UInt32) = (0, 0, 0)

  public init() {}

  /// Makes the topic of a feed, or of the first feed of a database.
  public init(_ key: DiscoveryKey) {
    withUnsafeMutableBytes { topic in
      key.withUnsafeBytes { topic.copyBytes(from: $0.prefix(Self.byteCount)) }
    }
  }

  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Swift.withUnsafeBytes(of: storage, body)
  }

  public mutating func withUnsafeMutableBytes<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Swift.withUnsafeMutableBytes(of: &storage, body)
  }

  public static func == (left: Self, right: Self) -> Bool { left.storage == right.storage }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(storage.0)
    hasher.combine(storage.1)
    hasher.combine(storage.2)
  }
}

internal import HypercoreCrypto

/// The keys of a feed, and what they have signed.
struct FeedKeys {
  /// The feed's key; nil for a static feed that is not finalized.
  private(set) var key: PublicKey?
  private(set) var discoveryKey: DiscoveryKey?
  /// Nil if the feed can't be signed here.
  let secretKey: SecretKey?
  /// The last roots that ``isSigned(_:by:)`` found to be signed, and their signature.
  private var lastSigned: (roots: Digest, signature: Signature)?

  init(key: PublicKey?, secretKey: SecretKey?) {
    self.key = key
    discoveryKey = key?.discoveryKey
    self.secretKey = secretKey
  }

  /// Gives a static feed its key.
  mutating func finalize(_ key: PublicKey) {
    self.key = key
    discoveryKey = key.discoveryKey
    lastSigned = nil
  }

  /// Returns whether the feed's key has signed roots, which are known by their hash.
  ///
  /// All peers of a feed send the same signature as long as nothing is appended: the last that was found to be
  /// right is not verified again.
  mutating func isSigned(_ roots: Digest, by signature: Signature) -> Bool {
    guard let key else { return false }
    if let lastSigned, lastSigned.signature == signature, lastSigned.roots == roots { return true }
    guard key.verifies(signature, of: roots) else { return false }
    lastSigned = (roots, signature)
    return true
  }
}

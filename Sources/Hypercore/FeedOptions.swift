package import HypercoreCrypto
package import RandomAccessStorage

/// When an append counts as done.
public enum Durability: Hashable, Sendable {
  /// Handed to the system: survives this process, not a loss of power. What the reference does.
  case buffered
  /// On the disk: data and tree are synced before the signature, the signature before the append
  /// returns.
  case synced
  /// As `synced` for every so many blocks, and for what was asked to be flushed; between, a loss of
  /// power may take the blocks appended last, never part of one.
  case grouped(blocks: Int)
}

/// How a ``FeedCore`` is opened.
package struct FeedOptions {
  /// The feed's key; nil takes the stored one, or a new one.
  package var key: PublicKey?
  /// The feed's secret key. A stored one goes before it. Without ``key`` it names the feed as well.
  package var secretKey: SecretKey?
  /// Whether to create a feed where none is stored and no key is given.
  package var createIfMissing = true
  /// Whether to forget a feed that is stored there.
  package var overwrite = false
  /// Whether the secret key is written beside the feed.
  package var storeSecretKey = true
  /// False for a static feed, which has no key pair: its key is the tree hash, once finalized.
  package var isLive = true
  package var durability = Durability.buffered
  /// Whether the caller holds the lock of the folder that the feed is in.
  package var holdsLock = false
  /// Whether a key pair whose blocks are not here may be written at once, since it is known to be new.
  package var isNew = true
  /// Where the blocks' bytes are, if not in the feed's own file `data`: see ``Feed/Options/blockStorage``.
  package var data: (any RandomAccessStorage)?
  /// Makes the key pair of a new feed.
  package var makeKeyPair: () -> KeyPair = KeyPair.generate

  package init(
    key: PublicKey? = nil, secretKey: SecretKey? = nil, createIfMissing: Bool = true,
    overwrite: Bool = false, storeSecretKey: Bool = true, isLive: Bool = true,
    durability: Durability = .buffered, holdsLock: Bool = false
  ) {
    self.key = key
    self.secretKey = secretKey
    self.createIfMissing = createIfMissing
    self.overwrite = overwrite
    self.storeSecretKey = storeSecretKey
    self.isLive = isLive
    self.durability = durability
    self.holdsLock = holdsLock
  }

  /// Opens the feed of a key pair, to write.
  package init(keyPair: KeyPair) {
    self.init(key: keyPair.publicKey, secretKey: keyPair.secretKey)
  }
}

package import HypercoreCrypto
package import RandomAccessStorage

/// The moment at which an append is acknowledged.
public enum Durability: Hashable, Sendable {
  /// Handed to the system: survives the end of this process, but not a power loss. As in the reference.
  case buffered
  /// On the disk: data and tree are synced before the signature, the signature before the append
  /// returns.
  case synced
  /// As `synced` after this many blocks, and on a flush. In between, a power loss may take the blocks that
  /// were appended last, but never part of one.
  case grouped(blocks: Int)
}

/// Options for opening a ``FeedCore``.
package struct FeedOptions {
  /// The feed's key; nil for the stored one, or a new one.
  package var key: PublicKey?
  /// The feed's secret key. A stored one takes precedence. Without ``key`` it identifies the feed as well.
  package var secretKey: SecretKey?
  /// True to create a feed if none is stored and no key is given.
  package var createIfMissing = true
  /// True to discard a feed that is stored there.
  package var overwrite = false
  /// True to write the secret key beside the feed.
  package var storeSecretKey = true
  /// False for a static feed, which has no key pair: once finalized, its key is its tree hash.
  package var isLive = true
  package var durability = Durability.buffered
  /// True if the caller holds the lock of the folder that the feed is in.
  package var holdsLock = false
  /// True if a key pair is known to be new, so that it may be written at once without any block.
  package var isNew = true
  /// The storage of the blocks' bytes, if not the feed's own file `data`: see ``Feed/Options/blockStorage``.
  package var data: (any RandomAccessStorage)?
  /// A function that makes the key pair of a new feed.
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

  /// Creates options that open the feed of a key pair, to write it.
  package init(keyPair: KeyPair) {
    self.init(key: keyPair.publicKey, secretKey: keyPair.secretKey)
  }
}

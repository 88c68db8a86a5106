package import HypercoreCrypto
internal import RandomAccessStorage

// The state of a feed as its owners see it. What changes it is in the values that hold it.

extension FeedCore {
  /// The feed's key; nil for a static feed that is not finalized.
  package var key: PublicKey? { keys.key }
  package var discoveryKey: DiscoveryKey? { keys.discoveryKey }
  /// Nil if the feed can't be signed here.
  package var secretKey: SecretKey? { keys.secretKey }
  /// True if the secret key is here, even if the feed can't be written yet.
  package var isOwned: Bool { keys.secretKey != nil }

  /// True if the feed is signed; the key of a static feed is its tree hash.
  package var isLive: Bool { extent.isLive }
  /// The number of blocks that the feed is known to have, stored here or not.
  package var length: UInt64 { extent.length }
  /// The total size of these blocks in bytes.
  package var byteLength: UInt64 { extent.byteLength }
  /// The full roots of ``length``, ascending.
  package var roots: [Node] { extent.roots }
  /// The hash over all roots, which is what is signed.
  package var treeHash: Digest { TreeHash.tree(extent.roots) }

  var isClosed: Bool { standing.isClosed }
  /// The first write that failed.
  var failure: FeedError? { standing.failure }
  /// Two histories signed by the feed's key, found now or before; see ``quarantine(_:)``.
  package var forkEvidence: ForkEvidence? { isStopped ? standing.forkEvidence : nil }
  /// The reason why nothing is written before ``resume()`` succeeds, or ever; nil if there is none.
  package var stopReason: FeedError? { isStopped ? standing.stopReason : nil }
  /// True if there is a ``stopReason``.
  package var isStopped: Bool { standing.isStopped }
  /// A count of uses, by which an owner detects whether there was one.
  package var uses: UInt64 { standing.uses }

  /// The findings of opening the feed.
  package var report: RepairReport { recovery.report }
  /// The losses that have to be restored before the feed may be written.
  var damage: Damage? { recovery.damage }
  /// True if the folder was copied or restored since the feed was written there, and no peer has been asked
  /// since whether there is more of the feed.
  package var isCopy: Bool { recovery.isCopy }
  /// True if the key pair is here without any block, so there may be more of the feed elsewhere: it is not
  /// written before a peer has proven how long it is.
  package var isRestoring: Bool { recovery.isRestoring }

  package var durability: Durability {
    get { diskSync.durability }
    set { diskSync.durability = newValue }
  }

  var access: StorageAccess { files.access }
  var signatures: SignatureFile { SignatureFile(file: files.signatures) }

  /// True if ``append(_:)`` is possible.
  package var isWritable: Bool {
    access == .readWrite && (isOwned || keys.key == nil) && recovery.damage == nil && !isClosed
      && !isStopped && !isRestoring
  }

  /// True if peers' blocks are wanted and can be stored: the feed isn't written here, or has to recover
  /// something first.
  package var wantsBlocks: Bool { access == .readWrite && (!isWritable || isCopy) }
}

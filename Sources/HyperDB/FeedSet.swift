internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// The feeds of one database, in the folders that hyperdb gives them.
final class FeedSet {
  private let storage: any StorageProvider
  private let options: HyperDBOptions
  private(set) var logs: [PublicKey: ReplicatedFeed] = [:]
  /// Told what happens to any of them.
  var onChange: ((PublicKey, ReplicatorEvent) -> Void)?

  init(_ storage: any StorageProvider, _ options: HyperDBOptions) {
    self.storage = storage
    self.options = options
  }

  /// The first writer's feed, whose key is the database's. Its lock stands for the whole folder.
  func openSource(_ key: PublicKey?) throws -> ReplicatedFeed {
    var feed = FeedOptions(key: key, durability: options.durability)
    if key == nil || key == options.keyPair?.publicKey, let pair = options.keyPair {
      feed.key = pair.publicKey
      feed.secretKey = pair.secretKey
    }
    return try open("source/", feed)
  }

  /// A clone's own feed, made at the first time.
  func openLocal() throws -> ReplicatedFeed? {
    if storage.access == .readOnly, !(try storage.exists("local/key")) { return nil }
    var feed = FeedOptions(durability: options.durability, holdsLock: true)
    if let pair = options.localKeyPair {
      feed.key = pair.publicKey
      feed.secretKey = pair.secretKey
    }
    return try open("local/", feed)
  }

  /// Another writer's feed. Nothing is created on disk before a block of it is verified: anybody
  /// whose list is read can name feeds.
  func openPeer(_ key: PublicKey) throws -> ReplicatedFeed {
    if let known = logs[key] { return known }
    let prefix = "peers/\(key.discoveryKey.hex)/"
    let feed = FeedOptions(key: key, durability: options.durability, holdsLock: true)
    let isStored = try storage.exists(prefix + "key")
    return try open(prefix, feed, in: isStored ? storage : DeferredStorage(storage))
  }

  private func open(
    _ prefix: String, _ feed: FeedOptions, in storage: (any StorageProvider)? = nil
  ) throws -> ReplicatedFeed {
    let core = try FeedCore.open(in: storage ?? self.storage, prefix: prefix, options: feed)
    let log = try ReplicatedFeed(Replicator(core: core, isSparse: options.sparse))
    log.replicator.onEvent = { [weak self] event in self?.onChange?(log.key, event) }
    logs[log.key] = log
    return log
  }

  func close() {
    onChange = nil
    for log in logs.values {
      log.replicator.close()
      // What could not be written was reported by the call that wrote it.
      try? log.core.close()
    }
  }
}

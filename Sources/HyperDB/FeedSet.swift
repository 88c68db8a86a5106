internal import DatCoding
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// The feeds of one database, in the folders that hyperdb gives them.
final class FeedSet {
  private let storage: any StorageProvider
  private let options: HyperDBOptions
  private(set) var logs: [PublicKey: ReplicatedFeed] = [:]
  /// The keys of the local content feed, where content feeds are on and there is a local feed.
  private(set) var contentKeyPair: KeyPair?
  /// Told what happens to any of them.
  var onChange: ((PublicKey, ReplicatorEvent) -> Void)?
  private let codec = EntryMessageCodec()
  /// Whether nothing of the database was stored before it was opened.
  private var isNew = false
  /// What each feed may take of the disk.
  private let disk: DiskLimits

  init(_ storage: any StorageProvider, _ options: HyperDBOptions) {
    self.storage = storage
    self.options = options
    var disk = options.disk
    // Counted always, so that it can be told.
    disk.budget = DiskBudget(limit: disk.inAll, name: "this database", within: disk.budget)
    self.disk = disk
  }

  /// How many bytes of the disk the feeds take.
  var diskUse: UInt64 { disk.budget?.used ?? 0 }

  var isReadOnly: Bool { storage.access == .readOnly }

  /// The first writer's feed, whose key is the database's. Its lock stands for the whole folder.
  func openSource(_ key: PublicKey?) throws -> ReplicatedFeed {
    var feed = FeedOptions(key: key, durability: options.durability)
    if key == nil || key == options.keyPair?.publicKey, let pair = options.keyPair {
      feed.key = pair.publicKey
      feed.secretKey = pair.secretKey
    }
    feed.isNew = options.isNew
    isNew = try !storage.exists("source/key")
    let source = try open("source/", feed)
    if options.looksFirst, !source.core.isOwned, !source.core.has(0) {
      let name = source.key
      source.replicator.firstBlockCheck = { kind in
        kind == .database
          ? nil
          : FeedError(
            code: .wrongKind,
            reason:
              "\(name) is the key of \(kind.name): it can't be opened as a database or a room.")
      }
    }
    return try deriveContent(of: source)
  }

  /// A clone's own feed, made at the first time.
  func openLocal() throws -> ReplicatedFeed? {
    if storage.access == .readOnly, !(try storage.exists("local/key")) { return nil }
    var feed = FeedOptions(durability: options.durability, holdsLock: true)
    if let pair = options.localKeyPair {
      feed.key = pair.publicKey
      feed.secretKey = pair.secretKey
    }
    feed.isNew = options.isNew
    return try deriveContent(of: try open("local/", feed))
  }

  private func deriveContent(of log: ReplicatedFeed) throws -> ReplicatedFeed {
    if options.contentFeed, let secret = log.core.secretKey {
      contentKeyPair = KeyPair.contentFeed(of: secret)
    }
    return log
  }

  /// Another writer's feed. Nothing is created on disk before a block of it is verified: anybody
  /// whose list is read can name feeds.
  func openPeer(_ key: PublicKey) throws -> ReplicatedFeed {
    if let known = logs[key] { return known }
    let prefix = "peers/\(key.discoveryKey.hex)/"
    let feed = FeedOptions(key: key, durability: options.durability, holdsLock: true)
    return try open(prefix, feed, in: try deferred(prefix))
  }

  /// A feed that somebody named, if anything of it is stored.
  func openStored(_ key: PublicKey) throws -> ReplicatedFeed? {
    if let known = logs[key] { return known }
    let isStored = try storage.exists("peers/\(key.discoveryKey.hex)/key")
    return isStored || options.feedOrder.contains(key) ? try openPeer(key) : nil
  }

  /// Gives back what a feed takes of which no block has come.
  func release(_ key: PublicKey) {
    guard let log = logs[key], log.core.length == 0 else { return }
    logs[key] = nil
    log.replicator.close()
    // Nothing was written.
    try? log.core.close()
  }

  /// A writer's content feed, in the folder that is named for the writer's own feed.
  func openContent(
    of writer: PublicKey, key: PublicKey, secret: KeyPair?
  ) throws -> Replicator {
    let prefix = "content/\(writer.discoveryKey.hex)/"
    var feed = FeedOptions(
      key: key, storeSecretKey: false, durability: options.durability, holdsLock: true)
    feed.secretKey = secret?.secretKey
    // Its keys follow from the writer's: they are as new as those.
    feed.isNew = logs[writer]?.core.report.findings.contains(.blocksMissing) != true
    let core = try FeedCore.open(in: try deferred(prefix), prefix: prefix, options: feed)
    let replicator = Replicator(
      core: core, isSparse: options.sparseContent ?? options.sparse, disk: disk,
      random: options.makeRandom())
    replicator.endsWhenIdle = true
    return replicator
  }

  private func deferred(_ prefix: String) throws -> any StorageProvider {
    try storage.exists(prefix + "key") ? storage : DeferredStorage(storage)
  }

  private func open(
    _ prefix: String, _ feed: FeedOptions, in storage: (any StorageProvider)? = nil
  ) throws -> ReplicatedFeed {
    let core = try FeedCore.open(in: storage ?? self.storage, prefix: prefix, options: feed)
    let log = try ReplicatedFeed(
      Replicator(
        core: core, isSparse: options.sparse, disk: disk, random: options.makeRandom()))
    log.replicator.endsWhenIdle = true
    log.replicator.onEvent = { [weak self, weak log, key = log.key] event in
      log?.follow(event)
      self?.onChange?(key, event)
    }
    if let onWrite = options.onWrite {
      log.replicator.onWrite = { [codec, key = log.key] index, block, peer in
        guard index > 0 else { return }
        try onWrite(Self.proposal(codec, key, index, block, peer: peer))
      }
      log.log.onAppend = { [codec, key = log.key] index, block in
        guard index > 0 else { return }
        try onWrite(Self.proposal(codec, key, index, block, peer: nil))
      }
    }
    logs[log.key] = log
    return log
  }

  private static func proposal(
    _ codec: EntryMessageCodec, _ feed: PublicKey, _ seq: UInt64, _ block: [UInt8], peer: FeedPeer?
  ) -> ProposedEntry {
    let entry = codec.decode(block, inflated: false)
    return ProposedEntry(
      feed: feed, seq: seq, block: block, keyBytes: entry?.key, value: entry?.value,
      isDeleted: entry?.deleted ?? false, isLocal: peer == nil, peer: peer?.remoteID)
  }

  /// - Parameter discarding: whether to leave nothing behind of a database that is none, if it was not there before.
  func close(discarding: Bool = false) {
    onChange = nil
    for log in logs.values {
      log.replicator.close()
      // A key pair that came without its blocks is not to be lost.
      if discarding, isNew, !log.core.isRestoring {
        try? log.core.discard()
        continue
      }
      // What could not be written was reported by the call that wrote it.
      try? log.core.close()
    }
  }
}

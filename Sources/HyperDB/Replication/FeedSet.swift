internal import DatCoding
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// The feeds of one database, in the folders that hyperdb gives them.
final class FeedSet {
  private let storage: any StorageProvider
  private let options: HyperDB.Options
  private(set) var logs: [PublicKey: ReplicatedFeed] = [:]
  /// The keys of the local content feed, if content feeds are on and there is a local feed.
  private(set) var contentKeyPair: KeyPair?
  /// Notified of the events of every feed.
  var onChange: ((PublicKey, ReplicatorEvent) -> Void)?
  private let codec = EntryMessageCodec()
  /// True if nothing of the database was stored before it was opened.
  private var isNew = false
  /// The limits on the disk space of each feed and of all.
  private let disk: DiskLimits

  init(_ storage: any StorageProvider, _ options: HyperDB.Options) {
    self.storage = storage
    self.options = options
    var disk = options.disk
    // Always counted, so that the use can be reported.
    disk.budget = DiskBudget(limit: disk.inAll, name: "this database", within: disk.budget)
    self.disk = disk
  }

  /// The bytes on disk of all feeds.
  var diskUse: UInt64 { disk.budget?.used ?? 0 }

  /// Frees what is read again on demand: of each feed up to 2.5 MB of its tree, and its bitfield.
  func releaseCaches() {
    for log in logs.values { log.core.releaseCaches() }
    codec.shed()
  }

  /// A number that changes when any feed is used.
  var uses: UInt64 { logs.values.reduce(0) { $0 &+ $1.core.uses } }

  var isReadOnly: Bool { storage.access == .readOnly }

  /// Opens the first writer's feed, whose key is the database's. Its lock protects the whole folder.
  func openSource(_ key: PublicKey?) throws -> ReplicatedFeed {
    var feed = FeedOptions(key: key, durability: options.durability)
    if key == nil || key == options.keyPair?.publicKey, let pair = options.keyPair {
      feed.key = pair.publicKey
      feed.secretKey = pair.secretKey
    }
    feed.isNew = options.isNew
    feed.storeSecretKey = options.storeSecretKey
    isNew = try !storage.exists("source/key")
    if isNew, feed.key == nil, !options.storeSecretKey {
      throw HyperDBError(
        .notWritable,
        "A new database whose secret key is not stored could never be written again: give its key pair as "
          + "`keyPair`, and again each time it is opened.")
    }
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

  /// Opens a clone's own feed. It is created the first time.
  func openLocal() throws -> ReplicatedFeed? {
    let canMake =
      storage.access == .readWrite && (options.storeSecretKey || options.localKeyPair != nil)
    if !canMake, !(try storage.exists("local/key")) { return nil }
    var feed = FeedOptions(
      storeSecretKey: options.storeSecretKey, durability: options.durability, holdsLock: true)
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

  /// Opens a feed that a writer named, if anything of it is stored.
  func openStored(_ key: PublicKey) throws -> ReplicatedFeed? {
    if let known = logs[key] { return known }
    let isStored = try storage.exists("peers/\(key.discoveryKey.hex)/key")
    return isStored || options.feedOrder.contains(key) ? try openPeer(key) : nil
  }

  /// Releases a feed of which no block has come.
  func release(_ key: PublicKey) {
    guard let log = logs[key], log.core.length == 0 else { return }
    logs[key] = nil
    log.replicator.close()
    // Nothing was written.
    try? log.core.close()
  }

  /// Opens a writer's content feed, in the folder that is named after the writer's own feed.
  func openContent(
    of writer: PublicKey, key: PublicKey, secret: KeyPair?
  ) throws -> Replicator {
    let prefix = "content/\(writer.discoveryKey.hex)/"
    var feed = FeedOptions(
      key: key, storeSecretKey: false, durability: options.durability, holdsLock: true)
    feed.secretKey = secret?.secretKey
    // Its keys are derived from the writer's: they are as new as those.
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

  /// - Parameter discarding: true to remove the files if the key turned out to be no database's and nothing
  ///   of it was stored before.
  func close(discarding: Bool = false) {
    onChange = nil
    for log in logs.values {
      log.replicator.close()
      // A key pair that came without its blocks must not be lost.
      if discarding, isNew, !log.core.isRestoring {
        try? log.core.discard()
        continue
      }
      // A failed write was reported by the call that made it.
      try? log.core.close()
    }
  }
}

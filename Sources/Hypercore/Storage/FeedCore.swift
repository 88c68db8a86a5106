internal import RandomAccessStorage

/// A change in a feed. Observers are notified once it is written.
package enum FeedChange: Equatable {
  /// Blocks were appended here.
  case appended(Range<UInt64>)
  /// A verified proof has extended the feed.
  case grew(to: UInt64)
  /// Blocks from elsewhere were stored, in runs.
  case stored([Range<UInt64>])
  /// Blocks were cleared.
  case cleared(Range<UInt64>)
  /// Blocks that counted as stored were found missing or changed; the record of them stays as it is.
  case setAside(Range<UInt64>)
  /// A write failed, or the feed was found to be forked: nothing is written until it is opened anew, or ever
  /// again.
  case stopped
}

/// The engine of one feed: its files, tree and bitfield, without peers.
///
/// Synchronous and not Sendable: the owner keeps it in one isolation domain. It uses no clock and no task,
/// and no resource but its storage. After a failed write it refuses to write, since memory and storage may
/// differ. Reading the state of the storage again resolves that.
///
/// Properties that are used for every block are `@exclusivity(unchecked)`: nothing calls out while it changes such a
/// property.
///
/// Source: hypercore v6.26.0 `index.js`.
package final class FeedCore {
  /// Its keys, and what they have signed.
  @exclusivity(unchecked) var keys: FeedKeys
  /// Its length and its roots.
  @exclusivity(unchecked) var extent: FeedExtent
  /// The reasons for which it can't be used or written.
  @exclusivity(unchecked) var standing = FeedStanding()
  /// The findings of opening it, and what they require before it is written again.
  var recovery = FeedRecovery()
  /// Called with changes after they are written.
  @exclusivity(unchecked) package var onChange: ((FeedChange) -> Void)?

  let files: FeedFiles
  let tree: TreeFile
  package let bits: Bitfield
  /// The lock on the feed, which this process holds.
  private var lock: (any StorageLock)?
  /// The offsets of its blocks in `data`.
  @exclusivity(unchecked) var locations = BlockLocations()
  /// Verified blocks and nodes that are waiting to be written.
  @exclusivity(unchecked) var batch = PutBatch()
  /// The rule by which writes are brought to the disk.
  var diskSync: DiskSync

  init(
    _ files: FeedFiles, _ identity: StoredFeed.Identity, options: FeedOptions, bits: Bitfield,
    lock: (any StorageLock)?
  ) throws(FeedError) {
    self.files = files
    self.bits = bits
    self.lock = lock
    keys = FeedKeys(key: identity.key, secretKey: identity.secretKey)
    extent = FeedExtent(isLive: options.isLive)
    diskSync = DiskSync(options.durability)
    tree = try TreeFile(files.tree)
    recovery.report.findings = identity.findings
  }

  // MARK: State

  func checkOpen() throws(FeedError) { try standing.use() }

  /// Checks that blocks or bits may be written.
  func checkStorable() throws(FeedError) {
    try standing.use()
    if standing.isStopped { try standing.throwStop() }
    if let failure = bits.failure { throw failure }
    guard access == .readWrite else {
      throw FeedError(code: .notWritable, reason: "The feed was opened read-only.")
    }
  }

  /// Runs writes; after a failure the feed can't be written.
  func writing<Result>(_ body: () throws(FeedError) -> Result) throws(FeedError) -> Result {
    do {
      return try body()
    } catch {
      standing.fail(error)
      dropBatch()
      onChange?(.stopped)
      throw error
    }
  }

  // MARK: Ending

  /// Writes what is pending and brings it to the disk.
  package func sync() throws(FeedError) {
    try checkStorable()
    try commitBatch()
    try writing { () throws(FeedError) in
      try bringToDisk(files.data)
      try bringToDisk(tree.file)
      try bringToDisk(files.signatures)
      try bringToDisk(files.bitfield)
    }
    diskSync.synced()
  }

  /// Syncs one file. After a failure nothing is written before the feed is opened anew: the system may have
  /// dropped what it could not write, and report the file as clean.
  func bringToDisk(_ file: FeedFile) throws(FeedError) {
    do {
      try file.sync()
    } catch {
      diskSync.fail()
      throw error
    }
  }

  /// Writes what is pending and releases the files and the lock. A second call does nothing.
  package func close() throws(FeedError) {
    guard !isClosed else { return }
    defer {
      standing.close()
      files.close()
      lock?.release()
      lock = nil
      onChange = nil
    }
    if access == .readWrite, failure == nil { try commitBatch() }
  }

  /// Closes the feed and removes its files, if its storage can.
  package func discard() throws(FeedError) {
    try close()
    for file in files.all {
      if file.name == files.data.name, files.dataIsElsewhere { continue }
      do { try files.provider.remove(file.name) } catch { throw FeedError(error) }
    }
  }

  /// Releases memory whose content can be read again. An open file stays open until the pool needs it.
  package func releaseCaches() {
    tree.releaseCaches()
    bits.releasePages()
    locations.releaseMemory()
  }
}

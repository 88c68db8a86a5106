package import HypercoreCrypto
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
/// Source: hypercore v6.26.0 `index.js`.
package final class FeedCore {
  /// The feed's key; nil for a static feed that is not finalized.
  package internal(set) var key: PublicKey?
  package internal(set) var discoveryKey: DiscoveryKey?
  /// Nil if the feed can't be signed here.
  package internal(set) var secretKey: SecretKey?
  /// True if the feed is signed; the key of a static feed is its tree hash.
  @exclusivity(unchecked) package internal(set) var isLive: Bool
  /// The number of blocks that the feed is known to have, stored here or not.
  @exclusivity(unchecked) package internal(set) var length: UInt64 = 0
  /// The total size of these blocks in bytes.
  @exclusivity(unchecked) package internal(set) var byteLength: UInt64 = 0
  /// The full roots of ``length``, ascending.
  @exclusivity(unchecked) package internal(set) var roots: [Node] = []
  /// The findings of opening the feed.
  package internal(set) var report = RepairReport()
  /// Two histories signed by the feed's key, found now or before; see ``FeedCore/quarantine(_:)``.
  @exclusivity(unchecked) package internal(set) var forkEvidence: ForkEvidence? {
    didSet { noteStop() }
  }
  /// True if the folder was copied or restored since the feed was written there, and no peer has been asked
  /// since whether there is more of the feed.
  package internal(set) var isCopy = false
  /// True if the key pair is here without any block, so there may be more of the feed elsewhere: it is not
  /// written before a peer has proven how long it is.
  package internal(set) var isRestoring = false
  /// True if the file `marker` says that blocks are missing.
  var isMarkedRestoring = false
  /// True if the folder has yet to be marked as the one in which the feed is written.
  var needsMarker = false
  /// Called with changes after they are written.
  @exclusivity(unchecked) package var onChange: ((FeedChange) -> Void)?
  package var durability: Durability

  let access: StorageAccess
  let storage: any StorageProvider
  let files: FeedFiles
  let tree: TreeFile
  let signatures: SignatureFile
  package let bits: Bitfield
  var lock: (any StorageLock)?
  @exclusivity(unchecked) var isClosed = false
  /// The first write that failed.
  @exclusivity(unchecked) var failure: FeedError? {
    didSet { noteStop() }
  }
  /// True if there is a ``stopReason``. Read for every message, so it copies none.
  @exclusivity(unchecked) package private(set) var isStopped = false
  /// The last roots that ``isSigned(_:by:)`` found to be signed, and their signature.
  @exclusivity(unchecked) private var lastSigned: (roots: Digest, signature: Signature)?
  var syncHasFailed = false
  /// The losses that have to be restored before the feed may be written; see ``RepairReport``.
  var damage: Damage?
  /// The byte offset of every 64th block; `UInt64.max` if it was not needed yet.
  @exclusivity(unchecked) var offsetMarks: [UInt64] = []
  /// The places in `data` of blocks that were read one at a time.
  @exclusivity(unchecked) var places = BlockPlaces()
  /// The offset of the block after the one stored last: blocks nearly always come in order.
  @exclusivity(unchecked) var nextOffset: (block: UInt64, offset: UInt64)?
  var unsyncedBlocks = 0
  /// The number of nodes that were found to be lost since the feed was opened.
  @exclusivity(unchecked) var lostNodes = 0
  @exclusivity(unchecked) var batch = PutBatch()
  /// A count of uses, by which an owner detects whether there was one.
  @exclusivity(unchecked) package private(set) var uses: UInt64 = 0

  init(
    _ files: FeedFiles, in storage: any StorageProvider, options: FeedOptions, bits: Bitfield,
    lock: (any StorageLock)?
  ) throws(FeedError) {
    self.files = files
    self.storage = storage
    access = storage.access
    self.bits = bits
    self.lock = lock
    isLive = options.isLive
    durability = options.durability
    tree = try TreeFile(files.tree)
    signatures = SignatureFile(file: files.signatures)
  }

  /// True if ``append(_:)`` is possible.
  package var isWritable: Bool {
    access == .readWrite && (secretKey != nil || key == nil) && damage == nil && !isClosed
      && !isStopped && !isRestoring
  }

  /// True if peers' blocks are wanted and can be stored: the feed isn't written here, or has to recover
  /// something first.
  package var wantsBlocks: Bool { access == .readWrite && (!isWritable || isCopy) }

  /// The reason why nothing is written before ``resume()`` succeeds, or ever; nil if there is none.
  package var stopReason: FeedError? { forkEvidence.map(FeedError.forked) ?? failure }

  private func noteStop() { isStopped = forkEvidence != nil || failure != nil }

  /// True if the secret key is here, even if the feed can't be written yet.
  package var isOwned: Bool { secretKey != nil }

  /// The hash over all roots, which is what is signed.
  package var treeHash: Digest { TreeHash.tree(roots) }

  // MARK: State

  func checkOpen() throws(FeedError) {
    uses &+= 1
    if isClosed { throw FeedError(code: .closed, reason: "The feed is closed.") }
  }

  /// Checks that blocks or bits may be written.
  func checkStorable() throws(FeedError) {
    try checkOpen()
    if isStopped { try throwStop() }
    if let failure = bits.failure { throw failure }
    guard access == .readWrite else {
      throw FeedError(code: .notWritable, reason: "The feed was opened read-only.")
    }
  }

  private func throwStop() throws(FeedError) {
    if let failure {
      throw FeedError(
        code: failure.code,
        reason: "An earlier write failed, so nothing more is written before the storage works "
          + "again: \(failure.reason)", cause: failure.cause)
    }
    if let forkEvidence { throw .forked(forkEvidence) }
  }

  /// Returns whether the feed's key has signed roots, which are known by their hash.
  ///
  /// All peers of a feed send the same signature as long as nothing is appended: the last that was found to be
  /// right is not verified again.
  func isSigned(_ roots: Digest, by signature: Signature) -> Bool {
    guard let key else { return false }
    if let lastSigned, lastSigned.signature == signature, lastSigned.roots == roots { return true }
    guard key.verifies(signature, of: roots) else { return false }
    lastSigned = (roots, signature)
    return true
  }

  /// Runs writes; after a failure the feed can't be written.
  func writing<Result>(_ body: () throws(FeedError) -> Result) throws(FeedError) -> Result {
    do {
      return try body()
    } catch {
      failure = error
      dropBatch()
      onChange?(.stopped)
      throw error
    }
  }

  func setKey(_ key: PublicKey?) {
    self.key = key
    discoveryKey = key?.discoveryKey
    lastSigned = nil
  }

  // MARK: Ending

  /// Writes what is pending and brings it to the disk.
  package func sync() throws(FeedError) {
    try checkStorable()
    try commitBatch()
    try writing { () throws(FeedError) in
      try bringToDisk(files.data)
      try bringToDisk(tree.file)
      try bringToDisk(signatures.file)
      try bringToDisk(files.bitfield)
    }
    unsyncedBlocks = 0
  }

  /// Syncs one file. After a failure nothing is written before the feed is opened anew: the system may have
  /// dropped what it could not write, and report the file as clean.
  func bringToDisk(_ file: FeedFile) throws(FeedError) {
    do {
      try file.sync()
    } catch {
      syncHasFailed = true
      throw error
    }
  }

  /// Writes what is pending and releases the files and the lock. A second call does nothing.
  package func close() throws(FeedError) {
    guard !isClosed else { return }
    defer {
      isClosed = true
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
      do { try storage.remove(file.name) } catch { throw FeedError(error) }
    }
  }

  /// Releases memory whose content can be read again. An open file stays open until the pool needs it.
  package func releaseCaches() {
    tree.releaseCaches()
    bits.releasePages()
    offsetMarks = []
    places.removeAll()
  }
}

/// The files of a feed: six as in the reference, and two of this project.
struct FeedFiles {
  let key: FeedFile
  let secretKey: FeedFile
  let tree: FeedFile
  let data: FeedFile
  /// True if `data` is a storage of the caller, such as an archive's files. Nothing is inferred from its
  /// state: it is not measured, cut or mended. Its bytes may change at any time, so each block is compared
  /// with its leaf whenever it is read.
  let dataIsElsewhere: Bool
  let bitfield: FeedFile
  let signatures: FeedFile
  /// Not in the reference: identifies the folder in which the feed is written.
  let marker: FeedFile
  /// Not in the reference: the evidence of a fork.
  let fork: FeedFile

  init(
    _ provider: any StorageProvider, prefix: String, data elsewhere: (any RandomAccessStorage)?
  ) throws(FeedError) {
    key = try FeedFile(prefix + "key", in: provider)
    secretKey = try FeedFile(prefix + "secret_key", in: provider)
    tree = try FeedFile(prefix + "tree", in: provider)
    dataIsElsewhere = elsewhere != nil
    if let elsewhere {
      data = FeedFile(prefix + "data", elsewhere)
    } else {
      data = try FeedFile(prefix + "data", in: provider)
    }
    bitfield = try FeedFile(prefix + "bitfield", in: provider)
    signatures = try FeedFile(prefix + "signatures", in: provider)
    marker = try FeedFile(prefix + "marker", in: provider)
    fork = try FeedFile(prefix + "fork.json", in: provider)
  }

  var all: [FeedFile] { [key, secretKey, tree, data, bitfield, signatures, marker, fork] }

  /// The files whose size depends on the feed's length; without `data` if it is kept elsewhere.
  var growing: [FeedFile] {
    dataIsElsewhere ? [tree, bitfield, signatures] : [tree, data, bitfield, signatures]
  }

  func close() {
    for file in all { file.storage.close() }
  }
}

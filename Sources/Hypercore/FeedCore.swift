package import HypercoreCrypto
internal import RandomAccessStorage

/// What has changed in a feed, told once it is written.
package enum FeedChange: Equatable {
  /// Blocks were appended here.
  case appended(Range<UInt64>)
  /// A verified proof has made the feed longer.
  case grew(to: UInt64)
  /// Blocks that came from elsewhere were stored, in runs.
  case stored([Range<UInt64>])
  /// Blocks were given up.
  case cleared(Range<UInt64>)
  /// Blocks that counted as stored were found to be missing, or changed; the record of them stays as it is.
  case setAside(Range<UInt64>)
  /// A write failed, or the feed was found to be forked: nothing more is written before it is opened
  /// anew, or ever.
  case stopped
}

/// The engine of one feed: its files, tree and bitfield, without peers.
///
/// Synchronous and not Sendable: the owner keeps it in one isolation domain. It uses no clock and no
/// task, and nothing but its storage. After a write that failed it refuses to write on, since memory
/// and storage may differ; taking up again what the storage holds resolves that.
///
/// Source: hypercore v6.26.0 `index.js`.
package final class FeedCore {
  /// The feed's key; nil for a static feed that is not finalized.
  package internal(set) var key: PublicKey?
  package internal(set) var discoveryKey: DiscoveryKey?
  /// Nil where the feed can't be signed here.
  package internal(set) var secretKey: SecretKey?
  /// Whether the feed is signed; a static one has its tree hash for a key.
  @exclusivity(unchecked) package internal(set) var isLive: Bool
  /// How many blocks the feed is known to have, stored here or not.
  @exclusivity(unchecked) package internal(set) var length: UInt64 = 0
  /// How many bytes these blocks have together.
  @exclusivity(unchecked) package internal(set) var byteLength: UInt64 = 0
  /// The full roots of ``length``, ascending.
  @exclusivity(unchecked) package internal(set) var roots: [Node] = []
  /// What opening found.
  package internal(set) var report = RepairReport()
  /// Two histories signed by the feed's key, found now or before; see ``FeedCore/quarantine(_:)``.
  @exclusivity(unchecked) package internal(set) var forkEvidence: ForkEvidence? {
    didSet { noteStop() }
  }
  /// Whether the folder was copied or restored since the feed was written there, and no peer has
  /// been asked since whether there is more of it.
  package internal(set) var isCopy = false
  /// Whether the folder is to be marked as the one that the feed is written in.
  var needsMarker = false
  /// Told of changes after they are written.
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
  /// Tells whether there is a ``stopReason``: asked for every message, so it copies none.
  @exclusivity(unchecked) private(set) var isStopped = false
  /// The last roots that ``isSigned(_:by:)`` found to be signed, and their signature.
  @exclusivity(unchecked) private var lastSigned: (roots: Digest, signature: Signature)?
  var syncHasFailed = false
  /// What must be restored before the feed may be written; see ``RepairReport``.
  var damage: Damage?
  /// Byte offset of every 64th block; `UInt64.max` where it was not asked for yet.
  @exclusivity(unchecked) var offsetMarks: [UInt64] = []
  /// Where blocks that were read one at a time are in `data`.
  @exclusivity(unchecked) var places = BlockPlaces()
  /// Where the block after the one stored last begins: blocks nearly always come in order.
  @exclusivity(unchecked) var nextOffset: (block: UInt64, offset: UInt64)?
  var unsyncedBlocks = 0
  /// How many nodes were found to be lost since opening.
  @exclusivity(unchecked) var lostNodes = 0
  @exclusivity(unchecked) var batch = PutBatch()
  /// Counts on with every use, so that an owner can tell whether there was one.
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

  /// Whether ``append(_:)`` is possible.
  package var isWritable: Bool {
    access == .readWrite && (secretKey != nil || key == nil) && damage == nil && !isClosed
      && !isStopped
  }

  /// Whether blocks of peers are wanted: of a feed that isn't written here, or that has to get something
  /// back first, where they can be stored.
  package var wantsBlocks: Bool { access == .readWrite && (!isWritable || isCopy) }

  /// Why nothing is written before ``resume()`` succeeds, or ever; nil while all is well.
  package var stopReason: FeedError? { forkEvidence.map(FeedError.forked) ?? failure }

  private func noteStop() { isStopped = forkEvidence != nil || failure != nil }

  /// Whether the secret key is here, even where writing has to wait.
  package var isOwned: Bool { secretKey != nil }

  /// The hash over all roots, which is what is signed.
  package var treeHash: Digest { TreeHash.tree(roots) }

  // MARK: State

  func checkOpen() throws(FeedError) {
    uses &+= 1
    if isClosed { throw FeedError(code: .closed, reason: "The feed is closed.") }
  }

  /// That blocks or bits may be written.
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

  /// Runs writes; a failure leaves the feed unwritable.
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

  /// Writes what waits to be written and brings it to the disk.
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

  /// Syncs one file. After a failure nothing is written any more before the feed is opened anew: what the system
  /// could not write it may have dropped, and call the file clean.
  func bringToDisk(_ file: FeedFile) throws(FeedError) {
    do {
      try file.sync()
    } catch {
      syncHasFailed = true
      throw error
    }
  }

  /// Writes what waits and gives up files and lock. Calling it again does nothing.
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

  /// Closes, and removes the files of the feed, where its storage can.
  package func discard() throws(FeedError) {
    try close()
    for file in files.all {
      if file.name == files.data.name, files.dataIsElsewhere { continue }
      do { try storage.remove(file.name) } catch { throw FeedError(error) }
    }
  }

  /// Gives up memory that can be read again. An open file stays open until the pool wants it.
  package func releaseCaches() {
    tree.releaseCaches()
    bits.releasePages()
    offsetMarks = []
    places.removeAll()
  }
}

/// The files of a feed: the reference's six, and two of this project's.
struct FeedFiles {
  let key: FeedFile
  let secretKey: FeedFile
  let tree: FeedFile
  let data: FeedFile
  /// Whether `data` is a storage of the caller's, such as an archive's files. Then nothing of it is inferred:
  /// it is not measured, cut or mended, its bytes may change at any time, and a block is compared with its
  /// leaf each time it is read.
  let dataIsElsewhere: Bool
  let bitfield: FeedFile
  let signatures: FeedFile
  /// Not among the reference's: which folder this is, for a feed that is written in it.
  let marker: FeedFile
  /// Not among the reference's: the evidence of a fork.
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

  /// Those that grow with the feed, and how much: `data` apart, if it is kept elsewhere.
  var growing: [FeedFile] {
    dataIsElsewhere ? [tree, bitfield, signatures] : [tree, data, bitfield, signatures]
  }

  func close() {
    for file in all { file.storage.close() }
  }
}

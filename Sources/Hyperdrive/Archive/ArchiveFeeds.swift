internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// The metadata feed as the tree's source. Its errors are thrown as ``ArchiveError``, code `feed`.
final class FeedMetadata: MetadataSource {
  let core: FeedCore

  init(_ core: FeedCore) { self.core = core }

  var length: UInt64 { core.length }

  func block(at seq: UInt64) throws -> [UInt8]? {
    do { return try core.block(at: seq) } catch {
      throw ArchiveError(
        .feed, "Entry \(seq) of the archive can't be read: \(error.reason)", seq: seq, cause: error)
    }
  }
}

/// The two feeds of one archive, in the locations of its layout.
///
/// Source: hyperdrive `index.js`, `open`; dat-storage `index.js`.
final class ArchiveFeeds {
  let layout: ArchiveLayout
  let metadata: Replicator
  private(set) var content: Replicator?
  private let options: Archive.Options
  private var disk: DiskLimits
  private let codec = ArchiveMessageCodec()
  private let storage: any StorageProvider
  /// The storage of the content's bytes, if that is not beside the rest of it.
  private let files: (any RandomAccessStorage)?
  /// The lock where the secret key is kept: one process at a time writes an archive, whatever its folder.
  private let secretLock: (any StorageLock)?

  init(
    _ storage: any StorageProvider, _ layout: ArchiveLayout, files: (any RandomAccessStorage)?,
    secretLock: (any StorageLock)? = nil, options: Archive.Options
  ) throws {
    self.storage = storage
    self.layout = layout
    self.files = files
    self.options = options
    var feed = FeedOptions(
      key: options.key, secretKey: options.secretKey, createIfMissing: options.createIfMissing,
      storeSecretKey: options.storeSecretKey, durability: options.durability)
    if let pair = options.keyPair { (feed.key, feed.secretKey) = (pair.publicKey, pair.secretKey) }
    self.secretLock = secretLock
    let core = try FeedCore.open(
      in: storage, prefix: layout.prefix + "metadata" + layout.separator, options: feed)
    disk = options.disk
    if disk.inAll != nil {
      disk.budget = DiskBudget(limit: disk.inAll, name: "this archive", within: disk.budget)
    }
    metadata = Replicator(core: core, isSparse: options.sparseMetadata, disk: disk)
    metadata.endsWhenIdle = options.sparseMetadata
  }

  /// The content feed's keys for the owner of the metadata feed.
  private var derived: KeyPair? {
    metadata.core.secretKey.map { KeyPair.contentFeed(of: $0, context: .hyperdrive) }
  }

  /// Opens the content feed as soon as its key is known, and writes block 0 of a new archive.
  ///
  /// - Returns: true if it was opened now.
  /// - Throws: ``ArchiveError`` with `notAnArchive` for another first block.
  func openContent() throws -> Bool {
    guard content == nil else { return false }
    let core = metadata.core
    if core.length == 0, core.isWritable, let derived {
      try core.append([codec.encode(ArchiveHeader(content: derived.publicKey.bytes))])
    }
    guard let block = try core.block(at: 0) else { return false }
    let key = try Self.contentKey(in: block, codec, of: core.key)
    var feed = FeedOptions(
      key: key, storeSecretKey: false, durability: options.durability, holdsLock: true)
    feed.data = files
    // An archive that names a content feed other than its own can only be read.
    if let derived, derived.publicKey == key { feed.secretKey = derived.secretKey }
    try open(feed)
    return true
  }

  private func open(_ feed: FeedOptions) throws {
    let core = try FeedCore.open(
      in: storage, prefix: layout.prefix + "content" + layout.separator, options: feed)
    let replicator = Replicator(
      core: core, isSparse: options.sparse || options.latest, disk: disk)
    replicator.endsWhenIdle = true
    content = replicator
  }

  /// Returns the key of the content feed that an archive's first block names.
  static func contentKey(
    in block: [UInt8], _ codec: ArchiveMessageCodec, of archive: PublicKey?
  ) throws -> PublicKey {
    guard let header = codec.decodeHeader(block) else {
      throw ArchiveError(
        .notAnArchive, "This is no archive: its first block can't be read as an archive's.", seq: 0)
    }
    guard header.type == Array("hyperdrive".utf8) else {
      let type = String(decoding: header.type.prefix(64), as: UTF8.self)
      let advice =
        switch type {
        case "hyperdb": " Read it as a database."
        case "hypertrie": " It is of hyperdrive 10, whose feeds and protocol are others."
        default: ""
        }
      throw ArchiveError(
        .notAnArchive, "This is no archive but of type \"\(type)\".\(advice)", seq: 0)
    }
    guard let bytes = header.content, let key = PublicKey(bytes: bytes), key != archive else {
      throw ArchiveError(
        .notAnArchive,
        "This is no archive that can be read: its first block names no content feed.",
        seq: 0)
    }
    return key
  }

  /// True if both feeds can be written here.
  var isWritable: Bool {
    metadata.core.isOwned && metadata.core.isWritable && content?.core.isWritable ?? false
  }

  var access: StorageAccess { storage.access }

  /// Returns a file of this implementation's own, beside those of the feeds.
  func ownFile(_ name: String) throws -> any RandomAccessStorage {
    try storage.storage(named: "dat-swift." + name)
  }

  // MARK: The file `latest`

  private func latest() throws -> any RandomAccessStorage {
    try storage.storage(named: layout.prefix + "metadata" + layout.separator + "latest")
  }

  /// Returns the version whose content was last cleared; 0 for none.
  func readLatest() throws -> UInt64 {
    let bytes = try latest().bytes(8)
    return bytes.count == 8 ? bytes.reduce(0) { $0 << 8 | UInt64($1) } : 0
  }

  func writeLatest(_ version: UInt64) throws {
    let bytes = (0..<8).map { UInt8(truncatingIfNeeded: version >> (56 - 8 * UInt64($0))) }
    try latest().write([StorageWrite(offset: 0, bytes: bytes)])
  }

  /// Lets others write the archive, once the feeds are closed.
  func release() { secretLock?.release() }
}

/// The names of an archive's files in its storage.
public struct ArchiveLayout: Hashable, Sendable {
  let prefix: String
  let separator: String

  /// `metadata/` and `content/` beside each other, as hyperdrive and Beaker keep them.
  public static let folders = ArchiveLayout(prefix: "", separator: "/")
  /// `metadata.tree`, `content.tree` and so on in one folder, as in the `.dat` of the command and in old
  /// dumps.
  public static let dotted = ArchiveLayout(prefix: "", separator: ".")

  /// Returns the layout of what is stored; ``folders`` if nothing is.
  static func find(in storage: any StorageProvider) throws -> ArchiveLayout {
    try storage.exists("metadata.key") ? .dotted : .folders
  }
}

internal import DatTesting
internal import Hypercore
internal import HypercoreCrypto
internal import Hyperdrive
internal import RandomAccessStorage

/// An archive whose owner signs what it likes: entries and bytes, true or not.
final class EvilArchive {
  /// The blocks of its metadata feed, the header first.
  private final class Blocks: MetadataSource {
    var blocks: [[UInt8]] = []
    var length: UInt64 { UInt64(blocks.count) }
    func block(at seq: UInt64) -> [UInt8]? { seq < length ? blocks[Int(seq)] : nil }
  }

  let pair = KeyPair.generate()
  private let codec = ArchiveMessageCodec()
  private let source = Blocks()
  private let tree: ArchiveTree
  private var content: [[UInt8]] = []
  private var bytes: UInt64 = 0
  /// The newest entry that has its true index: from there the next one leads on to all others that do.
  private var head: UInt64 = 0
  /// Blocks of the content that it names and never has.
  var missing: Range<UInt64>?

  init() {
    tree = ArchiveTree(source)
    source.blocks = [codec.encode(ArchiveHeader(content: inner.publicKey.bytes))]
  }

  private var inner: KeyPair { KeyPair.contentFeed(of: pair.secretKey, context: .hyperdrive) }

  /// The number of the next entry.
  var nextSeq: UInt64 { source.length }
  /// The number of blocks of content.
  var contentLength: UInt64 { UInt64(content.count) }

  /// Appends a block of metadata as it is; the first one replaces the header.
  func append(_ block: [UInt8], asHeader: Bool = false) {
    if asHeader { source.blocks[0] = block } else { source.blocks.append(block) }
  }

  /// Puts a file of one block.
  ///
  /// - Parameter index: the entry's index; nil for the true one.
  /// - Parameter change: changes the stat.
  func put(
    _ name: String, _ text: String, index: [UInt8]? = nil,
    _ change: (inout FileStat) -> Void = { _ in }
  ) throws {
    let start = (contentLength, bytes)
    if !text.isEmpty {
      content.append(Array(text.utf8))
      bytes += UInt64(text.utf8.count)
    }
    var stat = FileStat(
      mode: FileStat.fileBits | 0o644, size: UInt64(text.utf8.count), blocks: text.isEmpty ? 0 : 1,
      offset: start.0, byteOffset: start.1, mtime: 1_530_000_000_000, ctime: 1_530_000_000_000)
    change(&stat)
    let stored = Array(name.utf8)
    let paths = try index ?? tree.indexForPut(ArchivePath(stored: stored), from: tree.head(head))
    if index == nil { head = nextSeq }
    append(
      codec.encode(
        ArchiveMessage(name: stored, value: codec.encode(StatMessage(file: stat)), paths: paths)))
  }

  /// Has the next true index lead on to the entry before it, whatever that leads to.
  func followLast() { head = nextSeq - 1 }

  /// Signs everything, and returns the archive in memory.
  func open() async throws -> Archive {
    let storage = MemoryStorage()
    let feed = try FeedCore.open(
      in: storage, prefix: "metadata/", options: FeedOptions(keyPair: pair))
    try feed.append(source.blocks)
    try feed.close()
    let data = try FeedCore.open(
      in: storage, prefix: "content/",
      options: FeedOptions(
        key: inner.publicKey, secretKey: inner.secretKey, storeSecretKey: false, holdsLock: true))
    try data.append(content)
    if let missing { try data.clear(missing) }
    try data.close()
    return try await Archive.open(storage: storage)
  }

  /// Signs the metadata alone, for one that is not an archive.
  func openMetadata() async throws -> Feed {
    let feed = try await Feed.inMemory(options: Feed.Options(keyPair: pair, isNew: true))
    try await feed.append(source.blocks)
    return feed
  }
}

internal import Hypercore

extension Archive {
  /// Returns the bytes of a file, in pieces as they come.
  ///
  /// - Parameter path: the file.
  /// - Parameter range: the range of the file's bytes; past its end there are none. Nil for all.
  /// - Parameter options: whether and how long to wait for each piece that is not here.
  /// - Throws: ``ArchiveError``: `notFound`; `isDirectory`; `damagedEntry` for an impossible stat.
  ///
  /// Stands for hyperdrive `createReadStream(path, options)` and `readFile(path)`.
  public func read(
    _ path: ArchivePath, range: Range<UInt64>? = nil,
    options: ArchiveReadOptions = ArchiveReadOptions()
  ) async throws -> ArchiveContent {
    try await read(path, at: nil, range, options)
  }

  func read(
    _ path: ArchivePath, at version: UInt64?, _ range: Range<UInt64>?,
    _ options: ArchiveReadOptions
  ) async throws -> ArchiveContent {
    let found = try await reading(options) {
      let head = try tree.head(version ?? tree.version)
      if let entry = try tree.put(path, from: head) { return entry }
      // Throws if it isn't there; a folder is not a file either.
      _ = try tree.stat(path, from: head)
      return ArchiveEntry(seq: 0, path: path, stat: .folder)
    }
    return try content(of: found, range, options)
  }

  /// Returns the bytes of an entry's file.
  func content(
    of entry: ArchiveEntry, _ range: Range<UInt64>?, _ options: ArchiveReadOptions
  ) throws -> ArchiveContent {
    guard let stat = entry.stat, stat.kind != .directory else {
      throw ArchiveError(.isDirectory, "\(entry.path) is a folder, not a file.", path: entry.path)
    }
    guard let blocks = stat.blockRange, let bytes = stat.byteRange else {
      throw Self.damage(entry, "it claims more than an archive can hold")
    }
    try mapForReading(entry)
    let part = (range ?? 0..<stat.size).clamped(to: 0..<stat.size)
    return ArchiveContent(
      archive: self, entry: entry, blocks: blocks, bytes: bytes, part: part, options: options)
  }

  /// In a folder that is only read: locates one file's bytes, without a map of all files.
  private func mapForReading(_ entry: ArchiveEntry) throws {
    guard let files, reconciliation.version == nil,
      try tree.put(entry.path, from: tree.head(tree.version))?.seq == entry.seq
    else { return }
    if let file = FileMap.File(entry) { files.map.insert(file) }
  }

  /// Sets another copy of the archive, such as one in memory with peers, that provides bytes that are not here.
  public func readMissing(from other: Archive) { fallback = other }

  static func damage(_ entry: ArchiveEntry, _ what: String) -> ArchiveError {
    ArchiveError(
      .damagedEntry, "The entry of \(entry.path), version \(entry.seq), is damaged: \(what).",
      path: entry.path, seq: entry.seq)
  }

  // MARK: For the iterator

  /// Returns the first block, and the number of its bytes to skip.
  func start(of content: ArchiveContent) async throws -> (block: UInt64, skip: UInt64) {
    guard content.part.lowerBound > 0 else { return (content.blocks.lowerBound, 0) }
    guard let fallback else { return try await ownStart(of: content) }
    do { return try await ownStart(of: content) } catch let error as ArchiveError
      where error.code == .notStored
    { return try await fallback.ownStart(of: content.waiting) }
  }

  private func ownStart(
    of content: ArchiveContent
  ) async throws -> (block: UInt64, skip: UInt64) {
    let feed = try await contentFeed(content.options)
    let target = content.bytes.lowerBound + content.part.lowerBound
    let options = Feed.GetOptions(
      wait: content.options.wait, timeout: content.options.timeout ?? self.options.timeout)
    if await feed.isOwned, await feed.byteLength <= target {
      // Nobody else will bring it.
      throw Self.damage(content.entry, "its bytes lie past the end of the content")
    }
    let position = try await translated {
      try await feed.seek(target, in: content.blocks, options: options)
    }
    guard content.blocks.contains(position.block) else {
      throw Self.damage(content.entry, "its bytes are not in its blocks")
    }
    return (position.block, position.offset)
  }

  func block(_ index: UInt64, of content: ArchiveContent) async throws -> [UInt8] {
    guard let fallback else { return try await ownBlock(index, of: content) }
    do { return try await ownBlock(index, of: content) } catch let error as ArchiveError
      where error.code == .notStored
    { return try await fallback.ownBlock(index, of: content.waiting) }
  }

  private func ownBlock(_ index: UInt64, of content: ArchiveContent) async throws -> [UInt8] {
    let feed = try await contentFeed(content.options)
    if let files, files.map.current[content.entry.path]?.seq != content.entry.seq {
      // Its bytes have no place in the folder.
      throw ArchiveError(
        .notStored,
        "\(content.entry.path) is of version \(content.entry.seq), and this folder has the newest alone.",
        path: content.entry.path, seq: content.entry.seq)
    }
    let options = Feed.GetOptions(
      wait: content.options.wait, timeout: content.options.timeout ?? self.options.timeout)
    return try await translated { try await feed.get(index, options: options) }
  }

  /// Requests the rest of a file, so that its blocks come in a row.
  func prefetch(_ range: Range<UInt64>) async throws -> DownloadToken? {
    guard let content, files == nil, !range.isEmpty, !(await content.has(range)) else { return nil }
    let handle = try await translated {
      try await content.startDownload(DownloadRange(range))
    }
    return DownloadToken(feed: content, handle: handle)
  }

  /// Bytes of a file that are discarded together, of an archive that keeps none.
  private static let passingBytes: UInt64 = 4 << 20

  /// The number of blocks of a file that are discarded together, as many as take 4 MiB; nil if they are kept, here
  /// and in the copy that brings them.
  fileprivate func passingBlocks(of content: ArchiveContent) async -> UInt64? {
    guard options.discardsContent else { return await fallback?.passingBlocks(of: content) }
    let mean = UInt64(content.bytes.count) / UInt64(max(content.blocks.count, 1))
    return max(Self.passingBytes / max(mean, 1 << 16), 1)
  }

  /// Discards blocks that were read, if this archive or the copy that brought them keeps none.
  fileprivate func discard(_ blocks: Range<UInt64>) async throws {
    try await fallback?.discard(blocks)
    guard options.discardsContent, let content else { return }
    try await translated { try await content.clear(blocks) }
  }
}

/// A download that is cancelled with the last reference to this token.
final class DownloadToken: Sendable {
  private let feed: Feed
  private let handle: DownloadHandle

  init(feed: Feed, handle: DownloadHandle) {
    self.feed = feed
    self.handle = handle
  }

  /// Cancels the download now.
  func cancel() async { try? await feed.undownload(handle) }

  deinit {
    // A feed that is closed by then has nothing to cancel.
    Task { [feed, handle] in try? await feed.undownload(handle) }
  }
}

/// The bytes of a file, in pieces of a block each.
public struct ArchiveContent: AsyncSequence, Sendable {
  public typealias Element = [UInt8]

  let archive: Archive
  /// The entry whose file it is.
  public let entry: ArchiveEntry
  let blocks: Range<UInt64>
  let bytes: Range<UInt64>
  let part: Range<UInt64>
  let options: ArchiveReadOptions

  /// The same content, with waiting for peers.
  var waiting: ArchiveContent {
    ArchiveContent(
      archive: archive, entry: entry, blocks: blocks, bytes: bytes, part: part,
      options: ArchiveReadOptions(timeout: options.timeout))
  }

  /// The number of bytes.
  public var count: UInt64 { part.upperBound - part.lowerBound }

  public func makeAsyncIterator() -> Iterator { Iterator(content: self) }

  /// Returns all bytes.
  ///
  /// - Parameter limit: the most bytes to take into memory.
  /// - Throws: ``ArchiveError``, `damagedEntry` if the file is larger than the limit.
  public func collect(upTo limit: Int = 64 << 20) async throws -> [UInt8] {
    guard count <= UInt64(limit) else {
      throw ArchiveError(
        .damagedEntry, "\(entry.path) has \(count) bytes: read it piece by piece.",
        path: entry.path, seq: entry.seq)
    }
    var all: [UInt8] = []
    for try await piece in self { all += piece }
    return all
  }

  /// An iterator over the pieces.
  public struct Iterator: AsyncIteratorProtocol {
    let content: ArchiveContent
    private var next: UInt64?
    private var skip: UInt64 = 0
    private var rest: UInt64
    private var token: DownloadToken?
    /// The number of blocks that are discarded together; nil if they are kept.
    private var passing: UInt64?
    /// The first block that was read and not discarded.
    private var kept: UInt64 = 0

    init(content: ArchiveContent) {
      self.content = content
      rest = content.count
    }

    /// Returns the next piece, never empty; nil at the end.
    ///
    /// - Throws: ``ArchiveError``: `damagedEntry` if the blocks are not as long as the stat says,
    ///   `notStored`, `timedOut`, `closed`.
    public mutating func next() async throws -> [UInt8]? {
      let archive = content.archive
      if rest == 0 { return nil }
      if next == nil {
        let start = try await archive.start(of: content)
        (next, skip, kept) = (start.block, start.skip, start.block)
        passing = await archive.passingBlocks(of: content)
        try await prefetch()
      }
      while let index = next, index < content.blocks.upperBound {
        var block = try await archive.block(index, of: content)[...]
        next = index + 1
        if passing != nil { try await pass(index + 1) }
        if skip > 0 {
          guard skip <= UInt64(block.count) else { break }
          block = block.dropFirst(Int(skip))
          skip = 0
        }
        if block.isEmpty { continue }
        block = block.prefix(Int(clamping: rest))
        rest -= UInt64(block.count)
        return Array(block)
      }
      throw Archive.damage(content.entry, "its blocks are shorter than it says")
    }

    /// Requests the rest, or only the next blocks if they are discarded.
    private mutating func prefetch() async throws {
      guard content.options.wait, let next, next < content.blocks.upperBound else { return }
      var end = content.blocks.upperBound
      if let passing { end = Swift.min(end, next + 2 * passing) }
      token = try await content.archive.prefetch(next..<end)
    }

    /// Discards the blocks before `end`, so that a large file passes through memory.
    private mutating func pass(_ end: UInt64) async throws {
      guard let passing, end - kept >= passing || end == content.blocks.upperBound else { return }
      // Before they are discarded: they would be fetched again.
      await token?.cancel()
      token = nil
      try await content.archive.discard(kept..<end)
      kept = end
      try await prefetch()
    }
  }
}

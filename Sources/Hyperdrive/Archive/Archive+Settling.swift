internal import Hypercore
internal import RandomAccessStorage

/// The progress with which the folder of an archive, or the content that is kept of it, follows its versions.
struct Settling {
  /// The version of the map; nil before the first.
  var version: UInt64?
  /// True if a look at new blocks is already due: several in a row are one.
  var isDue = false
  /// Blocks of content that came since the last look.
  var arrived: [Range<UInt64>] = []
  /// Files of the newest version that are not complete yet, by their first block.
  var pending: [UInt64: ArchiveEntry] = [:]
  /// The first blocks of those, and of some that are done, ascending.
  var pendingStarts: [UInt64] = []
  /// The running downloads.
  var downloads: [UInt64] = []
  /// The entries that pending ones replace.
  var replaced: [ArchivePath: ArchiveEntry] = [:]
  /// Files that are not laid out, with the reason.
  var refused: [ArchivePath: String] = [:]
  /// The user's files that were in the way, under their new names.
  var kept: [ArchivePath] = []
  /// Laid-out names in the form of a file system that folds case.
  var folded: [[UInt8]: ArchivePath] = [:]
  /// The last thing that went wrong in the folder, until a look finds nothing wrong.
  var failure: ArchiveError?
  /// The last version that was reported as complete.
  var synced: UInt64?
  var waiters: [CheckedContinuation<Void, Never>] = []
  /// The pause after a failure of the disk, before the next attempt.
  static let pause = Duration.seconds(5)
}

extension Archive {
  /// True if this archive follows versions by itself: a reader's in latest mode.
  var isFollowing: Bool {
    options.latest && !feeds.metadata.core.isOwned && feeds.access == .readWrite
  }

  func startSettling() throws {
    files?.followsLinks = feeds.metadata.core.isOwned
    // A folder that is only read locates files one by one.
    guard files != nil || isFollowing, feeds.access == .readWrite else { return }
    try settle()
  }

  /// Schedules a look at new blocks, after the present one.
  func settleSoon() {
    guard files != nil || isFollowing, !settling.isDue, !isClosed else { return }
    settling.isDue = true
    Task { [weak self] in await self?.settleNow() }
  }

  private func settleNow() {
    settling.isDue = false
    guard !isClosed else { return }
    do {
      try settle()
      guard settling.failure != nil else { return }
      // What is here is laid out; what is not may still not be fetched.
      settling.failure = pauseFailure
      guard settling.failure == nil else { return }
    } catch {
      let failure = error as? ArchiveError ?? ArchiveError(.folder, "\(error)", cause: error)
      settling.failure = failure
      if failure.cause is SystemError { settleLater() }
      wakeSettled()
    }
    hub.send(.trouble)
  }

  /// Looks again after a while at what the disk had no room for.
  private func settleLater() {
    Task { [weak self] in
      do { try await Task.sleep(for: Settling.pause) } catch { return }
      await self?.settleAll()
    }
  }

  private func settleAll() {
    settling.arrived = [0..<(feeds.content?.core.length ?? 0)]
    settleSoon()
  }

  /// Goes from the version that is laid out to the newest whose entries are here: clears the content of
  /// removed files, requests that of new ones, and puts complete files into their places.
  ///
  /// Source: hyperdrive `index.js`, `_fetchVersion` and `_clear`.
  func settle() throws {
    guard let content = feeds.content, !isClosed else { return }
    let metadata = feeds.metadata.core
    let version = tree.version
    if metadata.has(0..<metadata.length), settling.version != version {
      try follow(from: settling.version, to: version, content)
    }
    try placeArrived(content.core)
  }

  private func follow(from last: UInt64?, to version: UInt64, _ content: Replicator) throws {
    let changes = try tree.diff(from: last ?? 0, to: version)
    if isFollowing {
      // The first look after opening covers everything; what was removed since the last one is less.
      let gone =
        last == nil ? try tree.diff(from: min(feeds.readLatest(), version), to: version) : changes
      try giveUp(gone, content)
    } else if let files {
      for change in changes where change.kind == .deletion { files.map.remove(change.entry.path) }
    }
    let puts = Self.byBytes(changes.filter { $0.kind == .put }.map(\.entry))
    let untrue = files == nil ? [] : Self.overlapping(puts)
    for entry in puts {
      if untrue.contains(entry.seq) {
        settling.refused[entry.path] = "its entry is damaged"
      } else {
        try take(entry, content.core)
      }
    }
    if let files { refuseFilesUnderFolders(puts, files) }
    // Not before: what the disk had no room for is gone through again.
    settling.version = version
    guard isFollowing else { return }
    try feeds.writeLatest(version)
    settling.pendingStarts = settling.pending.keys.sorted()
    settling.arrived = [0..<content.core.length]
    if !options.sparse { download(content) }
  }

  /// Follows entries that were appended here. They are the difference to the version before, which would else be
  /// looked for in every folder on their way.
  func settle(appended nodes: [ArchiveNode]) throws {
    guard let files, let content = feeds.content?.core, !isFollowing,
      let version = settling.version, version + UInt64(nodes.count) == tree.version
    else { return try settle() }
    for node in nodes {
      if node.isPut { try take(node.entry, content) } else { files.map.remove(node.path) }
    }
    for node in nodes where node.isPut {
      refuse(
        node.entry, hasNamesBelow: node.keptIndex?.others(node.path.count).isEmpty == false, files)
    }
    settling.version = tree.version
  }

  /// Entries in the order of their bytes, so that each goes to the end of the map; the older ones last where
  /// several begin at one byte.
  private static func byBytes(_ entries: [ArchiveEntry]) -> [ArchiveEntry] {
    entries.sorted {
      let (left, right) = ($0.stat?.byteOffset ?? 0, $1.stat?.byteOffset ?? 0)
      return left == right ? $0.seq > $1.seq : left < right
    }
  }

  /// Which of the files claim bytes of the file that begins after them. They are left out, so that one that
  /// claims everything leaves the others their own.
  private static func overlapping(_ entries: [ArchiveEntry]) -> Set<UInt64> {
    var found: Set<UInt64> = []
    var next = UInt64.max
    for entry in entries.reversed() {
      guard entry.stat?.kind == .file, let bytes = entry.stat?.byteRange, !bytes.isEmpty else {
        continue
      }
      if bytes.upperBound > next { found.insert(entry.seq) } else { next = bytes.lowerBound }
    }
    return found
  }

  /// Clears what is not in the newest version any more.
  private func giveUp(_ changes: [ArchiveChange], _ content: Replicator) throws {
    let kept = Set(changes.lazy.filter { $0.kind == .put }.map(\.entry.path))
    for change in changes where change.kind == .deletion {
      let entry = change.entry
      guard let stat = entry.stat else { continue }
      settling.pending[stat.offset] = nil
      settling.refused[entry.path] = nil
      // Compared with the file in its place before its hashes' blocks are cleared.
      if let files {
        files.map.remove(entry.path)
        files.discard(entry.seq)
        // What never came was never laid out: a file of its size and time is the user's.
        let wasHere = stat.blockRange.map { content.core.has($0) } == true
        if !kept.contains(entry.path) {
          try removeLaidOut(entry, wasHere: wasHere, content.core, files)
        } else if wasHere {
          settling.replaced[entry.path] = entry
        }
      }
      guard let range = stat.blockRange, !range.isEmpty else { continue }
      content.cancelAll(in: range)
      do { try content.core.clear(range, keepingBytes: files != nil) } catch {
        throw Self.error(error)
      }
    }
  }

  /// Adds a file or folder of the newest version to the map.
  private func take(_ entry: ArchiveEntry, _ content: FeedCore) throws {
    guard let stat = entry.stat else { return }
    guard let files else {
      if stat.kind == .file, let range = stat.blockRange, !range.isEmpty {
        settling.pending[range.lowerBound] = entry
      }
      return
    }
    if stat.kind == .other {
      settling.refused[entry.path] = "it is neither a file nor a folder"
      return
    }
    var refusal = LayoutRules.refusal(of: entry.path)
    if refusal == nil, isFollowing, let other = settling.folded[LayoutRules.folded(entry.path)],
      other != entry.path, files.folder.foldsNames
    {
      refusal = "its name differs from that of another file by case or form alone"
    }
    if stat.kind == .directory {
      if refusal == nil, isFollowing { makeFolder(entry, files) }
      return
    }
    guard files.map.insert(entry), let range = stat.blockRange else {
      settling.refused[entry.path] = "its entry is damaged"
      return
    }
    if let refusal {
      settling.refused[entry.path] = refusal
      return
    }
    guard isFollowing else { return }
    settling.folded[LayoutRules.folded(entry.path)] = entry.path
    if range.isEmpty {
      if try files.folder.status(of: entry.path)?.size != 0 { try lay(entry, content, files) }
    } else if try !isLaidOut(entry, content, files) {
      settling.pending[range.lowerBound] = entry
    }
  }

  /// Refuses files with the name of a folder, which takes precedence.
  private func refuseFilesUnderFolders(_ puts: [ArchiveEntry], _ files: ContentFiles) {
    for entry in puts {
      let index = (try? tree.node(entry.seq)).flatMap { try? tree.index(of: $0) }
      refuse(entry, hasNamesBelow: index?.others(entry.path.count).isEmpty == false, files)
    }
  }

  private func refuse(_ entry: ArchiveEntry, hasNamesBelow: Bool, _ files: ContentFiles) {
    guard settling.refused[entry.path] == nil else { return }
    var folder = entry.path.parent
    while folder.count > 0 {
      if let file = files.map.current[folder], let stat = file.stat {
        settling.refused[folder] = "a folder has its name"
        settling.pending[stat.offset] = nil
      }
      folder = folder.parent
    }
    guard hasNamesBelow, let stat = entry.stat, stat.kind == .file else { return }
    settling.refused[entry.path] = "a folder has its name"
    settling.pending[stat.offset] = nil
  }

  /// Requests the blocks of pending files, neighbours together, in place of the previous requests.
  private func download(_ content: Replicator) {
    for id in settling.downloads { content.undownload(id) }
    settling.downloads = []
    var joined: [Range<UInt64>] = []
    for start in settling.pendingStarts {
      guard let range = settling.pending[start]?.stat?.blockRange else { continue }
      if let last = joined.last, last.upperBound >= range.lowerBound {
        joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        joined.append(range)
      }
    }
    for range in joined { settling.downloads.append(content.download(DownloadRange(range))) }
    // What can't be written now fails again at the next block, which reports it.
    try? content.flush()
  }

  // MARK: Completeness

  /// True if everything wanted of the newest version is here.
  public var isComplete: Bool {
    let metadata = feeds.metadata.core
    guard content != nil, metadata.length > 0, metadata.has(0..<metadata.length) else {
      return false
    }
    if isFollowing { return settling.version == tree.version && settling.pending.isEmpty }
    return (try? missingBlocks())?.isEmpty ?? false
  }

  /// Returns the missing blocks of the newest version's files, by file. Files whose entries are missing have
  /// none.
  package func missingBlocks() throws -> [Range<UInt64>] {
    guard let content = feeds.content?.core else { return [] }
    let walk = ArchiveWalk(tree, version: tree.version)
    var missing: [Range<UInt64>] = []
    while let item = try walk.next() {
      guard case .entry(let entry) = item, entry.stat?.kind == .file,
        let range = entry.stat?.blockRange, !content.has(range)
      else { continue }
      missing.append(range)
    }
    return missing
  }

  /// Returns once everything wanted of the newest version is here.
  ///
  /// - Throws: ``ArchiveError``: `folder`, such as for a full disk; `closed`; `CancellationError`.
  public func untilComplete() async throws {
    while !isComplete {
      try checkOpen()
      if let failure = settling.failure { throw failure }
      try Task.checkCancellation()
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          // Names `self`, so that the closure is isolated to this actor.
          self.waitSettled(continuation)
        }
      } onCancel: {
        Task { await self.wakeSettled() }
      }
    }
  }

  private func waitSettled(_ continuation: CheckedContinuation<Void, Never>) {
    if Task.isCancelled || isClosed || isComplete { return continuation.resume() }
    settling.waiters.append(continuation)
  }

  func wakeSettled() {
    let waiters = settling.waiters
    settling.waiters = []
    for waiter in waiters { waiter.resume() }
  }
}

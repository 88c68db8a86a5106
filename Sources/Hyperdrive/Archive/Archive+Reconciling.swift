internal import Hypercore
internal import RandomAccessStorage

/// The state of an archive's folder, or of the content that is kept of it, on the way to the newest version.
struct Reconciliation {
  /// The version of the map; nil before the first.
  var version: UInt64?
  /// True if a look at new blocks is already scheduled: several requests in a row lead to one look.
  var isDue = false
  /// Blocks of content that came since the last look.
  var arrived: [Range<UInt64>] = []
  /// Files of the newest version that are not complete yet, by their first block.
  var pending: [UInt64: FileMap.File] = [:]
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
  /// Laid-out names in the form of a file system that folds case, if the folder is on one.
  var folded: [[UInt8]: ArchivePath] = [:]
  /// The version whose indexes lead nowhere, with the error: another walk would cost as much and find no more.
  var unreadable: (version: UInt64, error: ArchiveError)?
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

  func startReconciling() throws {
    files?.followsLinks = feeds.metadata.core.isOwned
    // A folder that is only read locates files one by one.
    guard files != nil || isFollowing, feeds.access == .readWrite else { return }
    do { try reconcile() } catch let error as ArchiveError where error.code == .tooManySteps {
      // A newer version may be sound, and comes only to an archive that is open.
      noteFailure(error)
    }
  }

  /// Schedules a look at new blocks, after the present one.
  func reconcileSoon() {
    guard files != nil || isFollowing, !reconciliation.isDue, !isClosed else { return }
    reconciliation.isDue = true
    Task { [weak self] in await self?.reconcileNow() }
  }

  private func reconcileNow() {
    reconciliation.isDue = false
    guard !isClosed else { return }
    do {
      try reconcile()
      guard reconciliation.failure != nil else { return }
      reconciliation.failure = nil
    } catch { return noteFailure(error) }
    broadcast.send(.trouble)
  }

  /// Notes why the folder can't follow. Peers are served what is here all the same.
  func noteFailure(_ error: any Error) {
    let failure = error as? ArchiveError ?? ArchiveError(.folder, "\(error)", cause: error)
    reconciliation.failure = failure
    if failure.cause is SystemError { reconcileLater() }
    wakeWaiters()
    broadcast.send(.trouble)
  }

  /// Looks again after ``Reconciliation/pause``, when the disk may have room.
  private func reconcileLater() {
    Task { [weak self] in
      do { try await Task.sleep(for: Reconciliation.pause) } catch { return }
      await self?.reconcileAll()
    }
  }

  private func reconcileAll() {
    reconciliation.arrived = [0..<(feeds.content?.core.length ?? 0)]
    reconcileSoon()
  }

  /// Goes from the version that is laid out to the newest whose entries are here: clears the content of
  /// removed files, requests that of new ones, and lays out complete files.
  ///
  /// Source: hyperdrive `index.js`, `_fetchVersion` and `_clear`.
  func reconcile() throws {
    guard let content = feeds.content, !isClosed else { return }
    // Files of one folder come one after the other. Then the user may move it, and nothing must go where it went.
    defer { files?.folder.leave() }
    let metadata = feeds.metadata.core
    let version = tree.version
    if metadata.has(0..<metadata.length), reconciliation.version != version {
      if let unreadable = reconciliation.unreadable, unreadable.version == version {
        throw unreadable.error
      }
      do { try follow(from: reconciliation.version, to: version, content) } catch let error
        as ArchiveError where error.code == .tooManySteps
      {
        reconciliation.unreadable = (version, error)
        throw error
      }
    }
    try layOutArrived(content.core)
  }

  private func follow(from last: UInt64?, to version: UInt64, _ content: Replicator) throws {
    if isFollowing {
      // After opening, everything is put, but only what was removed since the version that was laid out last is
      // cleared. If that was the empty archive, it is nothing.
      let before = try last ?? min(feeds.readLatest(), version)
      if before > 0 { try giveUp(tree.diff(from: before, to: version), content) }
    }
    let (puts, above) = try puts(from: last ?? 0, to: version)
    let untrue = files == nil ? [] : Self.overlapping(puts)
    for file in puts {
      if untrue.contains(file.seq) {
        reconciliation.refused[file.path] = "its entry is damaged"
      } else {
        try add(file, content.core)
      }
    }
    if let files {
      var last: ArchivePath?
      for file in puts where reconciliation.refused[file.path] == nil {
        let folder = file.path.parent
        if folder != last { refuseFiles(above: folder, files) }
        last = folder
        if above.contains(file.seq) { refuse(file) }
      }
    }
    // Not before: if the disk had no room, all of the difference is gone through again.
    reconciliation.version = version
    guard isFollowing else { return }
    try feeds.writeLatest(version)
    reconciliation.pendingStarts = reconciliation.pending.keys.sorted()
    reconciliation.arrived = [0..<content.core.length]
    if !options.sparse { download(content) }
  }

  /// Follows entries that were appended here. They are the difference from the version before, which would
  /// otherwise be looked for in every folder on their paths.
  func reconcile(appended nodes: [ArchiveNode]) throws {
    guard let files, let content = feeds.content?.core, !isFollowing,
      let version = reconciliation.version, version + UInt64(nodes.count) == tree.version
    else { return try reconcile() }
    for node in nodes {
      if let file = FileMap.File(node.entry) {
        try add(file, content)
      } else {
        files.map.remove(node.path)
      }
    }
    for node in nodes {
      guard let file = FileMap.File(node.entry), reconciliation.refused[file.path] == nil else {
        continue
      }
      refuseFiles(above: file.path.parent, files)
      if node.keptIndex?.others(node.path.count).isEmpty == false { refuse(file) }
    }
    reconciliation.version = tree.version
  }

  /// Lists the difference of two versions in the order of the files' bytes, so that each file goes to the end of the
  /// map; of several that begin at one byte, the newest comes first. In an owner's folder, files that are gone are
  /// removed from the map.
  ///
  /// - Returns: the files and folders that were put, and the entries of those that have names below their own.
  private func puts(
    from first: UInt64, to second: UInt64
  ) throws -> (files: [FileMap.File], above: Set<UInt64>) {
    // All entries are met, each of them once.
    tree.cacheBytes = min(options.cacheBytes, ArchiveLimits.importCacheBytes)
    defer { tree.cacheBytes = options.cacheBytes }
    var puts: [FileMap.File] = []
    var above: Set<UInt64> = []
    try tree.eachChange(from: first, to: second) { kind, entry, hasNamesBelow in
      if kind == .put, let file = FileMap.File(entry) {
        puts.append(file)
        if hasNamesBelow { above.insert(file.seq) }
      } else if !isFollowing {
        files?.map.remove(entry.path)
      }
    }
    puts.sort {
      let (left, right) = ($0.stat.byteOffset, $1.stat.byteOffset)
      return left == right ? $0.seq > $1.seq : left < right
    }
    return (puts, above)
  }

  /// Returns the entries of files that claim bytes of the file that begins after them. They are refused, so that an
  /// entry that claims everything takes nothing from the others.
  private static func overlapping(_ files: [FileMap.File]) -> Set<UInt64> {
    var found: Set<UInt64> = []
    var next = UInt64.max
    for file in files.reversed() {
      guard file.stat.kind == .file, let bytes = file.stat.byteRange, !bytes.isEmpty else {
        continue
      }
      if bytes.upperBound > next { found.insert(file.seq) } else { next = bytes.lowerBound }
    }
    return found
  }

  /// Clears what is not in the newest version any more.
  private func giveUp(_ changes: [ArchiveChange], _ content: Replicator) throws {
    let kept = Set(changes.lazy.filter { $0.kind == .put }.map(\.entry.path))
    for change in changes where change.kind == .deletion {
      let entry = change.entry
      guard let stat = entry.stat else { continue }
      reconciliation.pending[stat.offset] = nil
      reconciliation.refused[entry.path] = nil
      // Before the blocks are cleared, since the file on the disk is compared with their hashes.
      if let files {
        files.map.remove(entry.path)
        files.discard(entry.seq)
        // If its blocks never came it was never laid out, and a file of its size and time is the user's.
        let wasHere = stat.blockRange.map { content.core.has($0) } == true
        if !kept.contains(entry.path) {
          try removeLaidOut(entry, wasHere: wasHere, content.core, files)
        } else if wasHere {
          reconciliation.replaced[entry.path] = entry
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
  private func add(_ file: FileMap.File, _ content: FeedCore) throws {
    let stat = file.stat
    guard let files else {
      if stat.kind == .file, let range = stat.blockRange, !range.isEmpty {
        reconciliation.pending[range.lowerBound] = file
      }
      return
    }
    if stat.kind == .other {
      reconciliation.refused[file.path] = "it is neither a file nor a folder"
      return
    }
    var refusal = LayoutRules.refusal(of: file.path)
    let folds = isFollowing && files.folder.foldsNames
    if refusal == nil, folds, let other = reconciliation.folded[LayoutRules.folded(file.path)],
      other != file.path
    {
      refusal = "its name differs from that of another file by case or form alone"
    }
    if stat.kind == .directory {
      if refusal == nil, isFollowing { makeFolder(file.entry, files) }
      return
    }
    guard files.map.insert(file), let range = stat.blockRange else {
      reconciliation.refused[file.path] = "its entry is damaged"
      return
    }
    if let refusal {
      reconciliation.refused[file.path] = refusal
      return
    }
    guard isFollowing else { return }
    if folds { reconciliation.folded[LayoutRules.folded(file.path)] = file.path }
    if range.isEmpty {
      if try files.folder.status(of: file.path)?.size != 0 {
        try lay(file.entry, content, files)
      }
    } else if try !isLaidOut(file.entry, content, files) {
      reconciliation.pending[range.lowerBound] = file
    }
  }

  /// Refuses the files that have the names of a folder and those above it: the folder takes precedence.
  private func refuseFiles(above folder: ArchivePath, _ files: ContentFiles) {
    var folder = folder
    while folder.count > 0 {
      if let file = files.map.current[folder] { refuse(file) }
      folder = folder.parent
    }
  }

  private func refuse(_ file: FileMap.File) {
    guard file.stat.kind == .file, reconciliation.refused[file.path] == nil else { return }
    reconciliation.refused[file.path] = "a folder has its name"
    reconciliation.pending[file.stat.offset] = nil
  }

  /// Requests the blocks of pending files, neighbours together, in place of the previous requests.
  private func download(_ content: Replicator) {
    for id in reconciliation.downloads { content.undownload(id) }
    reconciliation.downloads = []
    var joined: [Range<UInt64>] = []
    for start in reconciliation.pendingStarts {
      guard let range = reconciliation.pending[start]?.stat.blockRange else { continue }
      if let last = joined.last, last.upperBound >= range.lowerBound {
        joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        joined.append(range)
      }
    }
    for range in joined { reconciliation.downloads.append(content.download(DownloadRange(range))) }
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
    if isFollowing {
      return reconciliation.version == tree.version && reconciliation.pending.isEmpty
    }
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
  /// - Throws: ``ArchiveError`` with `folder`, such as for a full disk, or `closed`; `CancellationError`.
  public func untilComplete() async throws {
    while !isComplete {
      try checkOpen()
      if let failure = folderFailure { throw failure }
      try Task.checkCancellation()
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          // Names `self`, so that the closure is isolated to this actor.
          self.waitForProgress(continuation)
        }
      } onCancel: {
        Task { await self.wakeWaiters() }
      }
    }
  }

  private func waitForProgress(_ continuation: CheckedContinuation<Void, Never>) {
    if Task.isCancelled || isClosed || isComplete { return continuation.resume() }
    reconciliation.waiters.append(continuation)
  }

  func wakeWaiters() {
    let waiters = reconciliation.waiters
    reconciliation.waiters = []
    for waiter in waiters { waiter.resume() }
  }
}

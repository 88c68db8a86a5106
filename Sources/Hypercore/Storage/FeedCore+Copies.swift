internal import HypercoreCrypto
internal import RandomAccessStorage

// State that the reference does not have: the memory of the folder that the feed was written in, and of a key
// pair that was stored without its blocks. It is in the file `marker`: what distinguishes the file `key` from
// a copy of it, or the word `restoring`.

extension FeedCore {
  // MARK: Copies

  /// Detects that the folder was copied or restored since the feed was written there.
  ///
  /// The marker holds what distinguishes the file `key` from a copy of it. It is made by the first append, so
  /// that opening and closing a folder that Node wrote changes nothing. If it is lost, or can't be read or
  /// written, the feed can be written all the same.
  func checkMarker(isNew: Bool) {
    guard !isRestoring else { return }
    let stored = (try? files.marker.read(at: 0, count: Self.markerSize)) ?? []
    if stored == Self.restoringMark, length > 0 {
      // Peers have brought some of the feed; they were not asked yet whether that is all.
      recovery.foundBeginning()
      return
    }
    guard !stored.isEmpty, !isNew, length > 0 else {
      recovery.foundNoMarker()
      return
    }
    guard let identity = folderIdentity, stored != identity else { return }
    recovery.foundCopy()
    recovery.report.findings.append(.folderCopied)
  }

  /// Records that this is the folder in which the feed is written, unless that is known.
  func mark() {
    guard let isMarkedRestoring = recovery.takeMarking() else { return }
    if let identity = folderIdentity {
      try? files.marker.truncate(to: 0)
      try? files.marker.write(identity, at: 0)
    } else if isMarkedRestoring {
      try? files.marker.truncate(to: 0)
    }
  }

  /// Records that there is no more of the feed elsewhere: from now on it is written in this folder.
  package func confirmFolder() {
    if recovery.confirm() { mark() }
  }

  /// True if the marker is another folder's; nil if there is none, or nothing to compare it with.
  var isMarkedElsewhere: Bool? {
    guard let identity = folderIdentity,
      let stored = try? files.marker.read(at: 0, count: Self.markerSize), !stored.isEmpty
    else { return nil }
    return stored != identity
  }

  // MARK: Keys without blocks

  /// Returns whether there is a key pair and nothing else, such as on a new disk to which the keys were
  /// restored.
  func lacksItsBlocks(_ stored: StoredFeed, _ options: FeedOptions) throws(FeedError) -> Bool {
    guard isOwned, isLive, length == 0, !options.isNew, !options.overwrite, !stored.isNew else {
      return false
    }
    let isMarked = try files.marker.read(at: 0, count: Self.markerSize) == Self.restoringMark
    let isEmpty =
      !stored.hasTreeHeader && !stored.hasSignaturesHeader && !stored.hasBitfieldHeader
    return isMarked || isEmpty
  }

  func markAsRestoring() throws(FeedError) {
    try files.marker.truncate(to: 0)
    try files.marker.write(Self.restoringMark, at: 0)
    recovery.markedRestoring()
    if durability != .buffered { try files.marker.sync() }
  }

  /// Removes the mark of a feed without its blocks, as the caller says that the key pair is new.
  func forgetRestoring() throws(FeedError) {
    guard isOwned, length == 0,
      try files.marker.read(at: 0, count: Self.markerSize) == Self.restoringMark
    else { return }
    try files.marker.truncate(to: 0)
  }

  /// The content of the file `marker` while the feed may not be written because its blocks are missing.
  package static let restoringMark = Array("restoring\n".utf8)
  private static let markerSize = 128

  private var folderIdentity: [UInt8]? {
    guard let identity = try? files.provider.identity(of: files.key.name) else { return nil }
    return Array("\(identity)\n".utf8)
  }
}

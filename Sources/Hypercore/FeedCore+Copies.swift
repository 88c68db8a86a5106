internal import HypercoreCrypto
internal import RandomAccessStorage

// What the reference does not have: the memory of which folder the feed was written in, and of a key pair that
// came without its blocks. The file `marker` holds it: what tells the file `key` from a copy of it, or the word
// `restoring`.

extension FeedCore {
  // MARK: Copies

  /// Notices that the folder was copied or restored since the feed was written there.
  ///
  /// The marker holds what tells the file `key` from a copy of it. It is made by the first append, so that
  /// opening a folder that Node wrote, and closing it, changes nothing. Its loss, or a failure to read or
  /// write it, is no reason to keep anybody from writing.
  func checkMarker(isNew: Bool) {
    guard !isRestoring else { return }
    let stored = (try? files.marker.read(at: 0, count: Self.markerSize)) ?? []
    if stored == Self.restoringMark, length > 0 {
      // Peers have brought some of it; whether that is all was not asked yet.
      isCopy = true
      isMarkedRestoring = true
      return
    }
    guard !stored.isEmpty, !isNew, length > 0 else {
      needsMarker = true
      return
    }
    guard let identity = folderIdentity, stored != identity else { return }
    isCopy = true
    report.findings.append(.folderCopied)
  }

  /// Notes that this is the folder that the feed is written in, unless that is known.
  func mark() {
    guard needsMarker else { return }
    needsMarker = false
    if let identity = folderIdentity {
      try? files.marker.truncate(to: 0)
      try? files.marker.write(identity, at: 0)
    } else if isMarkedRestoring {
      try? files.marker.truncate(to: 0)
    }
    isMarkedRestoring = false
  }

  /// Notes that a peer has proven that there is more of the feed: the folder was restored without leaving a
  /// trace.
  func noteBehind() {
    isCopy = true
    needsMarker = true
  }

  /// Settles that there is no more of the feed elsewhere: this folder is where it is written from now
  /// on.
  package func confirmFolder() {
    guard isCopy else { return }
    isCopy = false
    needsMarker = true
    mark()
  }

  /// Whether the marker is another folder's; nil where there is none, or nothing to compare it with.
  var isMarkedElsewhere: Bool? {
    guard let identity = folderIdentity,
      let stored = try? files.marker.read(at: 0, count: Self.markerSize), !stored.isEmpty
    else { return nil }
    return stored != identity
  }

  // MARK: Keys without blocks

  /// Whether there is a key pair and nothing else: a new disk to which the keys were restored, for example.
  func lacksItsBlocks(_ stored: StoredFeed, _ options: FeedOptions) throws(FeedError) -> Bool {
    guard isOwned, isLive, length == 0, !options.isNew, !options.overwrite, !stored.isNew else {
      return false
    }
    let isMarked = try files.marker.read(at: 0, count: Self.markerSize) == Self.restoringMark
    let isEmpty =
      !stored.hasTreeHeader && !stored.hasSignaturesHeader && !stored.hasBitfieldHeader
    guard isMarked || isEmpty else { return false }
    report.findings.append(.blocksMissing)
    return true
  }

  func markAsRestoring() throws(FeedError) {
    try files.marker.truncate(to: 0)
    try files.marker.write(Self.restoringMark, at: 0)
    isMarkedRestoring = true
    if durability != .buffered { try files.marker.sync() }
  }

  /// The caller said that the key pair is new.
  func forgetRestoring() throws(FeedError) {
    guard isOwned, length == 0,
      try files.marker.read(at: 0, count: Self.markerSize) == Self.restoringMark
    else { return }
    try files.marker.truncate(to: 0)
  }

  /// A peer has proven how long the feed is. What connected peers have of it is fetched before the next append,
  /// as for a copy.
  ///
  /// - Returns: whether the feed was restoring.
  func settleRestoring() -> Bool {
    guard isRestoring, length > 0 else { return false }
    isRestoring = false
    isCopy = true
    return true
  }

  /// What the file `marker` holds as long as the feed may not be written for want of its blocks.
  package static let restoringMark = Array("restoring\n".utf8)
  private static let markerSize = 128

  private var folderIdentity: [UInt8]? {
    guard let identity = try? storage.identity(of: files.key.name) else { return nil }
    return Array("\(identity)\n".utf8)
  }
}

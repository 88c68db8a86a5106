public import HypercoreCrypto
public import RandomAccessStorage

/// The result of examining all files of a feed.
public struct FeedExamination: Sendable {
  /// A fault, or something worth knowing.
  public struct Problem: Hashable, Sendable {
    /// The kind of a problem; `dat doctor --json` prints its raw value.
    @nonexhaustive
    public enum Code: String, Hashable, Sendable {
      /// The feed can't be opened at all: another kind of file, keys that don't match, an unreadable disk.
      case unopenable
      /// Another process is using the feed, so the findings may be from the middle of a change.
      case inUse
      /// A crash left something unfinished, which opening the feed for writing repairs.
      case unfinished
      /// A signature is stored, but not the blocks that it signed: peers have to bring them.
      case signedLengthLost
      /// Blocks are recorded as stored but don't match their hashes.
      case damagedBlocks
      /// Nodes of the tree don't hash into those above them.
      case damagedNodes
      /// Signatures don't verify over what is stored.
      case badSignatures
      /// The key of a feed that is written here signed two histories.
      case forked
      /// The key of somebody else's feed signed two histories: the feed's owner has to act.
      case foreignFork
      /// The folder was copied or restored from a backup since the feed was written there.
      case folderCopied
      /// The key pair is here without any of its blocks: they have to come from a peer.
      case restoring
      /// The files are far longer than what they take on the disk: a copy may take the full length.
      case largeHoles
      /// Blocks of a feed that is written here are no longer stored here.
      case ownBlocksMissing
    }

    /// The kind of problem.
    public let code: Code
    /// One or two sentences for people.
    public let message: String
    /// True if a repair can mend it; otherwise peers or people have to.
    public let isRepairable: Bool

    /// True if something is wrong; false if it is only worth knowing.
    public var isFault: Bool {
      ![.inUse, .ownBlocksMissing, .foreignFork, .largeHoles].contains(code)
    }
  }

  /// The feed's key; nil if it is not known.
  public internal(set) var key: PublicKey?
  /// The number of blocks that the feed is known to have.
  public internal(set) var length: UInt64 = 0
  /// The total size of these blocks in bytes.
  public internal(set) var byteLength: UInt64 = 0
  /// The number of blocks that are stored.
  public internal(set) var storedBlocks: UInt64 = 0
  /// The total length of its files in bytes.
  public internal(set) var fileBytes: UInt64 = 0
  /// The bytes that the files take on the disk: less than their length if they have holes.
  public internal(set) var occupiedBytes: UInt64 = 0
  /// True if the secret key is here.
  public internal(set) var isOwned = false
  /// The number of signatures that verify.
  public internal(set) var validSignatures: UInt64 = 0
  /// The problems that remain, after any repairs.
  public internal(set) var problems: [Problem] = []
  /// The repairs, a sentence each.
  public internal(set) var repairs: [String] = []
  /// Both histories of a forked feed.
  public internal(set) var forkEvidence: ForkEvidence?

  /// True if nothing is wrong.
  public var isHealthy: Bool { !problems.contains(where: \.isFault) }

  init() {}
}

extension Feed {
  /// Examines everything that is stored of a feed: lock, headers, keys, lengths, every hash and signature,
  /// the bitfield against the data, the evidence of a fork, the marker of the folder. hypercore has no such
  /// call.
  ///
  /// - Parameters:
  ///   - storage: the storage of the feed; nothing in it is changed without `repairing`.
  ///   - prefix: the prefix of its files' names.
  ///   - repairing: true to repair what can be repaired without a risk of forking the feed. It needs a
  ///     writable storage, and takes the lock.
  ///   - holdsLock: true if the caller holds the lock of the folder that the feed is in.
  ///   - progress: called from time to time with the number of blocks that were read.
  /// - Throws: ``FeedError`` if no feed is stored there or, when repairing, if another process holds the
  ///   lock.
  /// - Complexity: reads all files once.
  public static func examine(
    _ storage: any StorageProvider, prefix: String = "", repairing: Bool = false,
    holdsLock: Bool = false, progress: ((UInt64) -> Void)? = nil
  ) throws(FeedError) -> FeedExamination {
    var repairs: [String] = []
    var mended: [RepairReport.Finding] = []
    if repairing {
      mended = (try? findings(storage, prefix)) ?? []
      var options = FeedOptions(createIfMissing: false)
      options.holdsLock = holdsLock
      options.isNew = false
      let core = try FeedCore.open(in: storage, prefix: prefix, options: options)
      do {
        repairs = try core.mend()
      } catch {
        try? core.close()
        throw error
      }
      try core.close()
    }
    var examination = FeedExamination()
    if !holdsLock, let owner = Self.lockHolder(storage, prefix) {
      examination.problems.append(owner)
    }
    do {
      var options = FeedOptions(createIfMissing: false)
      options.isNew = false
      let core = try FeedCore.open(in: ReadingStorage(storage), prefix: prefix, options: options)
      // Problems that are still found were not mended, whatever was tried.
      mended.removeAll { core.report.findings.contains($0) }
      try core.examine(&examination, progress)
      try core.close()
    } catch {
      if error.code == .noFeedStored { throw error }
      examination.problems.append(
        .init(code: .unopenable, message: error.reason, isRepairable: false))
    }
    examination.repairs = mended.compactMap(\.repair) + repairs
    return examination
  }

  /// The findings of opening the feed, without changing anything.
  private static func findings(
    _ storage: any StorageProvider, _ prefix: String
  ) throws(FeedError) -> [RepairReport.Finding] {
    let core = try FeedCore.open(
      in: ReadingStorage(storage), prefix: prefix, options: FeedOptions(createIfMissing: false))
    defer { try? core.close() }
    return core.report.findings
  }

  /// A problem that names the holder of the lock, if there is one.
  private static func lockHolder(_ storage: any StorageProvider, _ prefix: String)
    -> FeedExamination.Problem?
  {
    // Asking for the lock would create the file if there is none.
    guard (try? storage.exists(prefix + "bitfield")) == true else { return nil }
    do {
      try storage.lock(prefix + "bitfield")?.release()
      return nil
    } catch {
      guard error.code == .locked else { return nil }
      return .init(code: .inUse, message: error.reason, isRepairable: false)
    }
  }
}

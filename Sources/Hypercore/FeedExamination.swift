public import HypercoreCrypto
public import RandomAccessStorage

/// What a look at all files of a feed found.
public struct FeedExamination: Sendable {
  /// One thing that is not as it should be, or worth knowing.
  public struct Problem: Hashable, Sendable {
    /// What kind of problem it is; its raw value is what `dat doctor --json` prints.
    @nonexhaustive
    public enum Code: String, Hashable, Sendable {
      /// It can't be opened at all: another kind of file, keys that don't match, an unreadable disk.
      case unopenable
      /// Another process is using it, so what is found may be in the middle of a change.
      case inUse
      /// A crash left something behind, which opening the feed for writing mends.
      case unfinished
      /// A signature is stored, but not what it signed: peers have to bring it.
      case signedLengthLost
      /// Blocks are marked as stored and are not what was verified.
      case damagedBlocks
      /// Nodes of the tree don't hash into those above them.
      case damagedNodes
      /// Signatures don't verify over what is stored.
      case badSignatures
      /// The key of the feed that is written here signed two histories.
      case forked
      /// The key of somebody else's feed did: its owner has to see to it.
      case foreignFork
      /// The folder was copied or restored from a backup since the feed was written there.
      case folderCopied
      /// The key pair is here without any of its blocks: they have to come from a peer.
      case restoring
      /// The files are far longer than what they take on the disk: a copy may take it all.
      case largeHoles
      /// Blocks of a feed that is written here are not stored here any more.
      case ownBlocksMissing
    }

    /// What kind it is.
    public let code: Code
    /// One sentence, or two, for people.
    public let message: String
    /// Whether repairing can mend it; otherwise peers or people have to.
    public let isRepairable: Bool

    /// Whether something is wrong; otherwise it is only worth knowing.
    public var isFault: Bool {
      ![.inUse, .ownBlocksMissing, .foreignFork, .largeHoles].contains(code)
    }
  }

  /// The feed's key; nil where it can't be told.
  public internal(set) var key: PublicKey?
  /// How many blocks the feed is known to have.
  public internal(set) var length: UInt64 = 0
  /// How many bytes these blocks have together.
  public internal(set) var byteLength: UInt64 = 0
  /// How many of them are stored.
  public internal(set) var storedBlocks: UInt64 = 0
  /// How long its files are together, in bytes.
  public internal(set) var fileBytes: UInt64 = 0
  /// How many bytes they take on the disk: less where they have holes.
  public internal(set) var occupiedBytes: UInt64 = 0
  /// Whether the secret key is here.
  public internal(set) var isOwned = false
  /// How many signatures verify.
  public internal(set) var validSignatures: UInt64 = 0
  /// What is amiss, now: after repairs, where there were any.
  public internal(set) var problems: [Problem] = []
  /// What was mended, a sentence each.
  public internal(set) var repairs: [String] = []
  /// Both histories of a forked feed.
  public internal(set) var forkEvidence: ForkEvidence?

  /// Whether nothing is wrong.
  public var isHealthy: Bool { !problems.contains(where: \.isFault) }

  init() {}
}

extension Feed {
  /// Looks at everything that is stored of a feed: lock, headers, keys, lengths, every hash and signature,
  /// the bitfield against the data, the evidence of a fork, the marker of the folder. hypercore has no such
  /// call.
  ///
  /// - Parameters:
  ///   - storage: where the feed is; nothing in it is changed without `repairing`.
  ///   - prefix: what the names of its files start with.
  ///   - repairing: whether to mend what can be mended without a risk of forking the feed. It needs a
  ///     storage to write to, and takes the lock.
  ///   - holdsLock: whether the caller holds the lock of the folder that the feed is in.
  ///   - progress: told now and then how many blocks were read.
  /// - Throws: ``FeedError`` where nothing is stored there, or, repairing, where another process has it.
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
      // What is still to be found was not mended, whatever was tried.
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

  /// What opening the feed finds, changing nothing.
  private static func findings(
    _ storage: any StorageProvider, _ prefix: String
  ) throws(FeedError) -> [RepairReport.Finding] {
    let core = try FeedCore.open(
      in: ReadingStorage(storage), prefix: prefix, options: FeedOptions(createIfMissing: false))
    defer { try? core.close() }
    return core.report.findings
  }

  /// Who holds the lock, where somebody does.
  private static func lockHolder(_ storage: any StorageProvider, _ prefix: String)
    -> FeedExamination.Problem?
  {
    // Asking makes the file where there is none.
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

public import Hypercore
public import HypercoreCrypto
public import RandomAccessStorage

/// The result of examining all files of a database or a room.
public struct DatabaseExamination: Sendable {
  /// One of its feeds.
  public struct Feed: Sendable {
    /// Its folder, such as `source`.
    public let folder: String
    /// Its key.
    public let key: PublicKey
    /// The faults of its files.
    public let examination: FeedExamination
  }

  /// The feeds that are stored.
  public internal(set) var feeds: [Feed] = []
  /// The number of entries that were read.
  public internal(set) var entryCount = 0
  /// Entries that can't be read, by feed and block; the database leaves them out.
  public internal(set) var badEntries: [BadEntry] = []
  /// Authorized writers of which not even the first block ever came.
  public internal(set) var silentWriters: [PublicKey] = []
  /// The reason why it can't be opened as a database; nil if it can.
  public internal(set) var failure: String?

  /// An entry that can't be read.
  public struct BadEntry: Hashable, Sendable {
    /// Its feed.
    public let feed: PublicKey
    /// Its block.
    public let seq: Int
    /// Its fault.
    public let message: String
  }

  /// True if nothing is wrong. A writer that never wrote and an entry that its writer botched are no
  /// fault of the storage.
  public var isHealthy: Bool { failure == nil && feeds.allSatisfy(\.examination.isHealthy) }
}

extension HyperDB {
  /// Examines everything that is stored of a database: each feed as `Feed.examine` does, and every entry.
  ///
  /// - Parameters:
  ///   - storage: the database's storage; without `repairing` nothing in it is changed.
  ///   - folders: folders below it that may hold feeds, each ending in a slash, such as `local/`. They are
  ///     examined if the database itself does not lead to them, as when it can't be opened.
  ///   - repairing: true to mend, under the lock, what can be mended without a risk of forking a feed.
  /// - Throws: `FeedError` if no database is stored there or, when repairing, if another process
  ///   has it open.
  public static func examine(
    _ storage: any StorageProvider, folders: [String] = [], repairing: Bool = false
  ) async throws -> DatabaseExamination {
    guard try storage.exists("source/key") else {
      throw FeedError(code: .noFeedStored, reason: "No database is stored here.")
    }
    let lock = repairing ? try storage.lock("source/bitfield") : nil
    defer { lock?.release() }
    var result = DatabaseExamination()
    try result.add("source/", in: storage, repairing, holdsLock: lock != nil)
    let reading = ReadingStorage(storage)
    do {
      let db = try await HyperDB.open(reading)
      let folders = await db.feedFolders
      await db.close()
      for folder in folders where folder != "source/" {
        guard try storage.exists(folder + "key") else { continue }
        try result.add(folder, in: storage, repairing, holdsLock: true)
      }
      let mended = try await HyperDB.open(reading)
      try await mended.examineEntries(&result)
      await mended.close()
    } catch {
      result.failure = "\(error)"
    }
    let seen = Set(result.feeds.map(\.folder))
    for folder in folders where !seen.contains(String(folder.dropLast())) {
      guard try storage.exists(folder + "key") else { continue }
      try result.add(folder, in: storage, repairing, holdsLock: true)
    }
    return result
  }

  /// The folders of the database's feeds.
  private var feedFolders: [String] {
    core.feedKeys.indices.flatMap { number -> [String] in
      let key = core.feedKeys[number]
      let own = key == self.key ? "source/" : number == core.local ? "local/" : nil
      return [own ?? "peers/\(key.discoveryKey.hex)/", "content/\(key.discoveryKey.hex)/"]
    }
  }

  private func examineEntries(_ result: inout DatabaseExamination) throws {
    result.silentWriters = core.candidates
    for number in core.feedKeys.indices {
      let log = core.log(of: number)
      if log.length == 0, core.isAuthorized(log.key) { result.silentWriters.append(log.key) }
      guard let stored = feedSet.logs[log.key]?.core else { continue }
      // A feed may be signed to be far longer than the part that is here.
      var next: UInt64 = 1
      while let block = stored.nextStored(from: next, below: stored.length) {
        next = block + 1
        let seq = Int(clamping: block)
        let location = FeedSequence(feed: number, seq: seq)
        do {
          if try core.node(at: location) != nil {
            result.entryCount += 1
          } else {
            let reason =
              core.fault(at: location)?.reason ?? "The entry in \(core.name(location)) is bad."
            result.badEntries.append(.init(feed: log.key, seq: seq, message: reason))
          }
        } catch is MissingBlock {
          // The entry or the list that it is read by isn't here: its soundness is unknown.
          continue
        }
      }
    }
  }
}

extension DatabaseExamination {
  fileprivate mutating func add(
    _ folder: String, in storage: any StorageProvider, _ repairing: Bool, holdsLock: Bool
  ) throws {
    let examination = try Hypercore.Feed.examine(
      storage, prefix: folder, repairing: repairing, holdsLock: holdsLock)
    guard let key = examination.key else {
      if failure == nil { failure = examination.problems.first?.message }
      return
    }
    feeds.append(Feed(folder: String(folder.dropLast()), key: key, examination: examination))
  }
}

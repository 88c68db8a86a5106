public import Hypercore
internal import HypercoreCrypto

/// What happens to a database, for a follower that takes in every entry once.
@nonexhaustive
public enum DatabaseUpdate: Sendable {
  /// Entries that were not told before: those of one feed in order, feeds in no order.
  case entries([DatabaseNode])
  /// All that was stored when the sequence began was told.
  case caughtUp
  /// This replica's own feed is one of the database's now.
  case authorized
  /// Peers have fetched the local feed up to and with this block.
  case uploaded(seq: UInt64)
  /// The key of a feed has signed two histories: nothing more is taken of the second one, and nothing is written
  /// if it is the feed that is written here. Told once a feed, also of one that was found before.
  case forked(ForkEvidence)
  /// What was missing of the feed that is written here can be fetched from a peer: writing is possible again.
  case restored
  /// An entry can't be read, and is left out.
  case issue(HyperDBError)
}

/// Every entry of a database, once each: those that are here, then those that come.
///
/// Costs what is new, whatever the order in which feeds arrive: a place in each feed is all that is
/// kept for a reader, however slow. Of a sparse database the entries are told that are here, in the
/// order in which they came.
public struct DatabaseUpdates: AsyncSequence, Sendable {
  public typealias Element = DatabaseUpdate

  let db: HyperDB
  let valueLimit: Int

  public func makeAsyncIterator() -> Iterator { Iterator(db: db, valueLimit: valueLimit) }

  /// Waits for one update after the other.
  public struct Iterator: AsyncIteratorProtocol {
    let db: HyperDB
    let valueLimit: Int
    private var number: UInt64?

    init(db: HyperDB, valueLimit: Int) {
      self.db = db
      self.valueLimit = valueLimit
    }

    /// The next update; nil once the database is closed, or when the task is cancelled.
    public mutating func next() async -> DatabaseUpdate? {
      if number == nil { number = await db.addReader(valueLimit: valueLimit) }
      guard let number else { return nil }
      return await db.nextUpdate(number)
    }
  }
}

/// How far one follower has read.
final class UpdateReader {
  /// Values of more bytes than this are left out.
  let valueLimit: Int
  /// By feed, the next block.
  var cursors: [Int] = []
  /// In a sparse database: the next of ``Arrivals/places``, and those that can't be read before another
  /// block is here.
  var nextArrival = 0
  var deferred: [FeedSequence] = []
  var isCaughtUp = false
  var authorizedIsDue = false
  var restoredIsDue = false
  /// Whether there may be a forked feed that was not told, and those that were.
  var forksAreDue = true
  var toldForks: Set<PublicKey> = []
  var uploaded: UInt64 = 0
  var issueCount = 0
  var waiter: CheckedContinuation<Void, Never>?

  init(valueLimit: Int) { self.valueLimit = valueLimit }

  func wake() {
    waiter?.resume()
    waiter = nil
  }
}

extension HyperDB {
  /// Every entry, once each, from the first on.
  ///
  /// - Parameter limit: entries with a value of more bytes are told without it. Writers decide how large
  ///   their values are, up to 8 MiB: say what you can use.
  public nonisolated func updates(valuesUpTo limit: Int = .max) -> DatabaseUpdates {
    DatabaseUpdates(db: self, valueLimit: limit)
  }

  func addReader(valueLimit: Int) -> UInt64 {
    lastNumber += 1
    readers[lastNumber] = UpdateReader(valueLimit: valueLimit)
    return lastNumber
  }

  func nextUpdate(_ number: UInt64) async -> DatabaseUpdate? {
    guard let reader = readers[number] else { return nil }
    while !isClosed, !Task.isCancelled {
      if let update = take(from: reader) { return update }
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          // Named, so that the closure belongs to this actor: one that doesn't would run elsewhere.
          self.wait(continuation, for: reader)
        }
      } onCancel: {
        Task { await self.wakeReader(number) }
      }
    }
    readers[number] = nil
    return nil
  }

  private func wait(_ continuation: CheckedContinuation<Void, Never>, for reader: UpdateReader) {
    if Task.isCancelled { continuation.resume() } else { reader.waiter = continuation }
  }

  private func wakeReader(_ number: UInt64) { readers[number]?.wake() }

  /// How many entries are told at once, fewer where they are large.
  private static let entriesAtOnce = 512
  /// Keys and values of this many bytes are enough for one time, in a walk as well.
  static let bytesAtOnce = 1 << 20

  /// Whether there is room for another entry in what is told at once.
  func hasRoom(_ nodes: [DatabaseNode], shownBefore: Int) -> Bool {
    nodes.count < Self.entriesAtOnce && shownBytes &- shownBefore < Self.bytesAtOnce
  }

  private func take(from reader: UpdateReader) -> DatabaseUpdate? {
    var nodes: [DatabaseNode] = []
    let feeds = core.feedKeys
    let shownBefore = shownBytes
    if options.sparse { takeArrivals(from: reader, &nodes, shownBefore: shownBefore) }
    for feed in feeds.indices where !options.sparse || feed == core.local {
      while reader.cursors.count <= feed { reader.cursors.append(1) }
      guard let log = feedSet.logs[feeds[feed]] else { continue }
      while hasRoom(nodes, shownBefore: shownBefore), reader.cursors[feed] < log.length {
        let place = FeedSequence(feed: feed, seq: reader.cursors[feed])
        let node: DatabaseNode?
        do {
          node = try core.node(at: place).map {
            try publicNode($0, valueUpTo: reader.valueLimit)
          }
        } catch is MissingBlock { break } catch { node = nil }
        reader.cursors[feed] += 1
        if let node { nodes.append(node) }
      }
    }
    if !nodes.isEmpty { return .entries(nodes) }
    if reader.issueCount < core.issues.count {
      reader.issueCount += 1
      return .issue(core.issues[reader.issueCount - 1])
    }
    if !reader.isCaughtUp {
      reader.isCaughtUp = true
      return .caughtUp
    }
    if reader.forksAreDue {
      if let fork = forks.first(where: { !reader.toldForks.contains($0.key) }) {
        reader.toldForks.insert(fork.key)
        return .forked(fork)
      }
      reader.forksAreDue = false
    }
    if reader.restoredIsDue {
      reader.restoredIsDue = false
      return .restored
    }
    if reader.authorizedIsDue {
      reader.authorizedIsDue = false
      return .authorized
    }
    if reader.uploaded < uploadedLength {
      reader.uploaded = uploadedLength
      return .uploaded(seq: uploadedLength - 1)
    }
    return nil
  }
}

internal import HypercoreCrypto

extension Feed {
  /// Options that say which blocks a stream reads, and when it ends. They stand for the options of hypercore
  /// `createReadStream(options)`.
  public struct StreamOptions: Sendable {
    /// The first block.
    public var start: UInt64 = 0
    /// The block after the last; nil for the end of the feed, subject to ``live`` and ``snapshot``. Blocks
    /// beyond the length are waited for.
    public var end: UInt64?
    /// True to continue with blocks that are appended later, without an end.
    public var live = false
    /// True to start at the length that the feed has when the sequence is made, instead of at ``start``: with the
    /// first block that is appended or verified afterwards.
    public var tail = false
    /// True to end at the length of the feed at the first read; false to end at its length when the stream
    /// gets there.
    public var snapshot = true
    /// Options for blocks that aren't here; the timeout applies to each of them.
    public var get = GetOptions()

    /// Creates options. Those that are left out have their default values.
    public init(
      start: UInt64 = 0, end: UInt64? = nil, live: Bool = false, tail: Bool = false,
      snapshot: Bool = true, get: GetOptions = GetOptions()
    ) {
      self.start = start
      self.end = end
      self.live = live
      self.tail = tail
      self.snapshot = snapshot
      self.get = get
    }
  }

  /// The blocks of the feed in their order, read in pieces as they are asked for.
  ///
  /// Blocks that aren't here are downloaded meanwhile, lower ones first, until the stream ends or is
  /// released.
  ///
  /// Stands for hypercore `createReadStream(options)`.
  public nonisolated func blocks(_ options: StreamOptions = StreamOptions()) -> FeedBlocks {
    var options = options
    if options.tail {
      options.start = latestLength.value
      options.tail = false
    }
    return FeedBlocks(feed: self, options: options)
  }

  /// The blocks of the feed in an encoding.
  ///
  /// Stands for hypercore `createReadStream(options)` of a feed with a `valueEncoding`.
  public nonisolated func blocks<Value>(
    as encoding: ValueEncoding<Value>, _ options: StreamOptions = StreamOptions()
  ) -> AsyncThrowingMapSequence<FeedBlocks, Value> {
    blocks(options).map { try encoding.decode($0) }
  }
}

/// The blocks of a feed, as a sequence; see ``Feed/blocks(_:)``.
public struct FeedBlocks: AsyncSequence, Sendable {
  public typealias Element = [UInt8]

  let feed: Feed
  let options: Feed.StreamOptions

  public func makeAsyncIterator() -> Iterator { Iterator(feed: feed, options: options) }

  /// An iterator over the blocks.
  public struct Iterator: AsyncIteratorProtocol {
    let feed: Feed
    let options: Feed.StreamOptions
    private var piece: [[UInt8]] = []
    private var place = 0
    private var plan: StreamPlan?
    private var isDone = false

    init(feed: Feed, options: Feed.StreamOptions) {
      self.feed = feed
      self.options = options
    }

    /// Returns the next block, or nil after the last.
    ///
    /// - Throws: ``FeedError`` as `get` of ``Feed``, and with `cancelled` once the task is. The iteration
    ///   ends then.
    public mutating func next() async throws -> [UInt8]? {
      if place == piece.count, try await !refill() { return nil }
      defer { place += 1 }
      return piece[place]
    }

    private mutating func refill() async throws -> Bool {
      if isDone { return false }
      isDone = true
      piece = []
      place = 0
      do {
        if Task.isCancelled { throw FeedError.cancelled("the next block") }
        var plan: StreamPlan
        if let known = self.plan { plan = known } else { plan = try await feed.plan(options) }
        piece = try await feed.piece(of: plan, options.get)
        plan.next += UInt64(piece.count)
        self.plan = plan
      } catch {
        plan = nil
        throw error
      }
      isDone = piece.isEmpty
      if isDone { plan = nil }
      return !isDone
    }
  }
}

/// The position of a stream, and its end.
struct StreamPlan: Sendable {
  var next: UInt64
  /// Nil for no end, or for the end of the feed when the stream gets there.
  var end: UInt64?
  var isLive: Bool
  var selection: StreamSelection?
}

/// The download that a stream causes; cancelled with the last reference to it.
final class StreamSelection: Sendable {
  let feed: Feed
  let handle: DownloadHandle

  init(feed: Feed, handle: DownloadHandle) {
    self.feed = feed
    self.handle = handle
  }

  deinit {
    Task { [feed, handle] in try await feed.undownload(handle) }
  }
}

extension Feed {
  /// The most blocks in a piece of a stream, and approximately the most bytes.
  private static let pieceBlocks: UInt64 = 1024
  private static let pieceBytes: UInt64 = 256 << 10

  func plan(_ options: StreamOptions) throws -> StreamPlan {
    try checkOpen()
    let start = options.start
    let end = options.end ?? (options.live || !options.snapshot ? nil : core.length)
    var plan = StreamPlan(next: start, end: end, isLive: options.live)
    let reach = end ?? (options.live ? .max : core.length)
    if options.get.wait, !core.isOwned, start < reach,
      reach > core.length || !core.has(start..<reach)
    {
      let range = DownloadRange(start: start, end: reach == .max ? nil : reach)
      plan.selection = StreamSelection(
        feed: self, handle: DownloadHandle(id: replicator.download(range)))
      try replicator.flush()
    }
    return plan
  }

  /// Returns the next blocks of a stream: those that are here, or the next one once it is. Empty at the end.
  func piece(of plan: StreamPlan, _ options: GetOptions) async throws -> [[UInt8]] {
    try checkOpen()
    let end = plan.end ?? (plan.isLive ? .max : core.length)
    guard plan.next < end else { return [] }
    var last = plan.next
    var bytes: UInt64 = 0
    let limit = min(end, core.length, plan.next + Self.pieceBlocks)
    while last < limit, bytes < Self.pieceBytes, core.has(last) {
      bytes += try core.node(at: 2 * last).size
      last += 1
    }
    if last > plan.next, let blocks = try core.blocks(in: plan.next..<last) { return blocks }
    return [try await get(plan.next, options: options)]
  }
}

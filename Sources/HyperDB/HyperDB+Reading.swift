public import Hypercore
internal import HypercoreCrypto

extension HyperDB {
  /// How entries are looked up.
  public struct ReadOptions: Sendable {
    /// Whether deletes are given, too.
    public var deletes = false
    /// Gives the reference's own answer, with values among it that a later one replaced.
    public var raw = false
    /// Whether a clone that has nothing yet waits for a first peer.
    public var update = true
    /// In a sparse database: how long to wait for blocks that a read needs.
    public var timeout: Duration?

    public init(
      deletes: Bool = false, raw: Bool = false, update: Bool = true, timeout: Duration? = nil
    ) {
      self.deletes = deletes
      self.raw = raw
      self.update = update
      self.timeout = timeout
    }
  }

  /// The nodes of a key: none, one, or several where writers changed it without knowing each other.
  ///
  /// A delete is given where it is in conflict with a value.
  ///
  /// Stands for hyperdb `get(key)`.
  public func get(_ key: String, options: ReadOptions = ReadOptions()) async throws
    -> [DatabaseNode]
  {
    try await get(Array(key.utf8), options, in: nil)
  }

  /// The values of a key in an encoding: none, one, or several in conflict.
  ///
  /// - Throws: what the encoding throws.
  public func get<Value>(
    _ key: String, as encoding: ValueEncoding<Value>, options: ReadOptions = ReadOptions()
  ) async throws -> [Value] {
    try await get(key, options: options).compactMap { node in
      try node.value.map(encoding.decode)
    }
  }

  /// The nearest nodes under a prefix, by writer, deletes among them.
  ///
  /// Stands for hyperdb `get(key, {prefix: true})`.
  public func get(
    prefix: String, options: ReadOptions = ReadOptions()
  ) async throws -> [DatabaseNode] {
    try await get(prefix: Array(prefix.utf8), options, in: nil)
  }

  /// The nodes under a prefix, key by key, in the order of their hashes.
  ///
  /// - Parameter prefix: a folder; `a` takes in `a` and `a/b`, not `ab`. Empty for everything.
  /// - Returns: groups of nodes of one key. Memory is bounded by the depth of the trie.
  ///
  /// Stands for hyperdb `iterator(prefix)`, `list(prefix)` and `createReadStream(prefix)`.
  public nonisolated func list(
    _ prefix: String = "", options: ListingOptions = ListingOptions()
  ) -> DatabaseSequence<[DatabaseNode]> {
    list(Array(prefix.utf8), options, in: nil)
  }

  /// Every entry of every writer, deletes and authorizations included; each after all that its
  /// writer knew, or in reverse.
  ///
  /// Stands for hyperdb `createHistoryStream()`.
  public nonisolated func history(
    reverse: Bool = false, raw: Bool = false
  ) -> DatabaseSequence<DatabaseNode> {
    history(reverse: reverse, raw: raw, in: nil)
  }

  /// The nodes that one key had, newest first: groups of those that did not know each other.
  ///
  /// Stands for hyperdb `createKeyHistoryStream(key)`.
  public nonisolated func history(
    of key: String, raw: Bool = false
  ) -> DatabaseSequence<[DatabaseNode]> {
    history(of: Array(key.utf8), raw: raw, in: nil)
  }

  /// The newest nodes: those that no other node's writer knew.
  ///
  /// Stands for hyperdb `heads()`.
  public func heads() async throws -> [DatabaseNode] {
    try await heads(in: nil)
  }

  /// The bytes that name the state the database is in now.
  ///
  /// Stands for hyperdb `version()`.
  public func version() async throws -> [UInt8] {
    try await reading(ReadOptions()) { core.version(of: try snapshot(nil)) }
  }

  /// The database as it is now; it stays so.
  ///
  /// Stands for hyperdb `snapshot()`.
  public func snapshot() async throws -> Checkout {
    let snapshot = try await reading(ReadOptions()) { try self.snapshot(nil) }
    return Checkout(db: self, snapshot: OnReplica(snapshot, on: replica))
  }

  /// The database as it was at a version.
  ///
  /// - Throws: ``HyperDBError`` with `invalidVersion`.
  ///
  /// Stands for hyperdb `checkout(version)`.
  public func checkout(_ version: [UInt8]) async throws -> Checkout {
    let snapshot = try await reading(ReadOptions(update: false)) { try core.checkout(version) }
    return Checkout(db: self, snapshot: OnReplica(snapshot, on: replica))
  }

  /// The keys under a prefix that this state and another have different nodes of.
  ///
  /// - Parameter other: the state on the right; nil for the empty database.
  ///
  /// Stands for hyperdb `createDiffStream(checkout, prefix)`.
  public nonisolated func diff(
    _ other: Checkout?, prefix: String = "", options: ListingOptions = ListingOptions()
  ) -> DatabaseSequence<DatabaseDifference> {
    diff(nil, other, prefix: Array(prefix.utf8), options)
  }

  // MARK: Parts, with or without a fixed state

  /// The state that reads see: in a sparse database everything verified, what is missing being
  /// fetched; otherwise the cut that is here, so that nothing is waited for.
  func snapshot(_ fixed: OnReplica<Snapshot>?) throws -> Snapshot {
    if let fixed { return fixed.take(on: replica) }
    return try core.snapshot(options.sparse ? .latest : .local)
  }

  func get(
    _ key: [UInt8], _ options: ReadOptions, in fixed: OnReplica<Snapshot>?
  ) async throws -> [DatabaseNode] {
    try await reading(options, isFixed: fixed != nil) {
      try core.get(
        key, GetOptions(deletes: options.deletes, raw: options.raw), in: snapshot(fixed)
      ).map(publicNode)
    }
  }

  func get(
    prefix: [UInt8], _ options: ReadOptions, in fixed: OnReplica<Snapshot>?
  ) async throws -> [DatabaseNode] {
    try await reading(options, isFixed: fixed != nil) {
      try core.get(
        prefix, GetOptions(isPrefix: true, deletes: options.deletes, raw: options.raw),
        in: snapshot(fixed)
      ).map(publicNode)
    }
  }

  func heads(in fixed: OnReplica<Snapshot>?) async throws -> [DatabaseNode] {
    try await reading(ReadOptions(), isFixed: fixed != nil) {
      try snapshot(fixed).heads.map(publicNode)
    }
  }

  nonisolated func list(
    _ prefix: [UInt8], _ options: ListingOptions, in fixed: OnReplica<Snapshot>?
  ) -> DatabaseSequence<[DatabaseNode]> {
    DatabaseSequence(db: self) { db in
      let listing = db.core.list(prefix, options.core, in: try db.snapshot(fixed))
      return { try listing.next()?.map(db.publicNode) }
    }
  }

  nonisolated func history(
    reverse: Bool, raw: Bool, in fixed: OnReplica<Snapshot>?
  ) -> DatabaseSequence<DatabaseNode> {
    DatabaseSequence(db: self) { db in
      let history = db.core.history(reverse: reverse, raw: raw, in: try db.snapshot(fixed))
      return { try history.next().map(db.publicNode) }
    }
  }

  nonisolated func history(
    of key: [UInt8], raw: Bool, in fixed: OnReplica<Snapshot>?
  ) -> DatabaseSequence<[DatabaseNode]> {
    DatabaseSequence(db: self) { db in
      let history = db.core.keyHistory(key, raw: raw, in: try db.snapshot(fixed))
      return { try history.next()?.map(db.publicNode) }
    }
  }

  nonisolated func diff(
    _ left: OnReplica<Snapshot>?, _ right: Checkout?, prefix: [UInt8], _ options: ListingOptions
  ) -> DatabaseSequence<DatabaseDifference> {
    DatabaseSequence(db: self) { db in
      let other = try right.map { try db.snapshot($0.snapshot) } ?? .empty
      let diff = db.core.diff(try db.snapshot(left), other, prefix: prefix, options.core)
      return {
        try diff.next().map {
          DatabaseDifference(left: $0.left?.map(db.publicNode), right: $0.right?.map(db.publicNode))
        }
      }
    }
  }

  // MARK: Waiting for blocks

  /// Runs a read, and again whenever a block that it needs has come.
  func reading<Result>(
    _ options: ReadOptions, isFixed: Bool = false, _ read: () throws -> Result
  ) async throws -> Result {
    try checkOpen()
    if options.update, !isFixed { try await untilFirstContent() }
    while true {
      do {
        return try read()
      } catch let missing as MissingBlock {
        try await fetch(missing, timeout: options.timeout)
      }
    }
  }

  func fetch(_ missing: MissingBlock, timeout: Duration?) async throws {
    guard let log = feedSet.logs[core.feedKeys[missing.feed]] else { return }
    let _: [UInt8] = try await replicaWaiting(
      timeout: timeout,
      onTimeout: { id in
        log.replicator.cancel(
          id,
          FeedError(
            code: .timeout,
            reason: "No peer brought block \(missing.seq) of feed \(log.key) in time."))
      }
    ) { done in
      let id = log.replicator.get(UInt64(missing.seq), completion: done)
      self.flush(log)
      return id
    }
    try checkOpen()
  }

  /// Suspends until a completion is called, the time is up or the task is cancelled.
  private func replicaWaiting<Value: Sendable>(
    timeout: Duration?, onTimeout action: @escaping (UInt64) -> Void,
    _ start: (@escaping (Swift.Result<Value, FeedError>) -> Void) -> UInt64?
  ) async throws -> Value {
    let wait = PendingWait(action)
    let timer = timeout.map { timeout in
      Task { [weak self] in
        try? await Task.sleep(for: timeout)
        if !Task.isCancelled { await self?.giveUp(wait) }
      }
    }
    defer { timer?.cancel() }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        wait.id = start { continuation.resume(with: $0) }
        if Task.isCancelled { giveUp(wait) }
      }
    } onCancel: {
      Task { await self.giveUp(wait) }
    }
  }

  private func giveUp(_ wait: PendingWait) {
    if let id = wait.id { wait.giveUp(id) }
  }
}

/// A wait under way.
///
/// Unchecked with this proof: it is made, changed and used on the database's executor alone; tasks
/// only carry it there.
private final class PendingWait: @unchecked Sendable {
  var id: UInt64?
  let giveUp: (UInt64) -> Void

  init(_ giveUp: @escaping (UInt64) -> Void) { self.giveUp = giveUp }
}

/// What a list takes in, and in which order.
public struct ListingOptions: Sendable, Hashable {
  /// Whether to go below the first level of folders; where not, a folder is shown by one of its
  /// keys.
  public var recursive = true
  /// The other way round.
  public var reverse = false
  /// Leaves the prefix itself out: `gt` in hyperdb.
  public var after = false
  /// Gives deletes, too.
  public var deletes = false
  /// Gives the reference's own answer.
  public var raw = false

  public init() {}

  var core: ListOptions {
    ListOptions(
      recursive: recursive, reverse: reverse, after: after, deletes: deletes, raw: raw)
  }
}

/// One key in which two states differ.
public struct DatabaseDifference: Sendable, Hashable {
  /// Its nodes in the first; nil where it has none there.
  public let left: [DatabaseNode]?
  /// Its nodes in the second.
  public let right: [DatabaseNode]?
}

internal import Hypercore
internal import HypercoreCrypto
internal import DatCoding

extension HyperDB {
  /// The nodes of a key: none, one, or several if writers changed it concurrently.
  ///
  /// A delete is returned if it is in conflict with a value.
  ///
  /// - Throws: ``HyperDBError``: `timedOut`, `closed`, `tooManySteps`, `feed`; `CancellationError`;
  ///   what the transform throws.
  ///
  /// Stands for hyperdb `get(key)`.
  public func get(_ key: String, options: ReadOptions = ReadOptions()) async throws
    -> [DatabaseNode]
  {
    try await get(Array(key.utf8), options, in: nil)
  }

  /// The nodes of a key that need not be text.
  public func get(_ key: [UInt8], options: ReadOptions = ReadOptions()) async throws
    -> [DatabaseNode]
  {
    try await get(key, options, in: nil)
  }

  /// The values of a key in an encoding: none, one, or several in conflict. Deletes have none.
  ///
  /// - Throws: ``HyperDBError`` with `value` if the encoding can't read a value.
  public func get<Value>(
    _ key: String, as encoding: DatabaseEncoding<Value>, options: ReadOptions = ReadOptions()
  ) async throws -> [Value] {
    try await get(key, options: options).compactMap(encoding.decoded)
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
  /// - Parameter prefix: a folder; `a` includes `a` and `a/b`, not `ab`. Empty for everything.
  /// - Parameter options: the options of the list.
  /// - Returns: groups of nodes, one a key. Memory is bounded by the depth of the trie.
  ///
  /// Stands for hyperdb `iterator(prefix)`, `list(prefix)` and `createReadStream(prefix)`.
  public nonisolated func list(
    _ prefix: String = "", options: ListingOptions = ListingOptions()
  ) -> DatabaseSequence<[DatabaseNode]> {
    list(Array(prefix.utf8), options, in: nil)
  }

  /// Every entry of every writer, deletes and authorizations included. Each comes after all that its
  /// writer knew, or before it in reverse.
  ///
  /// - Parameter raw: true for the reference's own order.
  /// - Parameter reverse: true if the newest come first.
  /// - Parameter timeout: the longest wait if nothing is here yet; nil for the database's option.
  ///
  /// Stands for hyperdb `createHistoryStream()`.
  public nonisolated func history(
    reverse: Bool = false, raw: Bool = false, timeout: Duration? = nil
  ) -> DatabaseSequence<DatabaseNode> {
    history(reverse: reverse, raw: raw, timeout, in: nil)
  }

  /// The nodes that one key had, newest first: groups of concurrent ones.
  ///
  /// Stands for hyperdb `createKeyHistoryStream(key)`.
  public nonisolated func history(
    of key: String, raw: Bool = false, timeout: Duration? = nil
  ) -> DatabaseSequence<[DatabaseNode]> {
    history(of: Array(key.utf8), raw: raw, timeout, in: nil)
  }

  /// The newest nodes: those that no other node's writer knew.
  ///
  /// Stands for hyperdb `heads()`.
  public func heads(timeout: Duration? = nil) async throws -> [DatabaseNode] {
    try await heads(timeout, in: nil)
  }

  /// The bytes that name the current state of the database. The same state may have different bytes in
  /// different replicas.
  ///
  /// Stands for hyperdb `version()`.
  public func version(timeout: Duration? = nil) async throws -> [UInt8] {
    try await reading(waiting(timeout: timeout)) { core.version(of: try snapshot(nil)) }
  }

  /// The database in its present state, fixed.
  ///
  /// Stands for hyperdb `snapshot()`.
  public func snapshot(timeout: Duration? = nil) async throws -> Checkout {
    let snapshot = try await reading(waiting(timeout: timeout)) { try self.snapshot(nil) }
    return Checkout(db: self, snapshot: OnReplica(snapshot, on: replica))
  }

  /// The database as it was at a version.
  ///
  /// - Throws: ``HyperDBError`` with `invalidVersion` for bytes that are cut short, or for a feed or
  ///   an entry that is not here.
  ///
  /// Stands for hyperdb `checkout(version)`.
  public func checkout(_ version: [UInt8], timeout: Duration? = nil) async throws -> Checkout {
    try await checkout(timeout) { try core.checkout(version) }
  }

  /// The database as it was at a version in hex.
  public func checkout(hex version: String, timeout: Duration? = nil) async throws -> Checkout {
    guard let bytes = Hex.decode(version) else {
      throw HyperDBError(.invalidVersion, "Invalid version: it is not in hex")
    }
    return try await checkout(bytes, timeout: timeout)
  }

  /// The database as its first writer knew it with an entry.
  public func checkout(source seq: UInt64, timeout: Duration? = nil) async throws -> Checkout {
    try await checkout(timeout) { try core.checkout(source: Int(clamping: seq)) }
  }

  /// The database as it was with these nodes as its newest.
  public func checkout(heads: [DatabaseNode], timeout: Duration? = nil) async throws -> Checkout {
    let locations = heads.map { ($0.feed, $0.seq) }
    return try await checkout(timeout) { try core.checkout(locations) }
  }

  private func checkout(_ timeout: Duration?, _ make: () throws -> Snapshot) async throws
    -> Checkout
  {
    let snapshot = try await reading(waiting(update: false, timeout: timeout), make)
    return Checkout(db: self, snapshot: OnReplica(snapshot, on: replica))
  }

  /// The keys under a prefix whose nodes differ between this state and another.
  ///
  /// - Parameter other: the state on the right; nil for the empty database.
  /// - Parameter options: the options of both lists.
  /// - Parameter prefix: the common prefix of the keys; empty for all.
  ///
  /// Stands for hyperdb `createDiffStream(checkout, prefix)`.
  public nonisolated func diff(
    _ other: Checkout?, prefix: String = "", options: ListingOptions = ListingOptions()
  ) -> DatabaseSequence<DatabaseDifference> {
    diff(nil, other, prefix: Array(prefix.utf8), options)
  }

  // MARK: Parts, with or without a fixed state

  /// The state that reads see. In a sparse database that is everything verified, and missing blocks are
  /// fetched; otherwise it is the cut that is here, so that no read waits.
  func snapshot(_ fixed: OnReplica<Snapshot>?) throws -> Snapshot {
    if let fixed { return fixed.take(on: replica) }
    return try core.snapshot(options.sparse ? .latest : .local)
  }

  func get(
    _ key: [UInt8], _ options: ReadOptions, in fixed: OnReplica<Snapshot>?
  ) async throws -> [DatabaseNode] {
    let waiting = waiting(
      update: options.update, timeout: options.timeout, isFixed: fixed != nil)
    let nodes = try await reading(waiting) {
      try core.get(
        key, GetOptions(deletes: options.deletes, raw: options.raw), in: snapshot(fixed))
    }
    return try (options.transform ?? self.options.transform)(nodes.map(publicNode))
  }

  func get(
    prefix: [UInt8], _ options: ReadOptions, in fixed: OnReplica<Snapshot>?
  ) async throws -> [DatabaseNode] {
    let waiting = waiting(
      update: options.update, timeout: options.timeout, isFixed: fixed != nil)
    let nodes = try await reading(waiting) {
      try core.get(
        prefix, GetOptions(isPrefix: true, deletes: options.deletes, raw: options.raw),
        in: snapshot(fixed))
    }
    return try (options.transform ?? self.options.transform)(nodes.map(publicNode))
  }

  func heads(_ timeout: Duration?, in fixed: OnReplica<Snapshot>?) async throws -> [DatabaseNode] {
    try await reading(waiting(timeout: timeout, isFixed: fixed != nil)) {
      try snapshot(fixed).heads.map(publicNode)
    }
  }

  nonisolated func list(
    _ prefix: [UInt8], _ options: ListingOptions, in fixed: OnReplica<Snapshot>?
  ) -> DatabaseSequence<[DatabaseNode]> {
    DatabaseSequence(
      db: self, update: fixed == nil ? options.update : false, timeout: options.timeout
    ) { db in
      let listing = db.core.list(prefix, options.core, in: try db.snapshot(fixed))
      let transform = options.transform ?? db.options.transform
      return {
        switch try listing.nextGroup() {
        case .one(let node): try transform([db.publicNode(node)])
        case .several(let nodes): try transform(nodes.map(db.publicNode))
        case nil: nil
        }
      }
    }
  }

  nonisolated func history(
    reverse: Bool, raw: Bool, _ timeout: Duration?, in fixed: OnReplica<Snapshot>?
  ) -> DatabaseSequence<DatabaseNode> {
    DatabaseSequence(db: self, update: fixed == nil ? nil : false, timeout: timeout) { db in
      let history = db.core.history(reverse: reverse, raw: raw, in: try db.snapshot(fixed))
      return { try history.next().map(db.publicNode) }
    }
  }

  nonisolated func history(
    of key: [UInt8], raw: Bool, _ timeout: Duration?, in fixed: OnReplica<Snapshot>?
  ) -> DatabaseSequence<[DatabaseNode]> {
    DatabaseSequence(db: self, update: fixed == nil ? nil : false, timeout: timeout) { db in
      let history = db.core.keyHistory(key, raw: raw, in: try db.snapshot(fixed))
      let transform = db.options.transform.mapping
      return { try history.next().map { try transform($0.map(db.publicNode)) } }
    }
  }

  nonisolated func diff(
    _ left: OnReplica<Snapshot>?, _ right: Checkout?, prefix: [UInt8], _ options: ListingOptions
  ) -> DatabaseSequence<DatabaseDifference> {
    DatabaseSequence(
      db: self, update: left == nil ? options.update : false, timeout: options.timeout
    ) { db in
      if let right, right.db !== db {
        throw HyperDBError(
          .invalidVersion, "A database can be compared with a checkout of itself only.")
      }
      let other = try right.map { try db.snapshot($0.snapshot) } ?? .empty
      let diff = db.core.diff(try db.snapshot(left), other, prefix: prefix, options.core)
      let transform = options.transform ?? db.options.transform
      return {
        try diff.next().map {
          DatabaseDifference(
            left: try $0.left.map { try transform($0.map(db.publicNode)) },
            right: try $0.right.map { try transform($0.map(db.publicNode)) })
        }
      }
    }
  }
}

/// One key that differs between two states.
public struct DatabaseDifference: Sendable, Hashable {
  /// Its nodes in the first; nil if it has none there.
  public let left: [DatabaseNode]?
  /// Its nodes in the second.
  public let right: [DatabaseNode]?
}

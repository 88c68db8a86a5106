internal import Hypercore
public import HypercoreCrypto

extension HyperDB {
  /// One change of a batch.
  public struct BatchChange: Sendable {
    let change: Change

    /// Writes a value under a key.
    public static func put(_ key: String, _ value: [UInt8]?) -> BatchChange {
      BatchChange(change: .put(Array(key.utf8), value))
    }

    /// Writes a value under a key that need not be text.
    public static func put(_ key: [UInt8], _ value: [UInt8]?) -> BatchChange {
      BatchChange(change: .put(key, value))
    }

    /// Writes a value in an encoding.
    ///
    /// - Throws: ``HyperDBError`` with `value` if the encoding has no bytes for it.
    public static func put<Value>(
      _ key: String, _ value: Value, as encoding: DatabaseEncoding<Value>
    ) throws -> BatchChange {
      let key = Array(key.utf8)
      return BatchChange(change: .put(key, try encoding.encoded(value, key)))
    }

    /// Deletes a key.
    public static func delete(_ key: String) -> BatchChange {
      BatchChange(change: .delete(Array(key.utf8)))
    }

    /// Deletes a key that need not be text.
    public static func delete(_ key: [UInt8]) -> BatchChange { BatchChange(change: .delete(key)) }
  }

  /// Writes a value under a key, over everything that is there; this resolves conflicts of the key.
  ///
  /// It never waits for peers, except in a sparse database for blocks that the new entry has to point
  /// to. If ``DatabaseNode/isFromAuthorizedWriter`` of the result is false, the entry stays here
  /// until this replica's feed is authorized.
  ///
  /// - Parameters:
  ///   - key: text with `/` between folders; one leading slash is dropped.
  ///   - timeout: the longest wait in a sparse database.
  ///   - value: the value; nil for none.
  /// - Returns: the entry.
  /// - Throws: ``HyperDBError``: `keyTooLong`, `entryTooLarge`, `notWritable`, `readOnly`, `refused`,
  ///   `timedOut`, `closed`. In each case nothing was written.
  ///
  /// Stands for hyperdb `put(key, value)`.
  @discardableResult
  public func put(_ key: String, _ value: [UInt8]?, timeout: Duration? = nil) async throws
    -> DatabaseNode
  {
    try publicNode(try await writing(timeout) { try core.put(Array(key.utf8), value) })
  }

  /// Writes a value whose bytes come in another collection, such as `Data`.
  @discardableResult @_disfavoredOverload
  public nonisolated func put(
    _ key: String, _ value: some Sequence<UInt8>, timeout: Duration? = nil
  ) async throws -> DatabaseNode {
    try await put(key, .some(Array(value)), timeout: timeout)
  }

  /// Writes a value under a key that need not be text.
  @discardableResult
  public func put(_ key: [UInt8], _ value: [UInt8]?, timeout: Duration? = nil) async throws
    -> DatabaseNode
  {
    try publicNode(try await writing(timeout) { try core.put(key, value) })
  }

  /// Writes a value in an encoding.
  @discardableResult
  public func put<Value>(
    _ key: String, _ value: Value, as encoding: DatabaseEncoding<Value>, timeout: Duration? = nil
  ) async throws -> DatabaseNode {
    try await put(key, try encoding.encoded(value, Array(key.utf8)), timeout: timeout)
  }

  /// Writes a value if the key has none.
  ///
  /// - Returns: the entry; nil if the key already had entries (a delete is one), and nothing was written.
  ///
  /// Stands for hyperdb `put(key, value, {ifNotExists: true})`.
  @discardableResult
  public func put(ifAbsent key: String, _ value: [UInt8]?, timeout: Duration? = nil) async throws
    -> DatabaseNode?
  {
    try await put(ifAbsent: Array(key.utf8), value, timeout: timeout)
  }

  /// Writes a value if a key, which need not be text, has none.
  @discardableResult
  public func put(ifAbsent key: [UInt8], _ value: [UInt8]?, timeout: Duration? = nil) async throws
    -> DatabaseNode?
  {
    try await writing(timeout) { try core.putIfAbsent(key, value).written }.map(publicNode)
  }

  /// Writes a value in an encoding if the key has none.
  @discardableResult
  public func put<Value>(
    ifAbsent key: String, _ value: Value, as encoding: DatabaseEncoding<Value>,
    timeout: Duration? = nil
  ) async throws -> DatabaseNode? {
    try await put(ifAbsent: key, try encoding.encoded(value, Array(key.utf8)), timeout: timeout)
  }

  /// Deletes a key, even if it has no value; see ``delete(ifPresent:timeout:)-(String,_)``.
  ///
  /// - Returns: the delete.
  ///
  /// Stands for hyperdb `del(key)`.
  @discardableResult
  public func delete(_ key: String, timeout: Duration? = nil) async throws -> DatabaseNode {
    try await delete(Array(key.utf8), timeout: timeout)
  }

  /// Deletes a key that need not be text.
  @discardableResult
  public func delete(_ key: [UInt8], timeout: Duration? = nil) async throws -> DatabaseNode {
    try publicNode(try await writing(timeout) { try core.delete(key) })
  }

  /// Makes several changes at once: all of them or none, even if the process or the power dies.
  ///
  /// Unlike the reference's, and like `put`, it doesn't wait for a first peer on an empty clone.
  ///
  /// Stands for hyperdb `batch(changes)`.
  @discardableResult
  public func batch(_ changes: [BatchChange], timeout: Duration? = nil) async throws
    -> [DatabaseNode]
  {
    let changes = changes.map(\.change)
    return try await writing(timeout) { try core.write(changes) }.map { try publicNode($0) }
  }

  /// Resolves a key that has several nodes, in one step with reading them.
  ///
  /// - Parameter choose: makes one value of the nodes, deletes among them; nil to delete the key.
  /// - Parameter timeout: the longest wait if nothing is here yet; nil for the database's option.
  /// - Parameter key: the key; one leading `/` is ignored.
  /// - Returns: the entry that was written; nil if there was no conflict and `choose` wasn't called.
  /// - Throws: what ``put(_:_:timeout:)-(String,[UInt8]?,_)`` throws, and what `choose` does.
  @discardableResult
  public func resolve(
    _ key: String, timeout: Duration? = nil,
    _ choose: @Sendable ([DatabaseNode]) throws -> [UInt8]?
  ) async throws -> DatabaseNode? {
    let key = Array(key.utf8)
    let written: EntryNode? = try await writing(timeout) {
      let nodes = try core.get(key, GetOptions(deletes: true), in: core.snapshot(.local))
      guard nodes.count > 1 else { return nil }
      guard let value = try choose(nodes.map(publicNode)) else { return try core.delete(key) }
      return try core.put(key, value)
    }
    return try written.map(publicNode)
  }

  /// Changes a key, in one step with reading it: concurrent writes of others are never lost.
  ///
  /// - Parameter change: makes the value of the existing nodes, none or several; nil to delete the key.
  /// - Parameter key: the key; one leading `/` is ignored.
  /// - Parameter timeout: the longest wait if nothing is here yet; nil for the database's option.
  /// - Returns: the entry that was written.
  @discardableResult
  public func update(
    _ key: String, timeout: Duration? = nil,
    _ change: @Sendable ([DatabaseNode]) throws -> [UInt8]?
  ) async throws -> DatabaseNode {
    let key = Array(key.utf8)
    let written = try await writing(timeout) {
      let nodes = try core.get(key, in: core.snapshot(.local)).map(publicNode)
      guard let value = try change(nodes) else { return try core.delete(key) }
      return try core.put(key, value)
    }
    return try publicNode(written)
  }

  /// Authorizes another feed to write in this database, for good: it can't be revoked.
  ///
  /// A clone that has nothing yet waits for a first peer.
  ///
  /// - Parameter key: the feed's key, such as the other replica's ``localKey``.
  /// - Parameter timeout: the longest wait if nothing is here yet; nil for the database's option.
  /// - Throws: ``HyperDBError`` with `tooManyFeeds` beyond 255 feeds.
  ///
  /// Stands for hyperdb `authorize(key)`, without the useless entry for a feed that is already authorized.
  public func authorize(_ key: PublicKey, timeout: Duration? = nil) async throws {
    try checkWritable()
    let waiting = waiting(timeout: timeout)
    if waiting.update {
      try await untilFirstContent(until: waiting.timeout.map { ContinuousClock.now + $0 })
    }
    _ = try await writing(timeout) { try core.authorize(key.bytes) }
  }

  /// Returns whether a feed may write in this database, as far as lists are here.
  ///
  /// Stands for hyperdb `authorized(key)`.
  public func isAuthorized(_ key: PublicKey) -> Bool { core.isAuthorized(key) }

  /// Returns an entry as it is given out, without a value that is larger than the limit.
  func publicNode(_ node: EntryNode, valueUpTo limit: Int) throws -> DatabaseNode {
    let value: DatabaseNode.Value
    shownBytes &+= node.keyCount
    if node.valueCount > limit {
      value = .other(nil)
    } else {
      shownBytes &+= node.valueCount
      value = node.isValueApart ? .other(try core.value(of: node)) : .own
    }
    return DatabaseNode(
      node, value, feeds: core.feedKeys, isAuthorized: core.isAuthorized(node.feed))
  }

  func publicNode(_ node: EntryNode) throws -> DatabaseNode {
    try publicNode(node, valueUpTo: .max)
  }

  private func checkWritable() throws {
    try checkOpen()
    if feedSet.isReadOnly {
      throw HyperDBError(.readOnly, "The database is open for reading only: nothing was written.")
    }
  }

  /// Runs a write, and runs it again whenever a block that it needs has come. A run that lacks a block
  /// changes nothing.
  func writing<Result>(
    _ timeout: Duration?, _ write: () throws -> Result
  ) async throws -> Result {
    let deadline = (timeout ?? options.timeout).map { ContinuousClock.now + $0 }
    if let own = core.local.flatMap({ feedSet.logs[core.feedKeys[$0]] }) {
      // What failed may succeed now: the disk may have room again.
      if own.core.mayResume { try own.core.resume() }
      if let reason = own.core.stopReason { throw reason }
      if own.core.isRestoring { throw FeedError.restoring(own.core.key) }
      if own.core.isCopy { await own.replicator.waitUntilCaughtUp() }
    }
    while true {
      try checkWritable()
      do {
        let result = try write()
        afterWriting()
        return result
      } catch let missing as MissingBlock {
        try await fetch(missing, until: deadline)
      }
    }
  }

  /// Announces what was appended, and notifies the followers of the database.
  private func afterWriting() {
    if let local = core.local, let log = feedSet.logs[core.feedKeys[local]] { flush(log) }
    followUp()
  }
}

public import Hypercore
public import HypercoreCrypto

extension HyperDB {
  /// One change of a batch.
  public struct BatchChange: Sendable {
    let change: Change

    /// Writes a value under a key.
    public static func put(_ key: String, _ value: [UInt8]?) -> BatchChange {
      BatchChange(change: .put(Array(key.utf8), value))
    }

    /// Deletes a key.
    public static func delete(_ key: String) -> BatchChange {
      BatchChange(change: .delete(Array(key.utf8)))
    }
  }

  /// Writes a value under a key, over all that is there: conflicts of the key are settled by it.
  ///
  /// - Parameter key: text with `/` between folders; one leading slash is dropped.
  /// - Returns: the entry.
  /// - Throws: ``HyperDBError``: `keyTooLong`, `entryTooLarge`, `notWritable`, `closed`.
  ///
  /// Stands for hyperdb `put(key, value)`. It never waits for peers.
  @discardableResult
  public func put(_ key: String, _ value: [UInt8]?) async throws -> DatabaseNode {
    try writing { try core.put(Array(key.utf8), value) }
  }

  /// Writes a value in an encoding.
  @discardableResult
  public func put<Value>(
    _ key: String, _ value: Value, as encoding: ValueEncoding<Value>
  ) async throws -> DatabaseNode {
    let bytes = try encoding.encode(value)
    return try writing { try core.put(Array(key.utf8), bytes) }
  }

  /// Writes a value where the key has none.
  ///
  /// - Returns: nil where it had entries already, a delete among them; nothing is written then.
  ///
  /// Stands for hyperdb `put(key, value, {ifNotExists: true})`.
  @discardableResult
  public func put(ifAbsent key: String, _ value: [UInt8]?) async throws -> DatabaseNode? {
    try checkOpen()
    let (written, _) = try core.putIfAbsent(Array(key.utf8), value)
    afterWriting()
    return written.map(publicNode)
  }

  /// Deletes a key.
  ///
  /// - Returns: the entry that says so.
  ///
  /// Stands for hyperdb `del(key)`.
  @discardableResult
  public func delete(_ key: String) async throws -> DatabaseNode {
    try writing { try core.delete(Array(key.utf8)) }
  }

  /// Makes several changes at once: all of them or none, also when the process or the power dies.
  ///
  /// Stands for hyperdb `batch(changes)`.
  @discardableResult
  public func batch(_ changes: [BatchChange]) async throws -> [DatabaseNode] {
    try checkOpen()
    let nodes = try core.write(changes.map(\.change))
    afterWriting()
    return nodes.map(publicNode)
  }

  /// Lets another feed write in this database, for good: there is no way to take it back.
  ///
  /// - Parameter key: the feed's key, such as the other replica's ``localKey``.
  /// - Throws: ``HyperDBError`` with `tooManyFeeds` beyond 255.
  ///
  /// Stands for hyperdb `authorize(key)`, without the useless entry for a feed that is in already.
  public func authorize(_ key: PublicKey) async throws {
    try await untilFirstContent()
    try checkOpen()
    try core.authorize(key.bytes)
    afterWriting()
  }

  /// Whether a feed may write in this database.
  ///
  /// Stands for hyperdb `authorized(key)`.
  public func isAuthorized(_ key: PublicKey) async -> Bool { core.isAuthorized(key) }

  private func writing(_ write: () throws -> EntryNode) throws -> DatabaseNode {
    try checkOpen()
    let node = try write()
    afterWriting()
    return publicNode(node)
  }

  func publicNode(_ node: EntryNode) -> DatabaseNode { DatabaseNode(node, feeds: core.feedKeys) }

  /// Announces what was appended, and tells who follows the database.
  private func afterWriting() {
    if let local = core.local, let log = feedSet.logs[core.feedKeys[local]] { flush(log) }
    settle()
  }
}

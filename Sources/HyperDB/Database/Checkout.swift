internal import Hypercore

/// A database as it was at one time. It is for reading only, and has no calls that write.
///
/// Stands for what hyperdb `checkout(version)` and `snapshot()` return.
public struct Checkout: Sendable {
  let db: HyperDB
  let snapshot: OnReplica<Snapshot>

  /// See `get` of ``HyperDB``.
  public func get(
    _ key: String, options: HyperDB.ReadOptions = HyperDB.ReadOptions()
  ) async throws -> [DatabaseNode] {
    try await db.get(Array(key.utf8), options, in: snapshot)
  }

  /// See ``HyperDB/get(_:as:options:)``.
  public func get<Value>(
    _ key: String, as encoding: DatabaseEncoding<Value>,
    options: HyperDB.ReadOptions = HyperDB.ReadOptions()
  ) async throws -> [Value] {
    try await get(key, options: options).compactMap(encoding.decoded)
  }

  /// See ``HyperDB/get(prefix:options:)``.
  public func get(
    prefix: String, options: HyperDB.ReadOptions = HyperDB.ReadOptions()
  ) async throws -> [DatabaseNode] {
    try await db.get(prefix: Array(prefix.utf8), options, in: snapshot)
  }

  /// See ``HyperDB/list(_:options:)-(String,_)``.
  public func list(
    _ prefix: String = "", options: ListingOptions = ListingOptions()
  ) -> DatabaseSequence<[DatabaseNode]> {
    db.list(Array(prefix.utf8), options, in: snapshot)
  }

  /// See ``HyperDB/history(reverse:raw:timeout:)``.
  public func history(
    reverse: Bool = false, raw: Bool = false, timeout: Duration? = nil
  ) -> DatabaseSequence<DatabaseNode> {
    db.history(reverse: reverse, raw: raw, timeout, in: snapshot)
  }

  /// See ``HyperDB/history(of:raw:timeout:)-(String,_,_)``.
  public func history(
    of key: String, raw: Bool = false, timeout: Duration? = nil
  ) -> DatabaseSequence<[DatabaseNode]> {
    db.history(of: Array(key.utf8), raw: raw, timeout, in: snapshot)
  }

  /// See ``HyperDB/heads(timeout:)``.
  public func heads() async throws -> [DatabaseNode] { try await db.heads(nil, in: snapshot) }

  /// The bytes that name this state.
  public func version() async throws -> [UInt8] { try await db.version(of: snapshot) }

  /// See ``HyperDB/diff(_:prefix:options:)``.
  public func diff(
    _ other: Checkout?, prefix: String = "", options: ListingOptions = ListingOptions()
  ) -> DatabaseSequence<DatabaseDifference> {
    db.diff(snapshot, other, prefix: Array(prefix.utf8), options)
  }
}

extension HyperDB {
  func version(of fixed: OnReplica<Snapshot>) throws -> [UInt8] {
    try checkOpen()
    return core.version(of: fixed.take(on: replica))
  }
}

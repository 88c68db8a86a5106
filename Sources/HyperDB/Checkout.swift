internal import Hypercore

/// A database as it was at one time: for reading only.
///
/// Stands for what hyperdb `checkout(version)` and `snapshot()` return.
public struct Checkout: Sendable {
  let db: HyperDB
  let snapshot: OnReplica<Snapshot>

  /// See ``HyperDB/get(_:options:)``.
  public func get(
    _ key: String, options: HyperDB.ReadOptions = HyperDB.ReadOptions()
  ) async throws -> [DatabaseNode] {
    try await db.get(Array(key.utf8), options, in: snapshot)
  }

  /// See ``HyperDB/get(prefix:options:)``.
  public func get(
    prefix: String, options: HyperDB.ReadOptions = HyperDB.ReadOptions()
  ) async throws -> [DatabaseNode] {
    try await db.get(prefix: Array(prefix.utf8), options, in: snapshot)
  }

  /// See ``HyperDB/list(_:options:)``.
  public func list(
    _ prefix: String = "", options: ListingOptions = ListingOptions()
  ) -> DatabaseSequence<[DatabaseNode]> {
    db.list(Array(prefix.utf8), options, in: snapshot)
  }

  /// See ``HyperDB/history(reverse:raw:)``.
  public func history(
    reverse: Bool = false, raw: Bool = false
  ) -> DatabaseSequence<DatabaseNode> {
    db.history(reverse: reverse, raw: raw, in: snapshot)
  }

  /// See ``HyperDB/history(of:raw:)``.
  public func history(of key: String, raw: Bool = false) -> DatabaseSequence<[DatabaseNode]> {
    db.history(of: Array(key.utf8), raw: raw, in: snapshot)
  }

  /// See ``HyperDB/heads()``.
  public func heads() async throws -> [DatabaseNode] { try await db.heads(in: snapshot) }

  /// See ``HyperDB/diff(_:prefix:options:)``.
  public func diff(
    _ other: Checkout?, prefix: String = "", options: ListingOptions = ListingOptions()
  ) -> DatabaseSequence<DatabaseDifference> {
    db.diff(snapshot, other, prefix: Array(prefix.utf8), options)
  }
}

internal import Hypercore

/// Keys that need not be text. A key is found under the bytes it is given out as.
extension HyperDB {
  /// Deletes a key if it has a value.
  ///
  /// - Returns: the delete; nil if there was no value, and nothing was written.
  /// - Throws: what ``put(_:_:timeout:)-(String,[UInt8]?,_)`` throws.
  @discardableResult
  public func delete(ifPresent key: [UInt8], timeout: Duration? = nil) async throws
    -> DatabaseNode?
  {
    try await writing(timeout) {
      try core.get(key, in: core.snapshot(.local)).isEmpty ? nil : try core.delete(key)
    }.map { try publicNode($0) }
  }

  /// Deletes a key if it has a value; see ``delete(ifPresent:timeout:)-([UInt8],_)``.
  @discardableResult
  public func delete(ifPresent key: String, timeout: Duration? = nil) async throws
    -> DatabaseNode?
  {
    try await delete(ifPresent: Array(key.utf8), timeout: timeout)
  }

  /// The nodes under a prefix that need not be text; see ``list(_:options:)``.
  public nonisolated func list(
    _ prefix: [UInt8], options: ListingOptions = ListingOptions()
  ) -> DatabaseSequence<[DatabaseNode]> {
    list(prefix, options, in: nil)
  }

  /// The nodes that one key had, which need not be text; see
  /// ``history(of:raw:timeout:)-(String,_,_)``.
  public nonisolated func history(
    of key: [UInt8], raw: Bool = false, timeout: Duration? = nil
  ) -> DatabaseSequence<[DatabaseNode]> {
    history(of: key, raw: raw, timeout, in: nil)
  }

  /// The entries of every writer with keys under a prefix, deletes among them, in the order of
  /// ``history(reverse:raw:timeout:)``.
  ///
  /// It looks at every entry of the database: a prefix saves no reading.
  ///
  /// - Parameter prefix: a key or folder: `a` includes `a` and `a/b`, not `ab`. Empty for everything.
  /// - Parameter reverse: true if the newest come first.
  /// - Parameter timeout: the longest wait if nothing is here yet; nil for the database's option.
  public nonisolated func history(
    under prefix: [UInt8], reverse: Bool = false, timeout: Duration? = nil
  ) -> DatabaseSequence<DatabaseNode> {
    DatabaseSequence(db: self, update: nil, timeout: timeout) { db in
      let history = db.core.history(reverse: reverse, in: try db.snapshot(nil))
      let prefix = EntryKey.normalize(prefix)
      var skipped = 0
      return {
        while let node = try history.next() {
          if node.withKey({ EntryKey.isUnder(prefix, $0) }) { return try db.publicNode(node) }
          skipped += 1
          if skipped.isMultiple(of: 1024) { throw WalkPause() }
        }
        return nil
      }
    }
  }

  /// The entries of every writer with keys under a prefix; see
  /// ``history(under:reverse:timeout:)-([UInt8],_,_)``.
  public nonisolated func history(
    under prefix: String, reverse: Bool = false, timeout: Duration? = nil
  ) -> DatabaseSequence<DatabaseNode> {
    history(under: Array(prefix.utf8), reverse: reverse, timeout: timeout)
  }

  /// True if anything of the database's owner is here, so that it is known who may write. Until then
  /// ``isAuthorized(_:)`` and ``isLocalAuthorized`` are false for want of knowledge.
  public var isAuthorizationKnown: Bool { core.log(of: 0).length > 0 }
}

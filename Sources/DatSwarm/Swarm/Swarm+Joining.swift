public import Hypercore

extension Swarm {
  /// Joins the topic of a feed, a database, an archive or a room: finds its peers, announces this side to them, and
  /// replicates with each, live. It is kept until it is left, or until the swarm is closed.
  ///
  /// ```swift
  /// let swarm = Swarm(sources: [LANSource()])
  /// try await swarm.listen(port: 3282)
  /// try await swarm.join(saga)
  /// ```
  ///
  /// - Parameters:
  ///   - shared: what to share, open already.
  ///   - search: the sources to use, and whether to announce this side.
  /// - Throws: ``SwarmError`` with code `closed`; what `topic` of `shared` throws, as that of a static feed that is not
  ///   finalized.
  ///
  /// For other options of replication, or to follow connections, use ``join(_:search:replicate:meet:)``.
  public func join(_ shared: some Replicable, search: Search = Search()) async throws {
    if isClosed { throw SwarmError(.closed, "The swarm is closed.") }
    await join(try await shared.topic, search: search) { _ in
      try await shared.replicateLive()
    } meet: { stream, peer in
      await shared.meet(stream, at: peer.address.host)
    }
  }

  /// Leaves the topic of a feed, a database, an archive or a room: ends its connections and withdraws what was
  /// announced. Returns when they are closed.
  public func leave(_ shared: some Replicable) async {
    // Without a key it has not been joined.
    if let key = try? await shared.topic { await leave(key) }
  }
}

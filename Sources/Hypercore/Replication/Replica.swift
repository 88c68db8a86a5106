/// An isolation domain: a feed opened alone, or a database or room with all its feeds and connections.
///
/// Everything that belongs to one replica runs on this actor's executor, one call at a time, and so needs no
/// locks; replicas run concurrently. The actors of a replica (``Feed``, ``ReplicationStream`` and those of
/// the layers above) use its executor as theirs, so calls between them don't hop.
public actor Replica {
  /// Creates a domain of its own.
  public init() {}
}

/// A value that belongs to a replica's isolation domain, on its way between two actors of that replica.
///
/// Unchecked with this proof: the value can be wrapped and taken out only by an actor on the replica's
/// executor, which passes the same ``Replica``. All those actors share one serial executor, so no two of them
/// ever access the value at the same time.
package struct OnReplica<Value>: @unchecked Sendable {
  private let value: Value
  package let replica: Replica

  package init(_ value: Value, on replica: Replica) {
    self.value = value
    self.replica = replica
  }

  /// Returns the value, for an actor on the same replica.
  package func take(on replica: Replica) -> Value {
    precondition(replica === self.replica, "a value was handed to an actor of another replica")
    return value
  }
}

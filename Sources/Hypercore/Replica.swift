/// An isolation domain: a feed opened alone, or a database or room with all its feeds and connections.
///
/// Everything that belongs to one replica runs on this actor's executor, one thing at a time, and so
/// without locks; replicas run beside each other. The actors of a replica (``Feed``,
/// ``ReplicationStream`` and those of the layers above) name its executor as theirs, so calls between
/// them don't hop.
public actor Replica {
  /// A domain of its own.
  public init() {}
}

/// Something that belongs to a replica's isolation, on its way between two actors of that replica.
///
/// Unchecked with this proof: the value can be made and taken out only where an actor on the replica's
/// executor vouches for it, by passing the same ``Replica``; all those actors share one serial
/// executor, so no two of them ever touch the value at the same time.
package struct OnReplica<Value>: @unchecked Sendable {
  private let value: Value
  package let replica: Replica

  package init(_ value: Value, on replica: Replica) {
    self.value = value
    self.replica = replica
  }

  /// The value, for an actor on the same replica.
  package func take(on replica: Replica) -> Value {
    precondition(replica === self.replica, "a value was handed to an actor of another replica")
    return value
  }
}

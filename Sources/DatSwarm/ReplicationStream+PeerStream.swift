public import Hypercore

/// A replication stream is what connections carry.
extension ReplicationStream: PeerStream {}

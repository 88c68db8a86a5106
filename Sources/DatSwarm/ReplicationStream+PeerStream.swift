public import Hypercore

/// A replication stream is the stream of every connection.
extension ReplicationStream: PeerStream {}

internal import Hypercore
internal import HypercoreCrypto

/// A feed of an open database: its log, and the replicator that serves it to peers.
final class ReplicatedFeed {
  let log: FeedLog
  let replicator: Replicator
  /// Blocks below this were looked at for lists of feeds.
  var inspected = 0

  init(_ replicator: Replicator) throws {
    guard let log = FeedLog(replicator.core) else {
      throw HyperDBError(.feed, "A static feed that is not finalized can't be part of a database.")
    }
    self.log = log
    self.replicator = replicator
  }

  var key: PublicKey { log.key }
  var core: FeedCore { log.core }
  var length: Int { log.length }

  func has(_ index: Int) -> Bool { core.has(UInt64(index)) }
}

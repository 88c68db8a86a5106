internal import Hypercore
internal import HypercoreCrypto

/// A feed of an open database: its log, and the replicator that serves it to peers.
final class ReplicatedFeed {
  let log: FeedLog
  let replicator: Replicator
  /// Blocks below this were searched for lists of feeds.
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

  /// Notes a pause: what is not here will not come for now, so nothing may wait for it.
  ///
  /// Blocks come in order, but the first one brings the signed length, which may be far beyond it.
  func follow(_ event: ReplicatorEvent) {
    switch event {
    case .paused:
      if !replicator.isSparse { log.end = core.nextMissing(from: 0, below: core.length) }
    case .resumed: log.end = nil
    default: break
    }
  }

  func has(_ index: Int) -> Bool { core.has(UInt64(index)) }
}

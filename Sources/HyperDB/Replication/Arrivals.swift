internal import Hypercore

/// The blocks of others' feeds that are here, in the order in which they came. For sparse databases.
///
/// Kept from the moment the database has a follower: 8 bytes a block.
struct Arrivals {
  private(set) var places: [FeedSequence] = []
  /// By feed number, true if the blocks that arrive are noted.
  private var watched: [Bool] = []

  /// Adds the blocks of new feeds that are already stored, but for the local feed's.
  mutating func look(at feeds: [ReplicatedFeed?], local: Int?) {
    while watched.count < feeds.count { watched.append(false) }
    for (number, feed) in feeds.enumerated() where !watched[number] {
      guard number != local, let core = feed?.core else { continue }
      watched[number] = true
      var seq: UInt64 = 1
      while let stored = core.nextStored(from: seq, below: core.length) {
        places.append(FeedSequence(feed: number, seq: Int(clamping: stored)))
        seq = stored + 1
      }
    }
  }

  /// Adds blocks of a feed that have arrived, if it is watched.
  mutating func add(_ ranges: [Range<UInt64>], of feed: Int) {
    guard feed < watched.count, watched[feed] else { return }
    for range in ranges {
      for seq in range where seq > 0 {
        places.append(FeedSequence(feed: feed, seq: Int(clamping: seq)))
      }
    }
  }

  /// Forgets a feed, whose number another one may get. The others' blocks keep their indexes.
  mutating func forget(_ feed: Int) {
    guard feed < watched.count, watched[feed] else { return }
    watched[feed] = false
    // No entry is in a first block.
    for index in places.indices where places[index].feed == feed {
      places[index] = FeedSequence(feed: feed, seq: 0)
    }
  }
}

extension HyperDB {
  /// Watches new feeds, once the database has a follower.
  func lookForArrivals() {
    guard options.sparse, !followers.isEmpty else { return }
    arrivals.look(at: core.feedKeys.map { feedSet.logs[$0] }, local: core.local)
  }

  /// The entries that have come since the last time.
  func takeArrivals(
    from reader: UpdateReader, _ nodes: inout [DatabaseNode], shownBefore: Int
  ) {
    lookForArrivals()
    let waiting = reader.deferred
    reader.deferred = []
    for place in waiting {
      if hasRoom(nodes, shownBefore: shownBefore) {
        take(place, from: reader, &nodes)
      } else {
        reader.deferred.append(place)
      }
    }
    while hasRoom(nodes, shownBefore: shownBefore), reader.nextArrival < arrivals.places.count {
      reader.nextArrival += 1
      take(arrivals.places[reader.nextArrival - 1], from: reader, &nodes)
    }
  }

  private func take(
    _ place: FeedSequence, from reader: UpdateReader, _ nodes: inout [DatabaseNode]
  ) {
    do {
      if let node = try core.node(at: place) {
        nodes.append(try publicNode(node, valueUpTo: reader.valueLimit))
      }
    } catch let missing as MissingBlock {
      prefetch(missing)
      reader.deferred.append(place)
    } catch {
      // A storage that fails: the reads that need the block report it.
      return
    }
  }
}

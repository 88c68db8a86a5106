internal import Hypercore

/// The blocks of others' feeds that are here, in the order in which they came. For sparse databases.
///
/// Kept from the moment the database has a follower: 8 bytes a block.
struct Arrivals {
  private(set) var locations: [FeedSequence] = []
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
        locations.append(FeedSequence(feed: number, seq: Int(clamping: stored)))
        seq = stored + 1
      }
    }
  }

  /// Adds blocks of a feed that have arrived, if it is watched.
  mutating func add(_ ranges: [Range<UInt64>], of feed: Int) {
    guard feed < watched.count, watched[feed] else { return }
    for range in ranges {
      for seq in range where seq > 0 {
        locations.append(FeedSequence(feed: feed, seq: Int(clamping: seq)))
      }
    }
  }

  /// Removes a feed, whose number another one may get. The others' blocks keep their indexes.
  mutating func remove(_ feed: Int) {
    guard feed < watched.count, watched[feed] else { return }
    watched[feed] = false
    // No entry is in a first block.
    for index in locations.indices where locations[index].feed == feed {
      locations[index] = FeedSequence(feed: feed, seq: 0)
    }
  }
}

extension HyperDB {
  /// Watches new feeds, once the database has a follower.
  func lookForArrivals() {
    guard options.sparse, !followers.isEmpty else { return }
    arrivals.look(at: core.feedKeys.map { feedSet.logs[$0] }, local: core.local)
  }

  /// Adds the entries that have come since the last time.
  func readArrivals(
    for reader: UpdateReader, _ nodes: inout [DatabaseNode], shownBefore: Int
  ) {
    lookForArrivals()
    for location in reader.arrivals.removeDeferred() {
      if hasRoom(nodes, shownBefore: shownBefore) {
        readArrival(at: location, for: reader, &nodes)
      } else {
        reader.arrivals.putOff(location)
      }
    }
    while hasRoom(nodes, shownBefore: shownBefore), reader.arrivals.next < arrivals.locations.count
    {
      let location = arrivals.locations[reader.arrivals.next]
      reader.arrivals.advance()
      readArrival(at: location, for: reader, &nodes)
    }
  }

  private func readArrival(
    at location: FeedSequence, for reader: UpdateReader, _ nodes: inout [DatabaseNode]
  ) {
    do {
      if let node = try core.node(at: location) {
        nodes.append(try publicNode(node, valueUpTo: reader.valueLimit))
      }
    } catch let missing as MissingBlock {
      prefetch(missing)
      reader.arrivals.putOff(location)
    } catch {
      // A storage that fails: the reads that need the block report it.
      return
    }
  }
}

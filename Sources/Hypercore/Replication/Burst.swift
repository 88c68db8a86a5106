/// Consecutive blocks that were stored, and the peer that brought them; nil if the application did.
package struct BlockArrival {
  package let peer: FeedPeer?
  package internal(set) var blocks: Range<UInt64>
}

/// One burst of messages: what it leaves to do at its end, and the blocks that came with it.
struct Burst {
  /// True if peers, waits or the feed have changed, so that everything has to be checked at the end.
  private var isDue = false
  /// True if the limits of the disk have to be checked at the end.
  private var diskIsDue = false
  /// The bytes of the blocks that wait to be written.
  private var bytes = 0
  /// The blocks of the core's batch, in the order in which they came, after those that are being reported.
  private var arrivals: [BlockArrival] = []
  private var reported = 0
  /// True if it was reported that all blocks are here, and nothing has changed since.
  private var saidSynced = false

  // MARK: The end

  /// Makes the end of the burst check everything.
  mutating func needsUpdate() { isDue = true }

  /// - Returns: false if nothing has changed since the last call.
  mutating func takeUpdate() -> Bool {
    defer { isDue = false }
    return isDue
  }

  mutating func needsDisk() { diskIsDue = true }

  /// - Returns: true if the limits of the disk have to be checked.
  mutating func takeDisk() -> Bool {
    defer { diskIsDue = false }
    return diskIsDue
  }

  /// Counts a block that waits to be written.
  mutating func count(_ size: Int) { bytes += size }

  /// True if there is so much to write that it can't wait for the end.
  var isFull: Bool { bytes >= ReplicationLimits.batchBytes }

  /// Counts the bytes anew, as everything is written.
  mutating func written() { bytes = 0 }

  /// Allows ``saySynced()`` again, as something has changed.
  mutating func forgetSynced() { saidSynced = false }

  /// True if nobody knows yet that all blocks are here.
  var canSaySynced: Bool { !saidSynced }

  mutating func saySynced() { saidSynced = true }

  // MARK: Arrivals

  /// Notes that a block is in the batch, and the peer that brought it.
  mutating func arrived(_ index: UInt64, from peer: FeedPeer?) {
    if let last = arrivals.indices.last, last >= reported, arrivals[last].peer === peer,
      arrivals[last].blocks.upperBound == index
    {
      arrivals[last].blocks = arrivals[last].blocks.lowerBound..<index + 1
    } else {
      arrivals.append(BlockArrival(peer: peer, blocks: index..<index + 1))
    }
  }

  /// Begins a report of what has arrived. More may come before ``endReport(_:)``, which nests.
  ///
  /// - Returns: the place of the report's first arrival.
  mutating func beginReport() -> Int {
    defer { reported = arrivals.count }
    return reported
  }

  /// The arrivals of a report that has begun just now.
  func arrivals(from start: Int) -> [BlockArrival] {
    start == 0 ? arrivals : Array(arrivals[start...])
  }

  /// Ends a report. The list is reused, so that a burst costs no allocation.
  mutating func endReport(_ start: Int) {
    assert(start <= reported && reported <= arrivals.count)
    guard start == 0 else { return }
    arrivals.removeFirst(reported)
    reported = 0
  }

  /// Drops the arrivals, as they could not be stored.
  mutating func dropArrivals() {
    arrivals = []
    reported = 0
  }
}

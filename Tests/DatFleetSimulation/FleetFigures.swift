/// The figures of a simulated day.
package struct FleetFigures: Sendable {
  /// How many keys a member owns at the start: the least, the mean, the most.
  package var load = (least: 0, mean: 0, most: 0)
  /// The same at the end.
  package var loadAtEnd = (least: 0, mean: 0, most: 0)
  /// How often hosts went down or came up, new hosts came, and disks were lost.
  package var turns = 0, joins = 0, losses = 0
  /// How often a host became a member, and ceased to be one after the grace.
  package var comes = 0, leaves = 0
  /// Owners that changed by that.
  package var movedByComes = 0, movedByLeaves = 0
  /// How often a key was ranked anew.
  package var searches = 0
  /// Copies that were fetched, let go of, served again and freed.
  package var fetched = 0, released = 0, servedAgain = 0, freed = 0
  /// The least number of complete copies of any key, on disks that exist.
  package var leastCopies = Int.max
  /// Keys without any, and copies freed that left fewer than asked for.
  package var lostKeys = 0, faults = 0
  /// Keys with fewer copies than asked for at the end.
  package var underCopiesAtEnd = 0
  /// Seconds from the loss of a disk until each of its keys had all copies again.
  package var restored: [UInt32] = []
  /// Keys whose complete copies are all on hosts that are down: now, at most, and over time.
  package var unserved = 0, mostUnserved = 0
  package var unservedKeySeconds: UInt64 = 0

  /// The seconds within which a share of the keys of lost disks had all copies again.
  package func restored(share: Double) -> UInt32 {
    let sorted = restored.sorted()
    guard !sorted.isEmpty else { return 0 }
    return sorted[min(Int(Double(sorted.count) * share), sorted.count - 1)]
  }

  /// The figures as lines of text.
  package var lines: [String] {
    [
      "keys a host owns: \(load.least) to \(load.most), mean \(load.mean); "
        + "at the end \(loadAtEnd.least) to \(loadAtEnd.most), mean \(loadAtEnd.mean)",
      "hosts: \(turns) times down or up, \(joins) new, \(losses) lost with their disks",
      "members: \(comes) came, \(movedByComes / max(comes, 1)) keys moved for each; "
        + "\(leaves) left after the grace, \(movedByLeaves / max(leaves, 1)) for each",
      "copies: \(fetched) fetched, \(released) let go of, \(servedAgain) served again, \(freed) freed",
      "complete copies of a key: \(leastCopies) at least; \(lostKeys) keys lost, "
        + "\(underCopiesAtEnd) under the copies at the end",
      "all copies again after the loss of a disk: half of the keys within \(restored(share: 0.5)) s, "
        + "99 % within \(restored(share: 0.99)) s, all within \(restored(share: 1)) s "
        + "(\(restored.count) keys)",
      "keys of which both hosts were down: \(mostUnserved) at most at a time, "
        + "\(unservedKeySeconds / 3600) key hours",
    ]
  }
}

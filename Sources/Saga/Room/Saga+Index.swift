internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

// The index of a room beside its database.
extension Saga {
  /// Adopts a stored index, if the feeds are in the states that it was made from.
  func use(_ stored: StoredIndex) async {
    var last: [PublicKey: UInt64] = [:]
    let placed = Set(await db.feeds.map(\.key))
    for (key, known) in stored.feeds {
      // The database reports those that have lost their place since.
      let holds = placed.contains(key) ? await db.holds(known, of: key) : true
      guard known.length > 0, holds else { return }
      last[key] = known.length - 1
    }
    index = stored.index
    taken = last
  }

  /// Writes the index. If that fails, the next opening takes longer, and nothing else suffers.
  func writeIndex() {
    unwritten = 0
    guard let indexFile, db.storage.access == .readWrite else { return }
    var feeds: [PublicKey: KnownFeed] = [:]
    let db = db
    for (key, last) in taken {
      let known = db.assumeIsolated { $0.knownFeed(key, length: last + 1) }
      guard let known else { return }
      feeds[key] = known
    }
    do {
      try indexFile.write(index, feeds)
    } catch {
      // A full disk, for example: half an index would only waste space.
      indexFile.empty()
    }
  }
}

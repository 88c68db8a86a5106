internal import HypercoreCrypto

/// The list of feeds that one writer published in one entry. It gives the writer's own numbers a meaning.
final class FeedList {
  /// The block of the writer's feed that holds the list.
  let seq: Int
  /// The number of its keys.
  let keyCount: Int
  /// The entries of the list as published; not all of them need be keys. Empty in the lists of others, which
  /// are not written again.
  let keys: [[UInt8]]
  /// For each of them its number in the open database, or -1 if it has none. Those past the end have none
  /// either.
  let decodeMap: [Int]
  /// The key of the writer's content feed, if it has one.
  let contentKey: [UInt8]?
  /// True if a clock was read that counts entries of a feed without a number.
  @exclusivity(unchecked) private(set) var hasLeftOut = false
  /// True if the decode map numbers the feeds as the database does, so that clocks need no mapping.
  private let isIdentity: Bool

  init(seq: Int, keyCount: Int, keys: [[UInt8]], decodeMap: [Int], contentKey: [UInt8]?) {
    self.seq = seq
    self.keyCount = keyCount
    self.keys = keys
    self.decodeMap = decodeMap
    self.contentKey = contentKey
    isIdentity =
      decodeMap.count == keyCount && decodeMap.enumerated().allSatisfy { $0.offset == $0.element }
  }

  /// Returns the same list with the current numbers of its keys.
  func renumbered(_ numbers: [PublicKey: Int]) -> FeedList {
    FeedList(
      seq: seq, keyCount: keyCount, keys: keys,
      decodeMap: keys.map { PublicKey(bytes: $0).flatMap { numbers[$0] } ?? -1 },
      contentKey: contentKey)
  }

  /// Returns the number of feeds in the clock of an entry by the database's numbers; nil if it is longer than
  /// the list.
  func clockCount(of clock: UnsafeBufferPointer<UInt64>, at location: FeedSequence) -> Int? {
    guard clock.count <= keyCount else { return nil }
    var count = names(location.feed) ? location.feed + 1 : 0
    if isIdentity { return max(count, clock.count) }
    for position in 0..<min(clock.count, decodeMap.count) {
      count = max(count, decodeMap[position] + 1)
    }
    return count
  }

  /// Writes the clock of an entry by the database's numbers, all ``clockCount(of:at:)`` values.
  ///
  /// A writer knows its own feed whatever its clock says: its later entries cover its earlier ones.
  func decode(
    _ clock: UnsafeBufferPointer<UInt64>, at location: FeedSequence,
    to decoded: UnsafeMutablePointer<UInt64>, count: Int
  ) {
    decoded.initialize(repeating: 0, count: count)
    for position in clock.indices {
      let feed = position < decodeMap.count ? decodeMap[position] : -1
      if feed >= 0 {
        decoded[feed] = clock[position]
      } else if clock[position] > 1 {
        hasLeftOut = true
      }
    }
    if names(location.feed) { decoded[location.feed] = UInt64(location.seq) + 1 }
  }

  /// Returns whether the list has the feed of that number.
  private func names(_ feed: Int) -> Bool {
    isIdentity ? feed < decodeMap.count : decodeMap.contains(feed)
  }

  /// Returns the clock by the list's numbers, 0 for a feed that this database doesn't have open.
  func encode(clock: [UInt64]) -> [UInt64] {
    if isIdentity, clock.count == keyCount { return clock }
    let known = decodeMap.map { $0 >= 0 && $0 < clock.count ? clock[$0] : 0 }
    return known + repeatElement(0, count: keyCount - known.count)
  }

  /// Returns, for each feed of the database, its number in the list, or -1.
  func encodeMap(feedCount: Int) -> [Int] {
    var map = Array(repeating: -1, count: feedCount)
    for (position, feed) in decodeMap.enumerated() where feed >= 0 && feed < feedCount {
      map[feed] = position
    }
    return map
  }
}

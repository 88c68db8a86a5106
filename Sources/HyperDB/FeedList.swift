/// The list of feeds that one writer published in one entry: what its own numbers mean.
final class FeedList {
  /// The block of the writer's feed that it is in.
  let seq: Int
  /// The keys as published; not all need be keys.
  let keys: [[UInt8]]
  /// For each of them its number in the open database, or -1 where it has none.
  let decodeMap: [Int]
  /// The key of the writer's content feed, where it has one.
  let contentKey: [UInt8]?
  /// Whether the decode map numbers the feeds as the database does, so that clocks need no mapping.
  private let isIdentity: Bool

  init(seq: Int, keys: [[UInt8]], decodeMap: [Int], contentKey: [UInt8]?) {
    self.seq = seq
    self.keys = keys
    self.decodeMap = decodeMap
    self.contentKey = contentKey
    isIdentity = decodeMap.enumerated().allSatisfy { $0.offset == $0.element }
  }

  /// The clock of an entry by the database's numbers; nil where it is longer than the list.
  ///
  /// A writer knows its own feed, whatever it says: the later of its entries covers the earlier.
  func decode(clock: UnsafeBufferPointer<UInt64>, of place: FeedSequence) -> [UInt64]? {
    guard clock.count <= keys.count else { return nil }
    var count = decodeMap.contains(place.feed) ? place.feed + 1 : 0
    let namesOwner = count > 0
    for position in clock.indices { count = max(count, decodeMap[position] + 1) }
    return [UInt64](unsafeUninitializedCapacity: count) { decoded, filled in
      decoded.initialize(repeating: 0)
      for position in clock.indices where decodeMap[position] >= 0 {
        decoded[decodeMap[position]] = clock[position]
      }
      if namesOwner { decoded[place.feed] = UInt64(place.seq) + 1 }
      filled = count
    }
  }

  /// The clock by the list's numbers, 0 for a feed that this database doesn't open.
  func encode(clock: [UInt64]) -> [UInt64] {
    if isIdentity, clock.count == keys.count { return clock }
    return decodeMap.map { $0 >= 0 && $0 < clock.count ? clock[$0] : 0 }
  }

  /// For each feed of the database its number in the list, or -1.
  func encodeMap(feedCount: Int) -> [Int] {
    var map = Array(repeating: -1, count: feedCount)
    for (position, feed) in decodeMap.enumerated() where feed >= 0 && feed < feedCount {
      map[feed] = position
    }
    return map
  }
}

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

  /// The clock by the database's numbers; nil where it is longer than the list.
  func decode(clock: [UInt64]) -> [UInt64]? {
    guard clock.count <= keys.count else { return nil }
    if isIdentity { return clock }
    var decoded: [UInt64] = []
    for (position, value) in clock.enumerated() where decodeMap[position] >= 0 {
      let feed = decodeMap[position]
      while decoded.count <= feed { decoded.append(0) }
      decoded[feed] = value
    }
    return decoded
  }

  /// The clock by the list's numbers, 0 for a feed that this database doesn't open.
  func encode(clock: [UInt64]) -> [UInt64] {
    decodeMap.map { $0 >= 0 && $0 < clock.count ? clock[$0] : 0 }
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

internal import DatCoding

/// The bytes of a trie: for each index that has pointers `index`, `mask` of digits, then the digits' pointers, each
/// as `feed * 2 + more`, `seq`, with the feeds numbered as in the writer's own list.
///
/// Source: hyperdb `lib/trie-encoding.js`. Fixture: `vectors/trie-encoding.json`.
package enum TrieCoding {
  /// - Parameter encodeMap: for each feed of the open database, its number in the writer's list.
  ///   Every feed that the trie points to has one.
  package static func encode(_ trie: Trie, encodeMap: [Int]) -> [UInt8] {
    if trie.isEmpty { return [] }
    return [UInt8](unsafeUninitializedCapacity: maximumBytes(trie)) { bytes, count in
      if let start = bytes.baseAddress { count = encode(trie, encodeMap: encodeMap, to: start) }
    }
  }

  /// Returns the most bytes that a trie is encoded in: five for an index, one for its digits, two for a
  /// feed and eight for a block.
  static func maximumBytes(_ trie: Trie) -> Int { trie.count * 16 }

  /// Writes the bytes of a trie, at most ``maximumBytes(_:)``, and returns their count.
  static func encode(
    _ trie: Trie, encodeMap: [Int], to start: UnsafeMutablePointer<UInt8>
  ) -> Int {
    var end = start
    let count = trie.count
    var position = 0
    while position < count {
      let index = trie.slot(position).index
      var next = position
      var mask: UInt64 = 0
      while next < count, trie.slot(next).index == index {
        mask |= 1 << UInt64(trie.slot(next).digit)
        next += 1
      }
      write(UInt64(index), &end)
      write(mask, &end)
      for pointer in position..<next {
        let target = trie.pointer(pointer)
        let isLast = pointer + 1 == next || trie.slot(pointer + 1) != trie.slot(pointer)
        write(UInt64(encodeMap[target.feed]) << 1 | (isLast ? 0 : 1), &end)
        write(UInt64(target.seq), &end)
      }
      position = next
    }
    return end - start
  }

  /// A buffer for the bytes of one trie after the other.
  final class Room {
    private var bytes = UnsafeMutableBufferPointer<UInt8>(start: nil, count: 0)

    deinit { bytes.deallocate() }

    /// Returns the bytes of a trie, which are valid until the next call.
    func fill(_ trie: Trie, encodeMap: [Int]) -> UnsafeBufferPointer<UInt8> {
      let count = maximumBytes(trie)
      if bytes.count < count {
        bytes.deallocate()
        bytes = .allocate(capacity: max(count, 1024))
      }
      guard count > 0, let start = bytes.baseAddress else {
        return UnsafeBufferPointer(start: nil, count: 0)
      }
      return UnsafeBufferPointer(
        start: start, count: encode(trie, encodeMap: encodeMap, to: start))
    }
  }

  @inline(__always)
  private static func write(_ value: UInt64, _ end: inout UnsafeMutablePointer<UInt8>) {
    var rest = value
    while rest >= 0x80 {
      end.pointee = UInt8(truncatingIfNeeded: rest) | 0x80
      end += 1
      rest >>= 7
    }
    end.pointee = UInt8(truncatingIfNeeded: rest)
    end += 1
  }

  /// A fault in the bytes of a trie.
  package enum Fault: Error, Hashable {
    /// The bytes end inside a bucket, or an integer is over 2^53 - 1.
    case malformed
    /// There are more bytes than any writer has room for.
    case tooLarge
    /// Places are not in ascending order, or a digit is above 4.
    case order
    /// A pointer leads to a feed that the writer's list doesn't have.
    case unknownFeed(UInt64)
    /// A pointer leads to the header of a feed, by its number in the writer's list, or in the writer's own feed
    /// to the entry itself or a later one.
    case badPointer(feed: UInt64, seq: UInt64)

    var reason: String {
      switch self {
      case .malformed: "its trie is cut short or has an integer over 2^53 - 1"
      case .tooLarge: "its trie has over \(HyperDBLimits.readTrieBytes) bytes"
      case .order: "its trie has places out of order or digits that don't exist"
      case .unknownFeed(let feed): "its trie points to feed \(feed) of a shorter list"
      case .badPointer(let feed, let seq):
        "its trie points to block \(seq) of feed \(feed) of its list, which can't be"
      }
    }
  }

  /// Decodes a trie. Pointers to feeds of the list that this database doesn't open, because their keys are no
  /// keys, are left out.
  ///
  /// - Parameters:
  ///   - decodeMap: for each feed of the writer's list its number in the open database, or -1.
  ///   - keyCount: the number of feeds in the list; those past the end of the map are -1.
  ///   - owner: the location of the entry itself.
  package static func decode(
    _ bytes: [UInt8], decodeMap: [Int], keyCount: Int? = nil, owner: FeedSequence,
    scratch: inout Scratch
  ) throws(Fault) -> Trie {
    try bytes.withUnsafeBufferPointer { (bytes) throws(Fault) in
      try decode(
        bytes, decodeMap: decodeMap, keyCount: keyCount ?? decodeMap.count, owner: owner,
        scratch: &scratch)
    }
    defer { scratch.trim() }
    return Trie(scratch.entries)
  }

  /// Decodes the trie of an entry that is read by a list, into the entries of `scratch`.
  static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, by list: FeedList, owner: FeedSequence,
    scratch: inout Scratch
  ) throws(Fault) {
    try decode(
      bytes, decodeMap: list.decodeMap, keyCount: list.keyCount, owner: owner, scratch: &scratch)
  }

  private static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, decodeMap: [Int], keyCount: Int, owner: FeedSequence,
    scratch: inout Scratch
  ) throws(Fault) {
    scratch.entries.removeAll(keepingCapacity: true)
    guard bytes.count <= HyperDBLimits.readTrieBytes else { throw .tooLarge }
    var reader = VarintReader(bytes: bytes)
    var previous = -1
    while reader.position < bytes.count {
      let index = try reader.next()
      let mask = try reader.next()
      guard index <= UInt64(Trie.maximumIndex), Int(index) > previous, mask < 32 else {
        throw .order
      }
      previous = Int(index)
      for digit in UInt8(0)..<5 where mask & 1 << UInt64(digit) != 0 {
        let slotKey = Trie.slotKey(previous, digit)
        var more = true
        while more {
          let feedAndMore = try reader.next()
          let seq = try reader.next()
          more = feedAndMore & 1 != 0
          let number = feedAndMore >> 1
          guard number < UInt64(keyCount) else { throw .unknownFeed(number) }
          // What can't be is so in every replica, whatever feeds it has.
          guard seq > 0 else { throw .badPointer(feed: number, seq: seq) }
          let feed = number < UInt64(decodeMap.count) ? decodeMap[Int(number)] : -1
          if feed < 0 {
            scratch.hasLeftOut = true
            continue
          }
          guard feed != owner.feed || seq < UInt64(owner.seq) else {
            throw .badPointer(feed: number, seq: seq)
          }
          scratch.entries.append((slotKey, FeedSequence(feed: feed, seq: Int(seq))))
        }
      }
    }
  }

  /// Buffers that decoding reuses.
  package struct Scratch {
    var entries: [Trie.Entry] = []
    /// True if a trie was read that points to a feed without a number.
    var hasLeftOut = false
    private static let keptEntries = 1 << 15

    package init() {}

    /// Releases memory that only a very large trie took.
    mutating func trim() {
      if entries.capacity > Self.keptEntries { entries = [] }
    }
  }

  private struct VarintReader {
    let bytes: UnsafeBufferPointer<UInt8>
    var position = 0

    init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    mutating func next() throws(Fault) -> UInt64 {
      // Most integers are one byte.
      if position < bytes.count, bytes[position] < 0x80 {
        defer { position += 1 }
        return UInt64(bytes[position])
      }
      let reading = Varint.read(
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[position...]))
      guard case .value(let value, let length) = reading, value <= Varint.maximum
      else { throw .malformed }
      position += length
      return value
    }
  }
}

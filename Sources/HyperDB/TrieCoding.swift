internal import DatCoding

/// The bytes of a trie: for each place `index`, `mask` of digits, then the digits' pointers, each
/// as `feed * 2 + more`, `seq`, with the feeds numbered as in the writer's own list.
///
/// Source: hyperdb `lib/trie-encoding.js`. Fixture: `vectors/trie-encoding.json`.
package enum TrieCoding {
  /// - Parameter encodeMap: for each feed of the open database its number in the writer's list.
  ///   Every feed that the trie points to has one.
  package static func encode(_ trie: Trie, encodeMap: [Int]) -> [UInt8] {
    var bytes: [UInt8] = []
    if trie.isEmpty { return bytes }
    bytes.reserveCapacity(trie.byteCount / 2)
    var position = 0
    while position < trie.count {
      let index = trie.slot(position).index
      var end = position
      var mask: UInt64 = 0
      while end < trie.count, trie.slot(end).index == index {
        mask |= 1 << UInt64(trie.slot(end).digit)
        end += 1
      }
      Varint.write(UInt64(index), to: &bytes)
      Varint.write(mask, to: &bytes)
      for pointer in position..<end {
        let target = trie.pointer(pointer)
        let isLast = pointer + 1 == end || trie.slot(pointer + 1) != trie.slot(pointer)
        Varint.write(UInt64(encodeMap[target.feed]) << 1 | (isLast ? 0 : 1), to: &bytes)
        Varint.write(UInt64(target.seq), to: &bytes)
      }
      position = end
    }
    return bytes
  }

  /// What makes the bytes of a trie unacceptable.
  package enum Fault: Error, Hashable {
    /// The bytes end inside a bucket, or an integer is over 2^53 - 1.
    case malformed
    /// Places are not in ascending order, or a digit above 4 is there.
    case order
    /// A pointer to a feed that the writer's list doesn't have.
    case unknownFeed(UInt64)
    /// A pointer to a header, or in the writer's own feed to the entry itself or a later one.
    case badPointer(feed: Int, seq: UInt64)

    var reason: String {
      switch self {
      case .malformed: "its trie is cut short or has an integer over 2^53 - 1"
      case .order: "its trie has places out of order or digits that don't exist"
      case .unknownFeed(let feed): "its trie points to feed \(feed) of a shorter list"
      case .badPointer(let feed, let seq): "its trie points to \(feed)/\(seq), which can't be"
      }
    }
  }

  /// Pointers to feeds of the list that this database doesn't open (their keys are no keys) are
  /// left out.
  ///
  /// - Parameters:
  ///   - decodeMap: for each feed of the writer's list its number in the open database, or -1.
  ///   - owner: where the entry itself is.
  package static func decode(
    _ bytes: [UInt8], decodeMap: [Int], owner: FeedSequence,
    scratch: inout Scratch
  ) throws(Fault) -> Trie {
    if bytes.isEmpty { return .empty }
    scratch.entries.removeAll(keepingCapacity: true)
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
        let place = Trie.place(previous, digit)
        var more = true
        while more {
          let feedAndMore = try reader.next()
          let seq = try reader.next()
          more = feedAndMore & 1 != 0
          let number = feedAndMore >> 1
          guard number < UInt64(decodeMap.count) else { throw .unknownFeed(number) }
          let feed = decodeMap[Int(number)]
          if feed < 0 { continue }
          guard seq > 0, feed != owner.feed || seq < UInt64(owner.seq) else {
            throw .badPointer(feed: feed, seq: seq)
          }
          scratch.entries.append((place, FeedSequence(feed: feed, seq: Int(seq))))
        }
      }
    }
    return Trie(scratch.entries)
  }

  /// Room that decoding uses again and again.
  package struct Scratch {
    var entries: [Trie.Entry] = []

    package init() {}
  }

  private struct VarintReader {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func next() throws(Fault) -> UInt64 {
      // Most integers are one byte.
      if position < bytes.count, bytes[position] < 0x80 {
        defer { position += 1 }
        return UInt64(bytes[position])
      }
      let reading = bytes.withUnsafeBytes {
        Varint.read(UnsafeRawBufferPointer(rebasing: $0[position...]))
      }
      guard case .value(let value, let length) = reading, value <= Varint.maximum
      else { throw .malformed }
      position += length
      return value
    }
  }
}

internal import DatCoding

/// The content of a feed's block, before its feeds are numbered as in this open database.
///
/// Source: hyperdb `lib/messages.js`. Fixture: `vectors/hyperdb-messages.json`.
package struct EntryMessage: Hashable {
  /// The key as stored: bytes, in UTF-8 if the reference wrote them.
  package var key: [UInt8]
  /// The value; nil if there is none, which is not the same as an empty one.
  package var value: [UInt8]?
  /// True for a delete. It is written only if true.
  package var deleted = false
  /// The trie's bytes; see `TrieCoding`.
  package var trie: [UInt8] = []
  /// One value for each feed of the writer's list.
  package var clock: [UInt64] = []
  /// The block whose list this entry is read by; the reference always writes it.
  package var inflate: UInt64?
  /// The writer's list, in an inflated entry. Keys should have 32 bytes each.
  package var feeds: [[UInt8]]?
  /// The key of the writer's content feed, in an inflated entry.
  package var contentFeed: [UInt8]?

  package init(key: [UInt8], value: [UInt8]? = nil) {
    self.key = key
    self.value = value
  }
}

/// The fields of a block, valid only while the codec shows them.
struct EntryFields {
  let key: UnsafeBufferPointer<UInt8>
  var value: UnsafeBufferPointer<UInt8>?
  let isDeleted: Bool
  let trie: UnsafeBufferPointer<UInt8>
  let clock: UnsafeBufferPointer<UInt64>
  let inflate: UInt64?

  /// True if the reference could hold every integer.
  var isInRange: Bool {
    for value in clock where value > Varint.maximum { return false }
    return inflate.map { $0 <= Varint.maximum } ?? true
  }
}

extension EntryMessage {
  init(_ fields: EntryFields) {
    self.init(key: Array(fields.key), value: fields.value.map { Array($0) })
    deleted = fields.isDeleted
    trie = Array(fields.trie)
    clock = Array(fields.clock)
    inflate = fields.inflate
  }
}

/// The top-level fields of an entry's bytes, counted before anything is allocated for them.
struct EntryScan {
  /// The number of values in the clock.
  private(set) var clockCount = 0
  /// The number of listed feeds.
  private(set) var feedCount = 0
  /// The number of all fields.
  private(set) var fieldCount = 0
  /// The range of a value too large to be copied needlessly: that of the whole field, and that of its
  /// content. Nil if there are several values.
  var largeValue: (field: Range<Int>, content: Range<Int>)? { valueCount == 1 ? large : nil }
  private var valueCount = 0
  private var large: (field: Range<Int>, content: Range<Int>)?
  private static let largeBytes = 64 << 10
  /// True if there is a field that only an inflated entry has.
  var isInflated: Bool { feedCount > 0 || hasContentFeed }
  private var hasContentFeed = false

  /// Nil if the bytes are not a protobuf message or have a known field of the wrong kind.
  init?(_ bytes: UnsafeRawBufferPointer) {
    var position = 0
    while position < bytes.count {
      let start = position
      guard let tag = Self.varint(bytes, &position) else { return nil }
      fieldCount += 1
      switch tag & 7 {
      case 0:
        guard Self.varint(bytes, &position) != nil else { return nil }
      case 1:
        guard bytes.count - position >= 8 else { return nil }
        position += 8
      case 2:
        guard let length = Self.varint(bytes, &position),
          length <= UInt64(bytes.count - position)
        else { return nil }
        let content = position..<position + Int(length)
        position = content.upperBound
        if tag >> 3 == 2 {
          valueCount += 1
          if content.count > Self.largeBytes { large = (start..<position, content) }
        }
      case 5:
        guard bytes.count - position >= 4 else { return nil }
        position += 4
      default: return nil
      }
      switch tag >> 3 {
      case 1, 2, 4: guard tag & 7 == 2 else { return nil }
      case 3, 6: guard tag & 7 == 0 else { return nil }
      case 5:
        // The reference doesn't read packed clocks.
        guard tag & 7 == 0 else { return nil }
        clockCount += 1
      case 7:
        guard tag & 7 == 2 else { return nil }
        feedCount += 1
      case 8:
        guard tag & 7 == 2 else { return nil }
        hasContentFeed = true
      default: break
      }
    }
  }

  /// Returns whether a block is an entry of hyperdb before May 2018, without a header before it: key 1,
  /// value 2, trie 3, clock 4, inflate 5, feeds 6, content 7.
  static func isEntryOfEarlyHyperDB(_ block: [UInt8]) -> Bool {
    block.withUnsafeBytes { bytes in
      var position = 0
      var kinds: [UInt64: UInt64] = [:]
      while position < bytes.count {
        guard let tag = varint(bytes, &position) else { return false }
        kinds[tag >> 3] = tag & 7
        switch tag & 7 {
        case 0: guard varint(bytes, &position) != nil else { return false }
        case 2:
          guard let length = varint(bytes, &position), length <= UInt64(bytes.count - position)
          else { return false }
          position += Int(length)
        default: return false
        }
      }
      return kinds[1] == 2 && kinds[3] == 2 && kinds[5] == 0 && kinds[4] ?? 0 == 0
        && kinds[6] ?? 2 == 2 && kinds.keys.allSatisfy { (1...7).contains($0) }
    }
  }

  private static func varint(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < bytes.count, shift < 70 {
      let byte = bytes[position]
      position += 1
      if shift == 63, byte > 1 { return nil }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    return nil
  }
}

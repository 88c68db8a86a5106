/// A decoded entry, with feeds numbered as in this open database.
///
/// One piece of memory: the header, and behind it the words of the trie and of the clock, the key and the
/// value. A walk goes through many entries, and what it waits for is memory.
///
/// Immutable but for its path, which is computed on first use.
package final class EntryNode: ManagedBuffer<EntryHeader, UInt64> {
  /// The largest value, in bytes, that is kept with its entry. The cache, heads and walks hold entries:
  /// if they held values of any size, a writer could make them take any amount of memory.
  package static let keptValue = 65_536

  /// What an entry is made of, besides its trie and clock.
  struct Parts {
    let location: FeedSequence
    var key: UnsafeBufferPointer<UInt8>
    /// The value; nil if none was stored, or if it is kept apart.
    var value: UnsafeBufferPointer<UInt8>?
    /// The byte count of a value that is kept apart; otherwise 0.
    var apartCount = 0
    let isDeleted: Bool
    let inflate: Int
    var path: HashPath?
  }

  /// Makes an entry.
  ///
  /// - Parameters:
  ///   - clockCount: the number of feeds of its clock.
  ///   - trieCount: the number of words of its trie.
  ///   - isWide: true if its trie has two words for each pointer.
  ///   - fill: writes the words of the trie to the first pointer, and all of the clock to the second.
  static func make(
    _ parts: Parts, clockCount: Int, trieCount: Int, isWide: Bool,
    fill: (UnsafeMutablePointer<UInt64>, UnsafeMutablePointer<UInt64>) -> Void
  ) -> EntryNode {
    let byteCount = parts.key.count + (parts.value?.count ?? 0)
    let words = trieCount + clockCount
    let buffer = create(minimumCapacity: words + (byteCount + 7) >> 3) { _ in
      // A block has far less than 2^32 of anything.
      EntryHeader(
        location: parts.location, inflate: parts.inflate, path: parts.path,
        keyCount: UInt32(truncatingIfNeeded: parts.key.count),
        valueCount: UInt32(truncatingIfNeeded: parts.value?.count ?? 0),
        apartCount: UInt32(clamping: parts.apartCount),
        clockCount: UInt32(truncatingIfNeeded: clockCount),
        trieCount: UInt32(truncatingIfNeeded: trieCount), isWide: isWide,
        isDeleted: parts.isDeleted, hasValue: parts.value != nil)
    }
    buffer.withUnsafeMutablePointerToElements { elements in
      fill(elements, elements + trieCount)
      let bytes = UnsafeMutableRawPointer(elements + words)
      if let key = parts.key.baseAddress { bytes.copyMemory(from: key, byteCount: parts.key.count) }
      if let value = parts.value, let start = value.baseAddress {
        (bytes + parts.key.count).copyMemory(from: start, byteCount: value.count)
      }
    }
    // `create` makes an instance of the class that it is called on.
    return unsafeDowncast(buffer, to: EntryNode.self)
  }

  /// Makes an entry of arrays. A value of more than ``keptValue`` bytes is referred to, until the entry is
  /// ``kept``.
  static func make(
    location: FeedSequence, key: [UInt8], value: [UInt8]?, isDeleted: Bool, clock: [UInt64],
    trie: Trie, inflate: Int, path: HashPath? = nil
  ) -> EntryNode {
    let isLarge = (value?.count ?? 0) > keptValue
    let node = key.withUnsafeBufferPointer { keyBytes in
      func node(_ valueBytes: UnsafeBufferPointer<UInt8>?) -> EntryNode {
        make(
          Parts(
            location: location, key: keyBytes, value: valueBytes,
            apartCount: isLarge ? value?.count ?? 0 : 0, isDeleted: isDeleted, inflate: inflate,
            path: path),
          clockCount: clock.count, trieCount: trie.wordCount, isWide: trie.isWide
        ) { trieWords, clockWords in
          trie.copy(to: trieWords)
          for feed in clock.indices { clockWords[feed] = clock[feed] }
        }
      }
      guard let value, !isLarge else { return node(nil) }
      return value.withUnsafeBufferPointer { node($0) }
    }
    if isLarge { node.header.large = value }
    return node
  }

  @inline(__always)
  private var elements: UnsafeMutablePointer<UInt64> {
    withUnsafeMutablePointerToElements { $0 }
  }

  @inline(__always)
  private var bytes: UnsafePointer<UInt8> {
    UnsafePointer(
      UnsafeMutableRawPointer(elements + Int(header.trieCount) + Int(header.clockCount))
        .assumingMemoryBound(to: UInt8.self))
  }

  /// Its feed and block.
  package var location: FeedSequence { header.location }
  package var feed: Int { header.location.feed }
  package var seq: Int { header.location.seq }
  /// True if the entry deletes its key.
  package var isDeleted: Bool { header.isDeleted }
  /// The block of the same feed whose list this entry is read by.
  package var inflate: Int { header.inflate }

  // MARK: Key and value

  /// The byte count of the key.
  var keyCount: Int { Int(header.keyCount) }

  /// Passes the bytes of the key to `body`. It has no leading slash if this implementation or the reference
  /// wrote it.
  @inline(__always)
  func withKey<Result>(_ body: (UnsafeBufferPointer<UInt8>) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(self) {
      try body(UnsafeBufferPointer(start: bytes, count: keyCount))
    }
  }

  /// A copy of the key.
  package var key: [UInt8] { withKey { Array($0) } }

  /// Returns whether this is an entry of a key.
  func hasKey(_ key: [UInt8]) -> Bool {
    withKey { own in key.withUnsafeBufferPointer { own.hasSameBytes(as: $0) } }
  }

  /// Returns whether two entries have the same key.
  func hasKey(of other: EntryNode) -> Bool {
    withKey { own in other.withKey { own.hasSameBytes(as: $0) } }
  }

  /// Passes the bytes of the value to `body`; nil if none was stored (deletes, authorisations, a codec's
  /// nulls), and if it is kept apart.
  @inline(__always)
  func withValue<Result>(
    _ body: (UnsafeBufferPointer<UInt8>?) throws -> Result
  ) rethrows -> Result {
    if let large = header.large { return try large.withUnsafeBufferPointer { try body($0) } }
    guard header.hasValue else { return try body(nil) }
    return try withExtendedLifetime(self) {
      try body(UnsafeBufferPointer(start: bytes + keyCount, count: Int(header.valueCount)))
    }
  }

  /// A copy of the value; nil if none was stored, and if it is kept apart.
  package var value: [UInt8]? { header.large ?? withValue { $0.map { Array($0) } } }
  /// True if it has a value that is kept with it.
  var hasValue: Bool { header.hasValue || header.large != nil }
  /// True if its value is not kept with it. `DatabaseCore.value(of:)` reads it then.
  package var isValueApart: Bool { header.apartCount > 0 && header.large == nil }
  /// The byte count of its value; 0 if there is none.
  var valueCount: Int { Int(header.apartCount > 0 ? header.apartCount : header.valueCount) }

  /// The entry to keep: this one, or a copy without its large value.
  var kept: EntryNode {
    guard header.large != nil else { return self }
    return withKey { key in
      let parts = Parts(
        location: location, key: key, value: nil, apartCount: Int(header.apartCount),
        isDeleted: isDeleted, inflate: inflate, path: header.path)
      let (trieCount, clockCount) = (Int(header.trieCount), Int(header.clockCount))
      return Self.make(
        parts, clockCount: clockCount, trieCount: trieCount, isWide: header.isWide
      ) { trie, clock in
        trie.update(from: elements, count: trieCount)
        clock.update(from: elements + trieCount, count: clockCount)
      }
    }
  }

  // MARK: Knowledge

  /// The entry's index into the database, in the memory of the entry.
  package var trie: Trie {
    Trie(
      owner: self, words: UnsafePointer(elements), count: Int(header.trieCount),
      isWide: header.isWide)
  }

  /// The number of feeds of the clock.
  var clockCount: Int { Int(header.clockCount) }

  /// By feed: how many of its blocks, header included, the writer knew. 0 for feeds past the end.
  package var clock: [UInt64] { (0..<clockCount).map { clock(of: $0) } }

  /// The number of blocks of a feed that the writer knew.
  package func clock(of feed: Int) -> UInt64 {
    guard feed >= 0, feed < clockCount else { return 0 }
    return withExtendedLifetime(self) { elements[Int(header.trieCount) + feed] }
  }

  /// Returns whether the writer of this entry knew `other`.
  package func covers(_ other: EntryNode) -> Bool { clock(of: other.feed) > UInt64(other.seq) }

  /// The path of the key, terminator included.
  @inline(__always)
  func path(_ hash: PathHash) -> HashPath { header.path ?? makePath(hash) }

  @inline(never)
  private func makePath(_ hash: PathHash) -> HashPath {
    let path = withKey { hash.path(of: UnsafeRawBufferPointer($0), terminated: true) }
    header.path = path
    return path
  }

  /// The approximate memory of the entry, in bytes.
  var byteCount: Int {
    // The object, the header and the allocator's share. The path of a long key has up to a word for each of
    // its bytes.
    144 + (keyCount > 256 ? keyCount * 9 : keyCount) + Int(header.valueCount)
      + 8 * (clockCount + Int(header.trieCount))
  }
}

extension EntryNode: CustomStringConvertible {
  package var description: String {
    "\(location) \(isDeleted ? "delete" : "put") \(String(decoding: key, as: UTF8.self))"
  }
}

/// The fixed part of an entry.
package struct EntryHeader {
  fileprivate let location: FeedSequence
  fileprivate let inflate: Int
  fileprivate var path: HashPath?
  /// A large value of an entry that was just made.
  fileprivate var large: [UInt8]?
  fileprivate let keyCount: UInt32
  fileprivate let valueCount: UInt32
  fileprivate let apartCount: UInt32
  fileprivate let clockCount: UInt32
  fileprivate let trieCount: UInt32
  fileprivate let isWide: Bool
  fileprivate let isDeleted: Bool
  fileprivate let hasValue: Bool
}

extension UnsafeBufferPointer<UInt8> {
  /// Returns whether the bytes of two buffers are the same.
  @inline(__always)
  func hasSameBytes(as other: UnsafeBufferPointer<UInt8>) -> Bool {
    guard count == other.count else { return false }
    let (one, other) = (UnsafeRawBufferPointer(self), UnsafeRawBufferPointer(other))
    var index = 0
    while index + 8 <= count {
      let left = one.loadUnaligned(fromByteOffset: index, as: UInt64.self)
      if left != other.loadUnaligned(fromByteOffset: index, as: UInt64.self) { return false }
      index += 8
    }
    while index < count {
      if one[index] != other[index] { return false }
      index += 1
    }
    return true
  }
}

/// A decoded entry, with feeds numbered as in this open database.
///
/// Immutable but for its path, which is computed on first use.
package final class EntryNode {
  /// Its feed and block.
  package let place: FeedSequence
  /// The key. It has no leading slash if this implementation or the reference wrote it.
  package let key: [UInt8]
  /// The value. Nil if none was stored (deletes, authorizations, a codec's nulls), and if it is kept apart.
  package let value: [UInt8]?
  /// The byte count of a value that is too large to be kept with the entry; otherwise 0.
  private let apartCount: UInt32
  /// True if the entry deletes its key.
  package let isDeleted: Bool
  /// By feed: how many of its blocks, header included, the writer knew. 0 for feeds past the end.
  package let clock: [UInt64]
  package let trie: Trie
  /// The block of the same feed whose list this entry is read by.
  package let inflate: Int

  @exclusivity(unchecked) private var knownPath: HashPath?

  /// The largest value, in bytes, that is kept with its entry. The cache, heads and walks hold entries:
  /// if they held values of any size, a writer could make them take any amount of memory.
  package static let keptValue = 65_536

  init(
    place: FeedSequence, key: [UInt8], value: [UInt8]?, apartCount: Int = 0, isDeleted: Bool,
    clock: [UInt64], trie: Trie, inflate: Int, path: HashPath? = nil
  ) {
    self.place = place
    self.key = key
    self.value = value
    self.apartCount = UInt32(clamping: apartCount)
    self.isDeleted = isDeleted
    self.clock = clock
    self.trie = trie
    self.inflate = inflate
    knownPath = path
  }

  /// True if its value is not kept with it. `DatabaseCore.value(of:)` reads it then.
  package var isValueApart: Bool { apartCount > 0 }
  /// The byte count of its value; 0 if there is none.
  var valueCount: Int { value?.count ?? Int(apartCount) }

  package var feed: Int { place.feed }
  package var seq: Int { place.seq }

  /// The entry to keep: this one, or a copy without its large value.
  var kept: EntryNode {
    guard let value, value.count > Self.keptValue else { return self }
    return EntryNode(
      place: place, key: key, value: nil, apartCount: value.count, isDeleted: isDeleted,
      clock: clock, trie: trie, inflate: inflate, path: knownPath)
  }

  /// The number of blocks of a feed that the writer knew.
  package func clock(of feed: Int) -> UInt64 { feed < clock.count ? clock[feed] : 0 }

  /// Returns whether the writer of this entry knew `other`.
  package func covers(_ other: EntryNode) -> Bool { clock(of: other.feed) > UInt64(other.seq) }

  /// The path of the key, terminator included.
  func path(_ hash: PathHash) -> HashPath {
    if let knownPath { return knownPath }
    let path = hash.path(of: key, terminated: true)
    knownPath = path
    return path
  }

  /// The approximate memory of the entry, in bytes.
  var byteCount: Int {
    // The object, with a path of up to three words, the headers of four arrays, and the allocator's
    // share. The path of a long key has up to a word for each of its bytes.
    352 + (key.count > 256 ? key.count * 9 : key.count) + (value?.count ?? 0) + clock.count * 8
      + trie.byteCount
  }
}

extension EntryNode: CustomStringConvertible {
  package var description: String {
    "\(place) \(isDeleted ? "delete" : "put") \(String(decoding: key, as: UTF8.self))"
  }
}

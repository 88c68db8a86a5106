/// A decoded entry, with feeds numbered as in this open database.
///
/// Immutable but for its path, which is computed when first needed.
package final class EntryNode {
  /// Where it is.
  package let place: FeedSequence
  /// The key, without a leading slash where this implementation or the reference wrote it.
  package let key: [UInt8]
  /// Nil where none was stored: deletes, authorisations, and nulls of a codec; and where it is apart.
  package let value: [UInt8]?
  /// How many bytes a value has that is too large to be kept with the entry; 0 for any other.
  private let apartCount: UInt32
  /// Whether it deletes the key.
  package let isDeleted: Bool
  /// By feed: how many of its blocks, header included, the writer knew. Feeds past the end: 0.
  package let clock: [UInt64]
  package let trie: Trie
  /// The block of the same feed that has the list which this entry is read by.
  package let inflate: Int

  @exclusivity(unchecked) private var knownPath: HashPath?

  /// Values up to this many bytes are kept with their entries. Entries are held by the cache, by heads
  /// and by walks: with values of any size a writer could have them take any memory.
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

  /// Whether its value is not kept with it. `DatabaseCore.value(of:)` reads it.
  package var isValueApart: Bool { apartCount > 0 }
  /// How many bytes its value has; 0 where there is none.
  var valueCount: Int { value?.count ?? Int(apartCount) }

  package var feed: Int { place.feed }
  package var seq: Int { place.seq }

  /// The entry to keep: this one, or one without its large value.
  var kept: EntryNode {
    guard let value, value.count > Self.keptValue else { return self }
    return EntryNode(
      place: place, key: key, value: nil, apartCount: value.count, isDeleted: isDeleted,
      clock: clock, trie: trie, inflate: inflate, path: knownPath)
  }

  /// How many blocks of a feed the writer knew.
  package func clock(of feed: Int) -> UInt64 { feed < clock.count ? clock[feed] : 0 }

  /// Whether the writer of this entry knew `other`.
  package func covers(_ other: EntryNode) -> Bool { clock(of: other.feed) > UInt64(other.seq) }

  /// The path of the key, terminator included.
  func path(_ hash: PathHash) -> HashPath {
    if let knownPath { return knownPath }
    let path = hash.path(of: key, terminated: true)
    knownPath = path
    return path
  }

  /// About how much memory it takes.
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

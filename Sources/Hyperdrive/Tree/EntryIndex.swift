internal import DatCoding

/// The index of an entry: for every depth of its path, the newest entry of each branch there.
///
/// It is kept as the stored bytes. A look-up reads one list of each entry that it visits.
///
/// Source: append-tree `index.js`. Fixture: `archives/manifest.json`, `entries[].index`.
package struct EntryIndex: Hashable {
  /// A varint of flags, then for each list a count and the seqs, each except the first as the difference to
  /// the previous one.
  package let bytes: [UInt8]
  /// The number of lists.
  package let count: Int
  private let owner: UInt64
  /// True if every list ends with the entry's own seq, which is then left out of each.
  private let omitsOwner: Bool
  private let start: Int

  /// Reads the index of entry `owner`. Nil if it is damaged: cut short, not ascending, or naming an
  /// entry that is not before its owner.
  package init?(_ bytes: [UInt8], of owner: UInt64) {
    self.bytes = bytes
    self.owner = owner
    guard !bytes.isEmpty else {
      (count, omitsOwner, start) = (0, false, 0)
      return
    }
    var reader = Reader(bytes)
    guard let flags = reader.next() else { return nil }
    omitsOwner = flags & 1 == 1
    start = reader.position
    var count = 0
    while reader.hasMore {
      guard let length = reader.next(), length <= UInt64(reader.rest) else { return nil }
      var seq: UInt64 = 0
      for _ in 0..<length {
        // Seq 0 is the header: the first difference is at least 1, as all others are.
        guard let step = reader.next(), step > 0, step <= owner - seq else { return nil }
        seq += step
      }
      if omitsOwner, seq == owner { return nil }
      count += 1
    }
    self.count = count
  }

  /// Returns the list for a depth, ascending; nil past the last.
  package func list(_ depth: Int) -> [UInt64]? {
    guard depth >= 0, depth < count else { return nil }
    var reader = Reader(bytes)
    reader.position = start
    for _ in 0..<depth {
      for _ in 0..<(reader.next() ?? 0) { reader.skip() }
    }
    let length = Int(reader.next() ?? 0)
    var seqs: [UInt64] = []
    seqs.reserveCapacity(length + 1)
    var seq: UInt64 = 0
    for _ in 0..<length {
      seq += reader.next() ?? 0
      seqs.append(seq)
    }
    if omitsOwner { seqs.append(owner) }
    return seqs
  }

  /// The list for a depth without the entry itself; empty past the last.
  func others(_ depth: Int) -> [UInt64] {
    guard var list = list(depth) else { return [] }
    if list.last == owner { list.removeLast() }
    return list
  }

  /// All lists.
  package var lists: [[UInt64]] { (0..<count).compactMap(list) }

  /// Returns the bytes of an index.
  ///
  /// - Parameter omitsOwner: true if every list ends with the entry's own seq, which is then not in `lists`.
  package static func encode(
    _ lists: [[UInt64]], omittingOwner omitsOwner: Bool
  ) -> [UInt8] {
    var bytes: [UInt8] = [omitsOwner ? 1 : 0]
    for list in lists {
      Varint.write(UInt64(list.count), to: &bytes)
      var last: UInt64 = 0
      for seq in list {
        Varint.write(seq &- last, to: &bytes)
        last = seq
      }
    }
    return bytes
  }

  private struct Reader {
    let bytes: [UInt8]
    var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var hasMore: Bool { position < bytes.count }
    var rest: Int { bytes.count - position }

    mutating func next() -> UInt64? {
      var value: UInt64 = 0
      var shift: UInt64 = 0
      while position < bytes.count, shift < 63 {
        let byte = bytes[position]
        position += 1
        value |= UInt64(byte & 0x7f) << shift
        if byte < 0x80 { return value }
        shift += 7
      }
      return nil
    }

    mutating func skip() {
      while position < bytes.count {
        position += 1
        if bytes[position - 1] < 0x80 { return }
      }
    }
  }
}

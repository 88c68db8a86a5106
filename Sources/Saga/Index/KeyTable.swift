internal import HypercoreCrypto

/// The key of an entry in sixteen bytes: the number of its beginning, which it shares with other keys, and
/// its end.
///
/// Ids are counted: `messages/4GpwE4fbSi2EcUiuKr2LRw/0`, `…/1` and so on, so a writer's keys have few
/// beginnings.
struct CompactKey: Hashable {
  /// The first eight bytes of the end, the first one highest, padded with zeros …
  var high: UInt64
  /// … and three more, with the number of bytes lowest. So ends compare as these numbers do.
  var low: UInt32
  /// The number of the beginning in the ``KeyTable``.
  var beginning: UInt32

  /// The most bytes of an end.
  static let endBytes = 11

  /// The number of bytes of the end.
  var endCount: Int { min(Int(low & 0xff), Self.endBytes) }

  /// A byte of the end.
  func endByte(_ index: Int) -> UInt8 {
    index < 8
      ? UInt8(truncatingIfNeeded: high >> (56 - 8 * UInt64(index)))
      : UInt8(truncatingIfNeeded: low >> (24 - 8 * UInt32(index - 8)))
  }

  var end: [UInt8] { (0..<endCount).map(endByte) }
}

/// The keys of a room's messages, compactly.
///
/// A beginning of more than 64 bytes, which no correct writer makes, is kept as its first 64 and a hash. Such
/// keys are ordered by these, and read from their entries when they are shown.
struct KeyTable {
  /// The most bytes of a beginning that is kept whole.
  private static let wholeBytes = 64
  private static let hashBytes = 16

  private var bytes: [UInt8] = []
  /// For each beginning, its end in ``bytes``.
  private var ends: [UInt32] = []
  private var table = NumberTable()
  /// The beginning that was found or added last: keys come in runs of one.
  private var last: UInt32?

  /// The number of beginnings.
  var count: Int { ends.count }

  /// Returns the compact form of a key; nil if its beginning is not known.
  func find(_ key: [UInt8]) -> CompactKey? {
    let (beginning, end) = Self.parts(of: key)
    return beginning.withUnsafeBytes { bytes in
      number(bytes, Self.hash(bytes)).map { Self.compact($0, end) }
    }
  }

  /// Returns the compact form of a key, which is added if it is new; nil if the table is full.
  mutating func insert(_ key: [UInt8]) -> CompactKey? {
    let cut = Self.cut(key)
    if let last, cut <= Self.wholeBytes, isBeginning(last, of: key, cut) {
      return Self.compact(last, key[cut...])
    }
    let (beginning, end) = Self.parts(of: key)
    let hash = beginning.withUnsafeBytes { Self.hash($0) }
    let known = beginning.withUnsafeBytes { self.number($0, hash) }
    guard let number = known ?? add(beginning, hash) else { return nil }
    last = number
    return Self.compact(number, end)
  }

  /// Returns whether the first `cut` bytes of a key are a beginning.
  private func isBeginning(_ number: UInt32, of key: [UInt8], _ cut: Int) -> Bool {
    let range = range(number)
    guard range.count == cut else { return false }
    return key.withUnsafeBytes { key in
      bytes.withUnsafeBytes { bytes in
        Self.areEqual(
          UnsafeRawBufferPointer(rebasing: bytes[range]),
          UnsafeRawBufferPointer(rebasing: key[..<cut]))
      }
    }
  }

  private mutating func add(_ beginning: [UInt8], _ hash: Int) -> UInt32? {
    guard let end = UInt32(exactly: bytes.count + beginning.count), ends.count < Int(UInt32.max)
    else { return nil }
    bytes += beginning
    ends.append(end)
    let number = UInt32(ends.count - 1)
    let (bytes, ends) = (self.bytes, self.ends)
    table.insert(number, hash: hash) { Self.hash(at: $0, bytes, ends) }
    return number
  }

  /// Returns the whole key; nil if it is too long to be kept whole.
  func key(_ compact: CompactKey) -> [UInt8]? {
    let range = range(compact.beginning)
    guard range.count <= Self.wholeBytes else { return nil }
    return [UInt8](unsafeUninitializedCapacity: range.count + compact.endCount) { key, count in
      count = range.count + compact.endCount
      for index in 0..<range.count { key[index] = bytes[range.lowerBound + index] }
      for index in 0..<compact.endCount { key[range.count + index] = compact.endByte(index) }
    }
  }

  /// Returns whether one key comes before another; nil if they are the same.
  func precedes(_ one: CompactKey, _ other: CompactKey) -> Bool? {
    if one.beginning == other.beginning {
      if one.high != other.high { return one.high < other.high }
      return one.low == other.low ? nil : one.low < other.low
    }
    let left = bytes[range(one.beginning)] + one.end
    let right = bytes[range(other.beginning)] + other.end
    if left == right { return one.beginning < other.beginning }
    return left.lexicographicallyPrecedes(right)
  }

  /// Returns a number below 0 if a key comes before another, 0 if it is the same, above 0 if it comes after.
  func compare(_ one: CompactKey, _ key: [UInt8]) -> Int {
    let (beginning, end) = Self.parts(of: key)
    let left = bytes[range(one.beginning)] + one.end
    let right = beginning + end
    return left.elementsEqual(right) ? 0 : left.lexicographicallyPrecedes(right) ? -1 : 1
  }

  /// Returns a beginning as it is kept, for the index file.
  func beginning(_ number: Int) -> ArraySlice<UInt8> { bytes[range(UInt32(number))] }

  /// Adds a beginning from the index file; returns false if it can't be one.
  mutating func restore(_ beginning: [UInt8]) -> Bool {
    let hash = beginning.withUnsafeBytes { Self.hash($0) }
    guard beginning.count <= Self.wholeBytes + Self.hashBytes,
      beginning.withUnsafeBytes({ number($0, hash) }) == nil
    else { return false }
    return add(beginning, hash) != nil
  }

  private func range(_ number: UInt32) -> Range<Int> {
    let index = Int(number)
    return (index == 0 ? 0 : Int(ends[index - 1]))..<Int(ends[index])
  }

  private func number(_ beginning: UnsafeRawBufferPointer, _ hash: Int) -> UInt32? {
    bytes.withUnsafeBytes { bytes in
      table.find(hash) { number in
        let known = UnsafeRawBufferPointer(rebasing: bytes[range(number)])
        return Self.areEqual(known, beginning) ? number : nil
      }
    }
  }

  /// Swift's own hash is keyed at random for each process, so nobody outside can make keys collide.
  private static func hash(_ bytes: UnsafeRawBufferPointer) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: bytes)
    return hasher.finalize()
  }

  private static func areEqual(
    _ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer
  ) -> Bool {
    guard one.count == other.count else { return false }
    for index in 0..<one.count where one[index] != other[index] { return false }
    return true
  }

  private static func hash(at number: UInt32, _ bytes: [UInt8], _ ends: [UInt32]) -> Int {
    let index = Int(number)
    let start = index == 0 ? 0 : Int(ends[index - 1])
    return bytes.withUnsafeBytes {
      hash(UnsafeRawBufferPointer(rebasing: $0[start..<Int(ends[index])]))
    }
  }

  /// Returns the offset of a key's end: behind its last slash, or that of its last eleven bytes if that is
  /// later.
  private static func cut(_ key: [UInt8]) -> Int {
    let cut = max(0, key.count - CompactKey.endBytes)
    let slash = key[cut...].lastIndex(of: UInt8(ascii: "/"))
    return slash.map { $0 + 1 } ?? cut
  }

  /// Cuts a key at its end.
  private static func parts(of key: [UInt8]) -> (beginning: [UInt8], end: ArraySlice<UInt8>) {
    let cut = cut(key)
    guard cut > wholeBytes else { return (Array(key[..<cut]), key[cut...]) }
    let hash = TreeHash.leaf(Array(key[wholeBytes..<cut]))
    return (Array(key[..<wholeBytes]) + hash.bytes.prefix(hashBytes), key[cut...])
  }

  private static func compact(_ beginning: UInt32, _ end: ArraySlice<UInt8>) -> CompactKey {
    var key = CompactKey(high: 0, low: UInt32(end.count), beginning: beginning)
    for (index, byte) in end.enumerated() {
      if index < 8 {
        key.high |= UInt64(byte) << (56 - 8 * UInt64(index))
      } else {
        key.low |= UInt32(byte) << (24 - 8 * UInt32(index - 8))
      }
    }
    return key
  }
}

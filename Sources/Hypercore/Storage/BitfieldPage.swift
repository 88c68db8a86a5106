/// One page of the `bitfield` file in memory: 8,192 data bits, 16,384 tree bits, the index bytes.
///
/// Bits are kept in 64-bit words with the lowest bit of the file at the top, so that a scan is a
/// count of leading zeros.
final class BitfieldPage {
  static let dataBits: UInt64 = 8192
  static let treeBits: UInt64 = 16384
  static let dataWords = 128
  static let treeWords = 256
  /// The offset of the index bytes in a page of the file.
  static let indexOffset = 8 * (dataWords + treeWords)

  let number: Int
  /// The number of data bits that are set.
  @exclusivity(unchecked) var dataCount = 0
  @exclusivity(unchecked) var isDirty = false

  /// ``dataWords`` data words, then ``treeWords`` tree words. Accesses stay in bounds because every caller
  /// masks the word's number.
  let data: UnsafeMutablePointer<UInt64>
  let tree: UnsafeMutablePointer<UInt64>
  let index: UnsafeMutableBufferPointer<UInt8>
  /// Bits that are set in the file and don't count, in words as in ``data``: see ``Bitfield/setAside(_:)``.
  /// Nil if there are none, as is nearly always the case.
  @exclusivity(unchecked) var aside: [UInt64]?

  init(number: Int, indexSize: Int) {
    self.number = number
    data = .allocate(capacity: Self.dataWords + Self.treeWords)
    data.initialize(repeating: 0, count: Self.dataWords + Self.treeWords)
    tree = data + Self.dataWords
    index = .allocate(capacity: indexSize)
    index.initialize(repeating: 0)
  }

  deinit {
    data.deallocate()
    index.deallocate()
  }

  /// Loads a page from its bytes in the file.
  func load(_ bytes: UnsafeRawBufferPointer) {
    for word in 0..<(Self.dataWords + Self.treeWords) {
      data[word] = UInt64(
        bigEndian: bytes.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self))
    }
    for byte in index.indices { index[byte] = bytes[Self.indexOffset + byte] }
    dataCount = 0
    for word in 0..<Self.dataWords { dataCount += data[word].nonzeroBitCount }
  }

  /// Stores the page in the form that it has in the file.
  func store(to bytes: UnsafeMutableRawBufferPointer) {
    for word in 0..<(Self.dataWords + Self.treeWords) {
      bytes.storeBytes(of: data[word].bigEndian, toByteOffset: word * 8, as: UInt64.self)
    }
    if aside != nil {
      for word in 0..<(Self.dataWords + Self.treeWords) {
        bytes.storeBytes(of: storedWord(word).bigEndian, toByteOffset: word * 8, as: UInt64.self)
      }
    }
    UnsafeMutableRawBufferPointer(rebasing: bytes[Self.indexOffset...])
      .copyMemory(from: UnsafeRawBufferPointer(index))
  }

  /// A data word as it is in the file.
  @inline(__always)
  func storedWord(_ word: Int) -> UInt64 {
    guard let aside else { return data[word] }
    return data[word] | aside[word]
  }

  /// Clears bits of a word in ``aside``. Out of line, as hardly any page has them: callers check ``aside`` first.
  @inline(never)
  func clearAside(_ mask: UInt64, _ word: Int) { aside?[word] &= ~mask }

  /// The mask of a bit in its word.
  @inline(__always)
  static func mask(_ bit: UInt64) -> UInt64 { 1 << (63 - (bit & 63)) }

  /// The bits of a word from bit `start` up to but not including `end`, 0...64 each.
  @inline(__always)
  static func mask(from start: UInt64, to end: UInt64) -> UInt64 {
    (UInt64.max >> start) & ~(UInt64.max >> end)
  }
}

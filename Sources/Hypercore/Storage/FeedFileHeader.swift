/// The 32 bytes at the start of `tree`, `signatures` and `bitfield`.
///
/// Magic `05 02 57`, the file's type, version 0, the size of an entry as 2 bytes big-endian, the
/// length of the algorithm's name and the name, padded with zeros.
/// Source: hypercore v6.26.0 `lib/storage.js`, `header`. Fixture: `feeds/one/tree`.
struct FeedFileHeader: Equatable {
  static let byteCount = 32

  enum Kind: UInt8 {
    case bitfield = 0
    case signatures = 1
    case tree = 2
  }

  let kind: Kind
  let entrySize: Int

  static let signatures = FeedFileHeader(kind: .signatures, entrySize: 64)
  static let tree = FeedFileHeader(kind: .tree, entrySize: 40)
  static func bitfield(pageSize: Int) -> FeedFileHeader {
    FeedFileHeader(kind: .bitfield, entrySize: pageSize)
  }

  var bytes: [UInt8] {
    let name: String =
      switch kind {
      case .bitfield: ""
      case .signatures: "Ed25519"
      case .tree: "BLAKE2b"
      }
    var bytes: [UInt8] = [5, 2, 0x57, kind.rawValue, 0]
    bytes += [UInt8(truncatingIfNeeded: entrySize >> 8), UInt8(truncatingIfNeeded: entrySize)]
    bytes.append(UInt8(name.utf8.count))
    bytes += name.utf8
    bytes += repeatElement(0, count: Self.byteCount - bytes.count)
    return bytes
  }

  /// The result of reading the start of a file.
  enum Reading: Equatable {
    /// No file yet, or one that a crash left with an incomplete header or one of zeros.
    case blank
    case header(FeedFileHeader)
    /// A file of something else.
    case foreign
  }

  /// Reads the first 32 bytes of a file.
  ///
  /// The reference leaves a page size of 0 in the bitfield after it has overwritten a feed; the
  /// pages then have the newer size.
  static func read(_ bytes: [UInt8], kind: Kind) -> Reading {
    if bytes.allSatisfy({ $0 == 0 }) { return .blank }
    let candidates: [FeedFileHeader] =
      switch kind {
      case .bitfield:
        [3584, 3328, 0].map { .bitfield(pageSize: $0) }
      case .signatures: [.signatures]
      case .tree: [.tree]
      }
    // The content of the padding has no meaning.
    let significant = kind == .bitfield ? 7 : 15
    for candidate in candidates {
      let expected = candidate.bytes
      if bytes.count < byteCount {
        if Array(expected.prefix(bytes.count)) == bytes { return .blank }
      } else if expected.prefix(significant) == bytes.prefix(significant) {
        return candidate.entrySize == 0
          ? .header(.bitfield(pageSize: Bitfield.standardPageSize)) : .header(candidate)
      }
    }
    return .foreign
  }
}

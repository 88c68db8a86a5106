internal import HypercoreCrypto
internal import RandomAccessStorage

/// Verified blocks and nodes that are waiting to be written together.
struct PutBatch {
  /// The most bytes that may wait before they are written, with or without the owner's commit: 4 MiB.
  static let limit = 4 << 20
  /// The size up to which consecutive small blocks are gathered.
  static let pieceBytes = 64 << 10
  private static let smallBlock = 4096

  var isOpen = false
  var data: [StorageWrite] = []
  var dataSize = 0
  /// The number of blocks in `data`.
  var blockCount = 0
  var signatures: [(slot: UInt64, signature: Signature)] = []
  /// True if nodes or bits have changed.
  var hasNodes = false
  /// The blocks of which observers are notified at the end.
  var stored: [Range<UInt64>] = []
  var newLength: UInt64?

  /// The feed's extent before the first pending write.
  var before: FeedExtent?

  /// Adds a block's bytes.
  mutating func add(_ value: [UInt8], at offset: UInt64) {
    dataSize += value.count
    if value.count < Self.smallBlock, let last = data.indices.last,
      data[last].offset + UInt64(data[last].bytes.count) == offset,
      data[last].bytes.count < Self.pieceBytes
    {
      data[last].bytes.append(contentsOf: value)
    } else {
      data.append(StorageWrite(offset: offset, bytes: value))
    }
  }

  /// True if all blocks and signatures can be read from the files.
  var isWritten: Bool { data.isEmpty && signatures.isEmpty }
}

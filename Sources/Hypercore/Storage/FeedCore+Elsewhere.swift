public import HypercoreCrypto
internal import RandomAccessStorage

// A feed whose blocks are kept in a storage of the caller, such as an archive's content in the user's files.
// Those may be edited or removed at any time, so the bits say what was stored once, and each block is
// verified when it is read.

/// The tree's record of a block: enough to append a block whose bytes are kept elsewhere.
public struct BlockLeaf: Hashable, Sendable {
  /// The hash of the block.
  public let hash: Digest
  /// The size of the block in bytes.
  public let size: UInt64

  /// Creates the leaf of a block with these bytes. Leaves are cheap to pass on, so any thread can hash the
  /// blocks.
  public init(_ block: [UInt8]) {
    hash = TreeHash.leaf(block)
    size = UInt64(block.count)
  }

  init(hash: Digest, size: UInt64) {
    self.hash = hash
    self.size = size
  }

  /// Returns the leaves of several blocks, hashed on all processors if there is enough to hash.
  public static func leaves(of blocks: [[UInt8]]) -> [BlockLeaf] {
    zip(blocks, TreeHash.leaves(blocks)).map { BlockLeaf(hash: $1, size: UInt64($0.count)) }
  }
}

extension FeedCore {
  /// Treats stored blocks of a range as not stored while the feed is open. The record of them stays as it is.
  package func setAside(_ range: Range<UInt64>) {
    for run in bits.setAside(range) { onChange?(.setAside(run)) }
  }

  /// Treats blocks of a range that were set aside as stored again, such as those of a file that was restored.
  /// For a feed whose blocks are kept elsewhere, where each is compared with its hash when it is read.
  package func countAgain(_ range: Range<UInt64>) {
    guard files.dataIsElsewhere else { return }
    bits.countAgain(range)
  }

  /// The blocks that are recorded as stored but were found missing or changed, in runs.
  package var blocksAside: [Range<UInt64>] {
    bits.hasAside ? bits.asideBlocks(in: 0..<bits.dataLimit) : []
  }

  /// Reads consecutive blocks and keeps those before the first that doesn't match its hash. If the very first
  /// doesn't match, it is set aside.
  func runElsewhere(
    from index: UInt64, at offset: UInt64, ends: [Int]
  ) throws(FeedError) -> BlockRun? {
    guard let total = ends.last else { return nil }
    // A leaf may claim any size, so no memory is allocated for bytes that are not there.
    if UInt64(total) > FeedLimits.trustedBlockSize {
      let length = try files.data.length()
      guard length >= offset, length - offset >= UInt64(total) else {
        setAside(index..<index + 1)
        return nil
      }
    }
    let bytes = try files.data.read(at: offset, count: total)
    var good = 0
    var start = 0
    while good < ends.count, ends[good] <= bytes.count {
      let leaf = try node(at: 2 * (index + UInt64(good)))
      let hash = bytes.withUnsafeBytes {
        TreeHash.leaf(UnsafeRawBufferPointer(rebasing: $0[start..<ends[good]]))
      }
      guard hash == leaf.hash else { break }
      start = ends[good]
      good += 1
    }
    guard good > 0 else {
      setAside(index..<index + 1)
      return nil
    }
    if good == ends.count, bytes.count == total {
      return BlockRun(first: index, bytes: bytes, ends: ends)
    }
    return BlockRun(first: index, bytes: Array(bytes[..<start]), ends: Array(ends[..<good]))
  }

  /// Returns the blocks of a range that counts as stored; nil if one turns out to be missing or changed.
  func blocksElsewhere(in range: Range<UInt64>) throws(FeedError) -> [[UInt8]]? {
    var blocks: [[UInt8]] = []
    while blocks.count < range.count {
      let next = range.lowerBound + UInt64(blocks.count)
      guard
        let run = try run(
          from: next, count: range.count - blocks.count, bytes: Int(FeedLimits.trustedBlockSize))
      else { return nil }
      for place in run.ends.indices {
        blocks.append(run.withBlock(next + UInt64(place)) { Array($0) })
      }
    }
    return blocks
  }
}

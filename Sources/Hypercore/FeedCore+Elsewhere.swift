public import HypercoreCrypto
internal import RandomAccessStorage

// A feed whose blocks are kept in a storage of the caller's, such as an archive's content in its user's files.
// Those may be edited or removed at any time, so the bits say what was stored once, and each block proves
// itself when it is read.

/// What the tree has of a block: enough to append it where its bytes are kept elsewhere.
public struct BlockLeaf: Hashable, Sendable {
  /// The hash of the block.
  public let hash: Digest
  /// How many bytes it has.
  public let size: UInt64

  /// The leaf of a block with these bytes. Cheap to pass on, so blocks can be hashed on any thread.
  public init(_ block: [UInt8]) {
    hash = TreeHash.leaf(block)
    size = UInt64(block.count)
  }

  init(hash: Digest, size: UInt64) {
    self.hash = hash
    self.size = size
  }

  /// The leaves of several blocks, hashed on all processors where there is enough to hash.
  public static func leaves(of blocks: [[UInt8]]) -> [BlockLeaf] {
    zip(blocks, TreeHash.leaves(blocks)).map { BlockLeaf(hash: $1, size: UInt64($0.count)) }
  }
}

extension FeedCore {
  /// Has stored blocks of a range count as not stored for as long as the feed is open. The record of them stays
  /// as it is.
  package func setAside(_ range: Range<UInt64>) {
    for run in bits.setAside(range) { onChange?(.setAside(run)) }
  }

  /// Has blocks of a range that were set aside count as stored again, such as those of a file that was put back.
  /// For a feed whose blocks are kept elsewhere, where each is compared with its hash when it is read.
  package func countAgain(_ range: Range<UInt64>) {
    guard files.dataIsElsewhere else { return }
    bits.countAgain(range)
  }

  /// The blocks that are recorded as stored and are not there, or not what was verified, as far as that was
  /// noticed; in runs.
  package var blocksAside: [Range<UInt64>] {
    bits.hasAside ? bits.asideBlocks(in: 0..<bits.dataLimit) : []
  }

  /// Reads blocks in a row and keeps those up to the first that is not what was verified. That one, if it is the
  /// first of all, is set aside.
  func runElsewhere(
    from index: UInt64, at offset: UInt64, ends: [Int]
  ) throws(FeedError) -> BlockRun? {
    guard let total = ends.last else { return nil }
    // A leaf may claim any size: what is not there is not made room for.
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

  /// The blocks of a range that counts as stored; nil where one turns out not to be there.
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

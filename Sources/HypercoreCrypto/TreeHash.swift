internal import CSodium
internal import Dispatch

/// One node of a feed's Merkle tree.
@frozen
public struct Node: Hashable, Sendable {
  /// Flat-tree index: even for a leaf (block *b* is leaf *2b*), odd for a parent.
  public var index: UInt64
  /// The hash of the block, or of the two children.
  public var hash: Digest
  /// The total size in bytes of the blocks under this node.
  public var size: UInt64

  /// Creates a node from its parts, unchecked.
  @inlinable
  public init(index: UInt64, hash: Digest, size: UInt64) {
    self.index = index
    self.hash = hash
    self.size = size
  }
}

/// The three hashes of a feed: BLAKE2b-256 over a type byte and the content.
///
/// Source: hypercore-crypto 1.0.0 `data`, `parent` and `tree`. Fixture: `vectors/crypto.json`.
public enum TreeHash {
  private static let leafType: UInt8 = 0
  private static let parentType: UInt8 = 1
  private static let rootType: UInt8 = 2

  /// The greatest size of blocks that are copied after their header and hashed in one call.
  private static let oneCallLimit = 2048

  /// The hash of a block: type 0, its length as 8 bytes big-endian, its bytes.
  public static func leaf(_ block: UnsafeRawBufferPointer) -> Digest {
    _ = Sodium.ready
    if block.count <= oneCallLimit {
      return withUnsafeTemporaryAllocation(byteCount: 9 + block.count, alignment: 8) { scratch in
        scratch[0] = leafType
        scratch.storeBytes(of: UInt64(block.count).bigEndian, toByteOffset: 1, as: UInt64.self)
        UnsafeMutableRawBufferPointer(rebasing: scratch[9...]).copyMemory(from: block)
        return hash(UnsafeRawBufferPointer(scratch))
      }
    }
    return withUnsafeTemporaryAllocation(
      byteCount: crypto_generichash_statebytes(), alignment: 64
    ) { scratch in
      let state = OpaquePointer(scratch.baseAddress!)
      crypto_generichash_init(state, nil, 0, Digest.byteCount)
      withUnsafeTemporaryAllocation(byteCount: 9, alignment: 8) { header in
        header[0] = leafType
        header.storeBytes(of: UInt64(block.count).bigEndian, toByteOffset: 1, as: UInt64.self)
        crypto_generichash_update(
          state, header.octets, 9)
      }
      crypto_generichash_update(
        state, block.octets, UInt64(block.count))
      var digest = Digest()
      digest.withUnsafeMutableBytes {
        _ = crypto_generichash_final(
          state, $0.octets, Digest.byteCount)
      }
      return digest
    }
  }

  /// The hash of a block: type 0, its length as 8 bytes big-endian, its bytes.
  public static func leaf(_ block: [UInt8]) -> Digest {
    block.withUnsafeBytes { leaf($0) }
  }

  /// The number of bytes for which it is worth waking another thread.
  private static let sharedBytes = 256 * 1024

  /// The hashes of several blocks, in order: several at once where the processor can, and on all processors if there
  /// is enough to hash.
  public static func leaves(_ blocks: [[UInt8]]) -> [Digest] {
    guard blocks.count > 1 else { return blocks.map { leaf($0) } }
    let bytes = blocks.reduce(0) { $0 + $1.count }
    // A part fills the lanes if there are blocks for two such parts.
    let most =
      LaneHash.lanes > 0 && blocks.count >= 2 * LaneHash.lanes
      ? blocks.count / LaneHash.lanes : blocks.count
    let parts = bytes < sharedBytes ? 1 : min(most, bytes / (sharedBytes / 8))
    return [Digest](unsafeUninitializedCapacity: blocks.count) { digests, count in
      digests.initialize(repeating: Digest())
      count = blocks.count
      if parts == 1 { return LaneHash.leaves(blocks[...], to: digests) }
      // Each part writes digests of its own.
      nonisolated(unsafe) let digests = digests
      DispatchQueue.concurrentPerform(iterations: parts) { part in
        let range = blocks.count * part / parts..<blocks.count * (part + 1) / parts
        LaneHash.leaves(blocks[range], to: .init(rebasing: digests[range]))
      }
    }
  }

  /// The parents of pairs of siblings: of the first two nodes, the next two, and so on.
  ///
  /// The caller has checked that the sizes of each pair add up without overflow.
  package static func parents(_ children: ArraySlice<Node>) -> [Node] {
    LaneHash.parents(of: children)
  }

  /// The hash of a parent: type 1, the sum of both sizes, the left hash, the right hash.
  ///
  /// The caller has checked that the two sizes add up without overflow.
  public static func parent(_ left: Node, _ right: Node) -> Digest {
    _ = Sodium.ready
    return withUnsafeTemporaryAllocation(byteCount: 9 + 64, alignment: 8) { scratch in
      scratch[0] = parentType
      scratch.storeBytes(
        of: (left.size &+ right.size).bigEndian, toByteOffset: 1, as: UInt64.self)
      left.hash.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(rebasing: scratch[9..<41]).copyMemory(from: $0)
      }
      right.hash.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(rebasing: scratch[41..<73]).copyMemory(from: $0)
      }
      return hash(UnsafeRawBufferPointer(scratch))
    }
  }

  /// The hash of a length: type 2, then for each root its hash, index and size.
  ///
  /// - Parameter roots: the full roots of the length, in ascending order of index.
  public static func tree(_ roots: [Node]) -> Digest {
    _ = Sodium.ready
    return withUnsafeTemporaryAllocation(byteCount: 1 + 48 * roots.count, alignment: 8) { scratch in
      scratch[0] = rootType
      var offset = 1
      for root in roots {
        root.hash.withUnsafeBytes {
          UnsafeMutableRawBufferPointer(rebasing: scratch[offset..<offset + 32])
            .copyMemory(from: $0)
        }
        scratch.storeBytes(of: root.index.bigEndian, toByteOffset: offset + 32, as: UInt64.self)
        scratch.storeBytes(of: root.size.bigEndian, toByteOffset: offset + 40, as: UInt64.self)
        offset += 48
      }
      return hash(UnsafeRawBufferPointer(scratch))
    }
  }

  /// BLAKE2b-256.
  static func hash(_ message: UnsafeRawBufferPointer) -> Digest {
    var digest = Digest()
    digest.withUnsafeMutableBytes { output in
      _ = crypto_generichash(
        output.octets, output.count,
        message.octets, UInt64(message.count), nil, 0)
    }
    return digest
  }
}

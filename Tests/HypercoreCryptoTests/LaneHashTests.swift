import DatTesting
import Testing

@testable import HypercoreCrypto

@Suite struct LaneHashTests {
  /// The numbers of lanes that work here, 0 among them: then each hash is made alone.
  static let lanes = [0, 4, 8].filter { $0 <= LaneHash.lanes }

  @Test(arguments: lanes)
  func `blocks of any size have the hashes that libsodium gives them`(lanes: Int) {
    var random = SeededRandom(seed: 1)
    for round in 0..<300 {
      let largest = [16, 130, 400, 3000][round % 4]
      let blocks = (0..<Int.random(in: 1...20, using: &random)).map { _ in
        (0..<Int.random(in: 0...largest, using: &random)).map { _ in
          UInt8.random(in: 0...255, using: &random)
        }
      }
      #expect(hashes(blocks, lanes) == blocks.map { TreeHash.leaf($0) })
    }
  }

  @Test(arguments: lanes)
  func `blocks that end at the edges of a chunk have the hashes that libsodium gives them`(
    lanes: Int
  ) {
    let blocks = [0, 1, 118, 119, 120, 246, 247, 248, 375, 376].map { size in
      (0..<size).map { UInt8(truncatingIfNeeded: $0 + size) }
    }
    for first in blocks.indices {
      let some = Array(blocks[first...]) + blocks[..<first]
      #expect(hashes(some, lanes) == some.map { TreeHash.leaf($0) })
      #expect(
        hashes(Array(repeating: blocks[first], count: 8), lanes).allSatisfy {
          $0 == TreeHash.leaf(blocks[first])
        })
    }
  }

  @Test(arguments: lanes)
  func `pairs of nodes have the parents that libsodium gives them`(lanes: Int) {
    var random = SeededRandom(seed: 2)
    for count in 0...40 {
      let nodes = (0..<UInt64(2 * count)).map { place in
        Node(
          index: 6 + 8 * place, hash: TreeHash.leaf([UInt8(place)]),
          size: UInt64.random(in: 0...1 << 52, using: &random))
      }
      let expected = stride(from: 0, to: nodes.count, by: 2).map { place in
        let (left, right) = (nodes[place], nodes[place + 1])
        return Node(
          index: (left.index + right.index) / 2, hash: TreeHash.parent(left, right),
          size: left.size + right.size)
      }
      #expect(LaneHash.parents(of: nodes[...], lanes: lanes) == expected)
    }
  }

  private func hashes(_ blocks: [[UInt8]], _ lanes: Int) -> [Digest] {
    [Digest](unsafeUninitializedCapacity: blocks.count) { digests, count in
      digests.initialize(repeating: Digest())
      LaneHash.leaves(blocks[...], to: digests, lanes: lanes)
      count = blocks.count
    }
  }
}

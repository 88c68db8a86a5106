import DatTesting
import Testing

@testable import Hypercore

@Suite struct FlatTreeTests {
  struct Vectors: Decodable {
    struct Entry: Decodable {
      var index, depth, offset, parent, sibling, leftSpan, rightSpan: UInt64
      var children: [UInt64]?
    }
    struct Roots: Decodable {
      var index: UInt64
      var fullRoots: [UInt64]
    }
    var nodes: [Entry]
    var fullRoots: [Roots]
  }

  @Test func `index arithmetic matches the recorded vectors`() throws {
    let vectors: Vectors = try Fixtures.json("vectors/flat-tree.json")
    for entry in vectors.nodes {
      #expect(FlatTree.depth(entry.index) == entry.depth)
      #expect(FlatTree.offset(entry.index) == entry.offset)
      #expect(FlatTree.index(depth: entry.depth, offset: entry.offset) == entry.index)
      #expect(FlatTree.parent(entry.index) == entry.parent)
      #expect(FlatTree.sibling(entry.index) == entry.sibling)
      #expect(FlatTree.leftSpan(entry.index) == entry.leftSpan)
      #expect(FlatTree.rightSpan(entry.index) == entry.rightSpan)
      let children = entry.children ?? [entry.index, entry.index]
      #expect([FlatTree.leftChild(entry.index), FlatTree.rightChild(entry.index)] == children)
      #expect(FlatTree.isRight(entry.index) == (entry.offset % 2 == 1))
    }
    for entry in vectors.fullRoots {
      #expect(Array(FlatTree.fullRoots(length: entry.index / 2)) == entry.fullRoots)
    }
  }

  @Test func `no index makes it trap`() {
    let indexes: [UInt64] = [0, 1, .max, .max - 1, .max >> 1, 1 << 63, (1 << 63) - 2]
    for index in indexes {
      _ = FlatTree.depth(index)
      _ = FlatTree.offset(index)
      _ = FlatTree.parent(index)
      _ = FlatTree.sibling(index)
      _ = FlatTree.isRight(index)
      _ = FlatTree.leftChild(index)
      _ = FlatTree.rightChild(index)
      _ = FlatTree.leftSpan(index)
      _ = FlatTree.rightSpan(index)
      _ = FlatTree.index(depth: index, offset: index)
      #expect(Array(FlatTree.fullRoots(length: index)).count == index.nonzeroBitCount)
    }
  }
}

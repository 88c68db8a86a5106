import DatCoding
import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

@testable import Hypercore

/// The content of a Have about a long feed.
@Suite struct HaveBitfieldTests {
  private struct Have {
    var start: UInt64
    var length: UInt64
    var bitfield: [UInt8]
  }

  @Test(arguments: testSeeds(standard: 6))
  func `data bits encoded in pieces are those encoded at once`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let bits = Bitfield(file: try FeedFile("bitfield", in: MemoryStorage()))
    let pages: UInt64 = 24
    for _ in 0..<12 {
      let page = UInt64.random(in: 0..<pages, using: &random) << 13
      let start = page + UInt64.random(in: 0..<8192, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: bits.setBlocks(page..<page + 8192, to: true)
      case 1: bits.setBlocks(page + 8192..<page + 2 * 8192, to: false)
      case 2: bits.setBlocks(start..<start + UInt64.random(in: 1...9000, using: &random), to: true)
      default: bits.setBlock(random.chance(0.5) ? page : start)
      }
      let from = UInt64.random(in: 0..<pages, using: &random) << 13
      let end = from + UInt64.random(in: 1...30 * 8192, using: &random)
      let whole = bits.encodedData(from: from, below: end, pages: .max)
      #expect(whole.end == end)
      #expect(
        whole.bytes == BitfieldRLE.encode(bits.dataBytes(from: from, length: end - from)),
        "seed \(seed)")
      let limit = Int.random(in: 1...4, using: &random)
      var next = from
      while next < end {
        let piece = bits.encodedData(from: next, below: end, pages: limit)
        try #require(piece.end > next && piece.end <= end)
        #expect(piece.end == end || piece.end.isMultiple(of: 8192))
        #expect(
          piece.bytes == BitfieldRLE.encode(bits.dataBytes(from: next, length: piece.end - next)),
          "seed \(seed)")
        next = piece.end
      }
    }
  }

  /// A peer of a feed of 2^32 blocks of which only the last is stored.
  private func longFeed() throws -> HostilePeer {
    let peer = try HostilePeer()
    let last = LongFeedTests.lastBlock(signedBy: peer.pair)
    try peer.victim.put(
      last.index, value: last.value, nodes: last.nodes, signature: last.signature)
    #expect(peer.victim.length == FeedLimits.maximumLength && peer.victim.downloaded() == 1)
    return peer
  }

  private func haves(_ peer: HostilePeer) -> [Have] {
    var haves: [Have] = []
    for case .have(let start, let length, let bitfield?, _) in peer.heard {
      haves.append(Have(start: start, length: length, bitfield: bitfield))
    }
    return haves
  }

  @Test func `a length of 2^32 with one block is told in a few bytes`() throws {
    let peer = try longFeed()
    try peer.say(.want(start: 0, length: 0), .want(start: 8192, length: 1 << 31))
    try peer.say(.want(start: 0, length: 1 << 32))
    #expect(!peer.isClosed)
    let haves = haves(peer)
    try #require(haves.count == 3)
    #expect(haves.map(\.start) == [0, 8192, 0])
    #expect(haves.map(\.length) == [0, 1 << 31, 1 << 32])
    var encoded: [UInt8] = []
    // All bytes but the last are zero.
    Varint.write(4 * ((1 << 29) - 1) + 1, to: &encoded)
    encoded += [0x02, 0x01]
    #expect(haves[0].bitfield == encoded && haves[1].bitfield.isEmpty)
    #expect(haves[2].bitfield == encoded)
    #expect(try BitfieldRLE.Runs(encoded, limit: 1 << 29).decodedCount == 1 << 29)
  }

  @Test func `more pages with blocks than one Have tells of come in several`() throws {
    let peer = try longFeed()
    for page in 0..<1100 as Range<UInt64> { peer.victim.bits.setBlock(page << 13) }
    try peer.say(.want(start: 0, length: 1 << 24))
    try peer.say(.want(start: 0, length: 8192))
    let haves = haves(peer)
    try #require(haves.count == 3)
    #expect(haves.map(\.start) == [0, 1 << 23, 0])
    #expect(haves.map(\.length) == [1 << 23, 1 << 23, 8192])
    let page: [UInt8] = [0x80] + [UInt8](repeating: 0, count: 1023)
    for (have, count) in zip(haves, [1024, 76, 1]) {
      let bytes = [UInt8](repeatElement(page, count: count).joined())
      #expect(have.bitfield == BitfieldRLE.encode(bytes))
    }
  }
}

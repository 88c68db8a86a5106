import DatTesting
import HypercoreProtocol
import Testing

@testable import Hypercore

/// The requests for a range of blocks, to a peer that tells by and by what it has.
@Suite struct SelectedRangeTests {
  private func requested(_ peer: HostilePeer) -> [UInt64] {
    peer.heard.compactMap { if case .request(let request) = $0 { request.index } else { nil } }
  }

  /// A peer of which blocks 5 and 6 have been requested for a range.
  private func peer() throws -> HostilePeer {
    let peer = try HostilePeer()
    peer.replicator.download(DownloadRange(5..<7))
    try peer.say(.have(start: 9), .have(start: 5, length: 2))
    try peer.replicator.flush()
    try peer.say()
    #expect(requested(peer) == [5, 6])
    return peer
  }

  @Test func `a peer that says later what else it has is asked for nothing below the range`() throws
  {
    let peer = try peer()
    try peer.say(.have(start: 0, length: 10))
    #expect(requested(peer) == [5, 6])
    try peer.say(.data(try peer.answer(5)))
    try peer.say(.have(start: 0, length: 10))
    #expect(requested(peer) == [5, 6])
  }

  @Test func `a block below the range that is cleared is not fetched for it`() throws {
    let peer = try peer()
    try peer.askFor(1)
    try peer.say(.data(try peer.answer(1)))
    try peer.victim.clear(1..<2)
    try peer.replicator.flush()
    try peer.say()
    #expect(requested(peer) == [5, 6, 1])
  }

  @Test func `a block whose request was cancelled is not stored when it comes, but its hash is`()
    throws
  {
    let peer = try peer()
    var stored: [Range<UInt64>] = []
    peer.replicator.onEvent = { if case .stored(let ranges, _) = $0 { stored += ranges } }
    peer.replicator.cancelAll(in: 5..<7)
    // Their proofs may rely on each other.
    try peer.say(.data(try peer.answer(5)), .data(try peer.answer(6)))
    #expect(!peer.isClosed)
    #expect(stored.isEmpty)
    #expect(!peer.victim.has(5) && !peer.victim.has(6))
    #expect(peer.victim.downloaded() == 0)
    #expect(peer.replicator.statistics.downloadedBlocks == 0)
    #expect(peer.replicator.peers.map(\.download.requests.activeCount) == [0])
    // The hash alone is known, so the block alone can follow.
    #expect(peer.victim.digest(5) == 1)
    try peer.askFor(5)
    #expect(requested(peer) == [5, 6, 5])
    try peer.say(.data(DataMessage(index: 5, value: peer.blocks[5], nodes: [])))
    #expect(stored == [5..<6])
  }

  @Test func `a cancelled request whose block is wanted again by then is served by its answer`()
    throws
  {
    let peer = try peer()
    peer.replicator.cancelAll(in: 0..<UInt64.max)
    var got: [UInt8]?
    _ = peer.replicator.get(5) { got = try? $0.get() }
    try peer.replicator.flush()
    // It is on its way, so it isn't requested twice.
    #expect(requested(peer) == [5, 6])
    try peer.say(.data(try peer.answer(5)))
    #expect(got == peer.blocks[5])
    // Another selection covers the other.
    peer.replicator.download(DownloadRange(start: 6))
    try peer.say(.data(try peer.answer(6)))
    #expect(peer.victim.has(6))
  }

  @Test func `a forged answer to a cancelled request is refused as any other`() throws {
    let peer = try peer()
    peer.replicator.cancelAll(in: 5..<7)
    var answer = try peer.answer(5)
    answer.value = Array("forged".utf8)
    try peer.expectOut(.proofRejected, by: .data(answer))
  }

  @Test func `a block of the range that is cleared is fetched again`() throws {
    let peer = try peer()
    try peer.say(.data(try peer.answer(5)))
    try peer.victim.clear(5..<6)
    try peer.say(.have(start: 5))
    #expect(requested(peer) == [5, 6, 5])
  }
}

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

  @Test func `a block of the range that is cleared is fetched again`() throws {
    let peer = try peer()
    try peer.say(.data(try peer.answer(5)))
    try peer.victim.clear(5..<6)
    try peer.say(.have(start: 5))
    #expect(requested(peer) == [5, 6, 5])
  }
}

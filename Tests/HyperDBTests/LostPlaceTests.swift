import DatTesting
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import HyperDB

/// The updates of a database about feeds that lose their place to others.
struct LostPlaceTests {
  private static func key(_ number: UInt8) -> PublicKey {
    PublicKey(bytes: [UInt8](repeating: number, count: 32))!
  }

  private func reader(from start: [PublicKey: UInt64] = [:]) -> UpdateReader {
    UpdateReader(
      Broadcast<UpdateQueue>().subscribe(UpdateQueue()), valueLimit: .max, start: start)
  }

  @Test func `a feed that loses its place is reported, and begins anew if it comes back`() {
    let (one, two, three) = (Self.key(1), Self.key(2), Self.key(3))
    let reader = reader(from: [two: 5])
    reader.follow([one, two], changes: 1)
    #expect(reader.cursors.nextLost() == nil)
    #expect(reader.cursors.nextBlocks == [1, 6])
    reader.cursors.advance(1)
    // Its number is free for a while, and then another's.
    reader.follow([one, PublicKey()], changes: 2)
    #expect(reader.cursors.nextLost() == two)
    #expect(reader.cursors.nextLost() == nil)
    reader.follow([one, three], changes: 3)
    reader.follow([one, three, two], changes: 4)
    #expect(reader.cursors.nextLost() == nil)
    #expect(reader.cursors.nextBlocks == [1, 1, 1])
  }

  @Test func `feeds that change their numbers between two looks begin anew`() {
    let (one, two, three) = (Self.key(1), Self.key(2), Self.key(3))
    let reader = reader()
    reader.follow([one, two, three], changes: 1)
    for number in 0..<3 { reader.cursors.advance(number) }
    for feed in 0..<2 { reader.arrivals.putOff(FeedSequence(feed: feed, seq: 4)) }
    reader.follow([one, three, two], changes: 2)
    #expect(Set([reader.cursors.nextLost(), reader.cursors.nextLost()]) == [two, three])
    #expect(reader.cursors.nextLost() == nil)
    #expect(reader.cursors.nextBlocks == [2, 1, 1])
    #expect(reader.arrivals.deferred == [FeedSequence(feed: 0, seq: 4)])
  }

  @Test func `a feed that lost its place while nobody followed is reported at first`() {
    let (one, two, three) = (Self.key(1), Self.key(2), Self.key(3))
    let reader = reader(from: [one: 3, two: 5])
    reader.follow([one, three], changes: 0)
    #expect(reader.cursors.nextLost() == two)
    #expect(reader.cursors.nextLost() == nil)
    #expect(reader.cursors.nextBlocks == [4, 1])
    reader.follow([one, three, two], changes: 1)
    #expect(reader.cursors.nextLost() == nil)
    #expect(reader.cursors.nextBlocks == [4, 1, 1])
  }

  @Test func `what came of a feed is not taken for the next one's with its number`() throws {
    func feed(_ blocks: Int) throws -> ReplicatedFeed {
      let feed = try FeedSet(MemoryStorage(), HyperDBOptions()).openSource(nil)
      _ = try feed.log.append((0..<blocks).map { [UInt8($0)] })
      return feed
    }
    var arrivals = Arrivals()
    let (own, first, second) = (try feed(9), try feed(3), try feed(4))
    func locations(_ seqs: [Int]) -> [FeedSequence] { seqs.map { FeedSequence(feed: 1, seq: $0) } }
    arrivals.look(at: [own, nil], local: 0)
    arrivals.add([1..<3], of: 1)
    #expect(arrivals.locations.isEmpty, "nothing is there to watch")
    arrivals.look(at: [own, first], local: 0)
    let known = arrivals.locations.count
    #expect(arrivals.locations == locations(Array(1..<first.length)))
    arrivals.remove(1)
    // A first block is not an entry.
    #expect(arrivals.locations == locations(Array(repeating: 0, count: known)))
    arrivals.add([1..<3], of: 1)
    arrivals.look(at: [own, second], local: 0)
    #expect(arrivals.locations.dropFirst(known) == locations(Array(1..<second.length))[...])
  }
}

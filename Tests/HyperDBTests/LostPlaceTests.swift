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

  @Test func `a feed that loses its place is told of, and begins anew if it comes back`() {
    let (one, two, three) = (Self.key(1), Self.key(2), Self.key(3))
    let reader = reader(from: [two: 5])
    reader.follow([one, two], changes: 1)
    #expect(reader.takeLost() == nil)
    #expect(reader.cursors == [1, 6])
    reader.advance(1)
    // Its number is free for a while, and then another's.
    reader.follow([one, PublicKey()], changes: 2)
    #expect(reader.takeLost() == two)
    #expect(reader.takeLost() == nil)
    reader.follow([one, three], changes: 3)
    reader.follow([one, three, two], changes: 4)
    #expect(reader.takeLost() == nil)
    #expect(reader.cursors == [1, 1, 1])
  }

  @Test func `feeds that change their numbers between two looks begin anew`() {
    let (one, two, three) = (Self.key(1), Self.key(2), Self.key(3))
    let reader = reader()
    reader.follow([one, two, three], changes: 1)
    for number in 0..<3 { reader.advance(number) }
    reader.deferred = [FeedSequence(feed: 0, seq: 4), FeedSequence(feed: 1, seq: 4)]
    reader.follow([one, three, two], changes: 2)
    #expect(Set([reader.takeLost(), reader.takeLost()]) == [two, three])
    #expect(reader.takeLost() == nil)
    #expect(reader.cursors == [2, 1, 1])
    #expect(reader.deferred == [FeedSequence(feed: 0, seq: 4)])
  }

  @Test func `a feed that lost its place while nobody followed is told of at first`() {
    let (one, two, three) = (Self.key(1), Self.key(2), Self.key(3))
    let reader = reader(from: [one: 3, two: 5])
    reader.follow([one, three], changes: 0)
    #expect(reader.takeLost() == two)
    #expect(reader.takeLost() == nil)
    #expect(reader.cursors == [4, 1])
    reader.follow([one, three, two], changes: 1)
    #expect(reader.takeLost() == nil)
    #expect(reader.cursors == [4, 1, 1])
  }

  @Test func `what came of a feed is not taken for the next one's with its number`() throws {
    func feed(_ blocks: Int) throws -> ReplicatedFeed {
      let feed = try FeedSet(MemoryStorage(), HyperDBOptions()).openSource(nil)
      _ = try feed.log.append((0..<blocks).map { [UInt8($0)] })
      return feed
    }
    var arrivals = Arrivals()
    let (own, first, second) = (try feed(9), try feed(3), try feed(4))
    func places(_ seqs: [Int]) -> [FeedSequence] { seqs.map { FeedSequence(feed: 1, seq: $0) } }
    arrivals.look(at: [own, nil], local: 0)
    arrivals.add([1..<3], of: 1)
    #expect(arrivals.places.isEmpty, "nothing is there to watch")
    arrivals.look(at: [own, first], local: 0)
    let known = arrivals.places.count
    #expect(arrivals.places == places(Array(1..<first.length)))
    arrivals.forget(1)
    // A first block is not an entry.
    #expect(arrivals.places == places(Array(repeating: 0, count: known)))
    arrivals.add([1..<3], of: 1)
    arrivals.look(at: [own, second], local: 0)
    #expect(arrivals.places.dropFirst(known) == places(Array(1..<second.length))[...])
  }
}

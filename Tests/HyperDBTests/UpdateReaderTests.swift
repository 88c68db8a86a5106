import HypercoreCrypto
import Testing

@testable import HyperDB
@testable import Hypercore

/// The places of a follower in feeds that change their numbers.
struct UpdateReaderTests {
  private let keys = (1...4).map { PublicKey(bytes: [UInt8](repeating: $0, count: 32))! }

  private func reader(_ feeds: [PublicKey]) -> UpdateReader {
    let reader = UpdateReader(
      Broadcast<UpdateQueue>().subscribe(UpdateQueue()), valueLimit: .max, start: [:])
    reader.follow(feeds, changes: 1)
    return reader
  }

  @Test func `a feed that gets a lower number goes on where it was`() {
    let reader = reader([keys[0], keys[1], keys[2]])
    for _ in 0..<5 { reader.advance(2) }
    reader.follow([keys[0], keys[2], keys[3]], changes: 2)
    #expect(reader.cursors == [1, 6, 1])
  }

  @Test func `feeds that exchange their numbers go on where they were`() {
    let reader = reader([keys[0], keys[1], keys[2]])
    reader.advance(1)
    for _ in 0..<5 { reader.advance(2) }
    reader.follow([keys[0], keys[2], keys[1]], changes: 2)
    #expect(reader.cursors == [1, 6, 2])
  }

  @Test func `a feed that had no number for a while goes on where it was`() {
    let reader = reader([keys[0], keys[1]])
    for _ in 0..<3 { reader.advance(1) }
    reader.follow([keys[0], PublicKey()], changes: 2)
    reader.follow([keys[0], keys[2]], changes: 3)
    reader.follow([keys[0], keys[2], keys[1]], changes: 4)
    #expect(reader.cursors == [1, 1, 4])
  }
}

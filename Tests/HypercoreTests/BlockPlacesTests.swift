import DatTesting
import Testing

@testable import Hypercore

@Suite struct BlockPlacesTests {
  @Test(arguments: testSeeds(standard: 10))
  func `where a block is kept is where the blocks before it end`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var places = BlockPlaces()
    for run in (0..<40 as Range<UInt64>).shuffled(using: &random) {
      let sizes = (0..<64).map { _ in
        random.chance(0.2) ? 0 : UInt64.random(in: 0...9999, using: &random)
      }
      places.keep(run, offset: run << 30, sizes: sizes)
      var offset = run << 30
      for (place, size) in sizes.enumerated() {
        let found = places.place(of: run << 6 + UInt64(place))
        #expect(found?.offset == offset && found?.size == size)
        offset += size
      }
    }
    places.removeAll()
    #expect(places.place(of: 0) == nil)
  }

  @Test func `runs that share a slot take it from each other`() {
    var places = BlockPlaces()
    let far = UInt64(FeedLimits.placedRuns)
    places.keep(1, offset: 10, sizes: repeatElement(1, count: 64))
    places.keep(1 + far, offset: 20, sizes: repeatElement(2, count: 64))
    #expect(places.place(of: 64) == nil)
    #expect(places.place(of: (1 + far) << 6 + 1)?.offset == 22)
  }

  @Test func `a run that is cut, or longer than its numbers, is not kept`() {
    var places = BlockPlaces()
    places.keep(0, offset: 0, sizes: repeatElement(1, count: 63))
    #expect(places.place(of: 0) == nil)
    places.keep(0, offset: 0, sizes: repeatElement(1 << 26, count: 64))
    #expect(places.place(of: 0) == nil)
    places.keep(0, offset: 0, sizes: [.max, .max] + repeatElement(0, count: 62))
    #expect(places.place(of: 0) == nil)
  }

  @Test func `a block that is read shows where those around it are, without the tree`() throws {
    let tracking = TrackingStorage()
    let core = try FeedCore.open(in: tracking, options: FeedOptions(keyPair: keyPair(1)))
    try core.append((0..<200).map { [UInt8](repeating: $0, count: Int($0)) })
    core.releaseCaches()
    #expect(try core.block(at: 70)?.count == 70)
    core.tree.releaseCaches()
    tracking.reset()
    for block in 64..<128 as Range<UInt64> {
      #expect(try core.block(at: block)?.count == Int(block))
    }
    #expect(tracking.calls(.read, "tree").isEmpty)
    #expect(tracking.calls(.read, "data").count == 64)
    // The last blocks are fewer than make a run, and are found by the tree each time.
    #expect(try core.block(at: 195)?.count == 195)
    core.tree.releaseCaches()
    #expect(try core.block(at: 196)?.count == 196)
    #expect(!tracking.calls(.read, "tree").isEmpty)
  }
}

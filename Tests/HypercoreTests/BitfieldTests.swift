import DatTesting
import RandomAccessStorage
import Testing

@testable import Hypercore

@Suite struct BitfieldTests {
  /// A bitfield over `pages` pages of a file in memory, with its current content.
  private func bitfield(in storage: MemoryStorage, pages: Int) throws -> Bitfield {
    Bitfield(file: try FeedFile("bitfield", in: storage), pageCount: pages)
  }

  @Test(arguments: testSeeds(standard: 6))
  func `data bits agree with a set of numbers through changes and reopening`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let storage = MemoryStorage()
    var bits = try bitfield(in: storage, pages: 0)
    var model: Set<UInt64> = []
    let limit: UInt64 = 30_000
    for _ in 0..<15 {
      let start = UInt64.random(in: 0..<limit, using: &random)
      let most: UInt64 = random.chance(0.3) ? 10_000 : 100
      let range = start..<min(limit, start + UInt64.random(in: 0...most, using: &random))
      let value = random.chance(0.6)
      let before = model.count
      if value { model.formUnion(range) } else { model.subtract(range) }
      let changed = bits.setBlocks(range, to: value)
      #expect(changed == UInt64(abs(model.count - before)))
      if random.chance(0.2) {
        try bits.flush()
        bits = try bitfield(in: storage, pages: bits.pageCount)
      }
      for _ in 0..<4 {
        let from = UInt64.random(in: 0..<limit, using: &random)
        let below = UInt64.random(in: 0..<limit + 9000, using: &random)
        let window = from..<max(from, below)
        #expect(bits.hasBlock(from) == model.contains(from))
        #expect(bits.nextStored(from: from, below: below) == window.first(where: model.contains))
        #expect(bits.nextMissing(from: from, below: below) == window.first { !model.contains($0) })
        #expect(bits.lastStored(below: below) == model.filter { $0 < below }.max())
        #expect(bits.countStored(in: window) == UInt64(window.filter(model.contains).count))
      }
      let bytes = bits.dataBytes(from: 8192, length: 16384)
      let stored = (8192..<UInt64(24576)).filter(model.contains)
      var listed: [UInt64] = []
      for (place, byte) in bytes.enumerated() {
        for bit in 0..<8 where byte & (0x80 >> UInt8(bit)) != 0 {
          listed.append(8192 + UInt64(place * 8 + bit))
        }
      }
      #expect(stored == listed)
      #expect(bytes.last != 0)
    }
  }

  @Test(arguments: testSeeds(standard: 10))
  func `cutting to a length leaves the nodes and blocks below it`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let bits = try bitfield(in: MemoryStorage(), pages: 0)
    let length = UInt64.random(in: 1..<20_000, using: &random)
    let nodes = (0..<400).map { _ in UInt64.random(in: 0..<40_000, using: &random) }
    for node in nodes { bits.setNode(node) }
    bits.setBlocks(0..<20_000, to: true)
    bits.cut(to: length)
    for node in nodes {
      #expect(bits.hasNode(node) == (FlatTree.rightSpan(node) < 2 * length), "\(node) \(length)")
    }
    #expect(bits.countStored(in: 0..<30_000) == length)
  }

  @Test(arguments: testSeeds(standard: 6))
  func `blocks that are set aside are listed until they count again or are forgotten`(
    seed: UInt64
  ) throws {
    var random = SeededRandom(seed: seed)
    let storage = MemoryStorage()
    let bits = try bitfield(in: storage, pages: 0)
    let limit: UInt64 = 20_000
    bits.setBlocks(0..<limit, to: true)
    var aside: Set<UInt64> = []
    var lost: Set<UInt64> = []
    func range() -> Range<UInt64> {
      let start = UInt64.random(in: 0..<limit, using: &random)
      return start..<min(limit, start + UInt64.random(in: 1...150, using: &random))
    }
    for _ in 0..<30 {
      let changed = range()
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        bits.countAgain(changed)
        aside.subtract(changed)
      case 1:
        let forgets = bits.forgetAside(changed)
        #expect(forgets == changed.contains(where: aside.contains))
        lost.formUnion(aside.intersection(changed))
        aside.subtract(changed)
      default:
        bits.setAside(changed)
        aside.formUnion(Set(changed).subtracting(lost))
      }
      let window = range()
      #expect(bits.asideBlocks(in: window).flatMap(Array.init) == window.filter(aside.contains))
      #expect(bits.hasAside == !aside.isEmpty)
      #expect(bits.countStored(in: 0..<limit) == limit - UInt64(aside.count + lost.count))
    }
    // In the file they are still set.
    try bits.flush()
    let again = try bitfield(in: storage, pages: bits.pageCount)
    #expect(again.countStored(in: 0..<limit) == limit - UInt64(lost.count))
  }

  @Test func `pages that were not touched are neither read nor kept`() throws {
    let tracking = TrackingStorage()
    let file = try FeedFile("bitfield", in: tracking)
    let bits = Bitfield(file: file)
    bits.setBlocks(8192 * 50..<8192 * 50 + 1, to: true)
    try bits.flush()
    tracking.reset()
    let again = Bitfield(file: file, pageCount: 51)
    #expect(tracking.calls.isEmpty)
    #expect(!again.hasBlock(3))
    #expect(!again.hasBlock(4))
    #expect(tracking.calls(.read).count <= 1)
    #expect(again.page(0) == nil || !again.isDirty)
  }

  @Test func `a page that cannot be read counts as empty and is never written`() throws {
    let faulty = FaultyStorage()
    let file = try FeedFile("bitfield", in: faulty)
    let bits = Bitfield(file: file)
    bits.setBlocks(0..<100, to: true)
    try bits.flush()
    let again = Bitfield(file: file, pageCount: 1)
    faulty.fail(FaultyStorage.Plan(call: 0, kinds: [.read]))
    #expect(!again.hasBlock(5))
    #expect(again.failure != nil)
    again.setBlocks(200..<201, to: true)
    #expect(throws: FeedError.self) { try again.flush() }
  }
}

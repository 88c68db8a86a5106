import DatCoding
import DatTesting
import Testing

@testable import Hypercore

@Suite struct BlockSetTests {
  private static let pageBits = Int(BlockSet.pageBits)
  private static let pageCount = 8

  /// An index that is mostly the start of a page.
  private func border(using random: inout SeededRandom) -> Int {
    random.chance(0.7)
      ? Int.random(in: 0...Self.pageCount, using: &random) * Self.pageBits
      : Int.random(in: 0...Self.pageCount * Self.pageBits, using: &random)
  }

  private func range(using random: inout SeededRandom) -> Range<Int> {
    let (one, other) = (border(using: &random), border(using: &random))
    return min(one, other)..<max(one, other)
  }

  private func blocks(_ range: Range<Int>) -> Range<UInt64> {
    UInt64(range.lowerBound)..<UInt64(range.upperBound)
  }

  @Test(arguments: testSeeds(standard: 6))
  func `a set of blocks agrees with a list of bits, and gives back what it takes`(
    seed: UInt64
  ) throws {
    var random = SeededRandom(seed: seed)
    let memory = PeerMemory()
    let room = memory.left
    var set = BlockSet(memory: memory)
    var model = [Bool](repeating: false, count: Self.pageCount * Self.pageBits)
    for _ in 0..<40 {
      let changed = range(using: &random)
      let isMember = random.chance(0.6)
      switch Int.random(in: 0..<8, using: &random) {
      case 0..<5:
        if isMember { set.insert(blocks(changed)) } else { set.remove(blocks(changed)) }
        model.replaceSubrange(changed, with: repeatElement(isMember, count: changed.count))
      case 5, 6:
        let block = min(changed.lowerBound, model.count - 1)
        if isMember {
          let isNew = set.insert(UInt64(block))
          #expect(isNew == !model[block], "seed \(seed)")
        } else {
          set.remove(UInt64(block))
        }
        model[block] = isMember
      default:
        let page = Int.random(in: 0..<Self.pageCount - 2, using: &random)
        var bytes: [UInt8] = []
        for _ in 0..<3 {
          let byte: UInt8 = random.chance(0.5) ? 0xff : 0
          bytes += random.chance(0.3) ? random.bytes(1024) : Array(repeating: byte, count: 1024)
        }
        let runs = try BitfieldRLE.Runs(BitfieldRLE.encode(bytes), limit: 3072)
        set.replace(from: UInt64(page * Self.pageBits), with: runs)
        for bit in 0..<runs.decodedCount * 8 {
          model[page * Self.pageBits + bit] = bytes[bit / 8] & (0x80 >> UInt8(bit % 8)) != 0
        }
      }
      let window = range(using: &random)
      let from = window.lowerBound
      if from < model.count {
        #expect(set.contains(UInt64(from)) == model[from], "seed \(seed)")
      }
      let missing = model[from...].firstIndex(of: false) ?? model.count
      #expect(set.firstMissing(from: UInt64(from)) == UInt64(missing), "seed \(seed)")
      let next = model[(from / Self.pageBits * Self.pageBits)...].firstIndex(of: true)
      #expect(
        set.nextPage(from: UInt64(from / Self.pageBits)) == next.map { UInt64($0 / Self.pageBits) },
        "seed \(seed)")
      let last = model[window].lastIndex(of: true)
      #expect(set.last(in: blocks(window)) == last.map { UInt64($0) }, "seed \(seed)")
      let isWhole = !model[window].contains(false)
      #expect(set.containsAll(blocks(window)) == isWhole, "seed \(seed)")
    }
    for number in 0..<model.count / 64 {
      var word: UInt64 = 0
      for bit in model[number * 64..<number * 64 + 64] { word = word << 1 | (bit ? 1 : 0) }
      #expect(set.word(UInt64(number)) == word, "seed \(seed), word \(number)")
    }
    set.removeAll()
    #expect(set.isEmpty && memory.left == room)
  }

  @Test(arguments: testSeeds(standard: 10))
  func `whole pages that there is no room for are forgotten, and none is made up`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    // Room for three ranges, or a limit of four.
    let room = seed.isMultiple(of: 2) ? 100 : 1 << 20
    let limit = seed.isMultiple(of: 2) ? 3 : 4
    let memory = PeerMemory(room)
    var set = BlockSet(mixedPageLimit: 4, memory: memory)
    var claimed: Set<UInt64> = []
    for _ in 0..<300 {
      let start = UInt64.random(in: 0..<40, using: &random)
      let pages = start..<start + UInt64.random(in: 1...4, using: &random)
      let range = pages.lowerBound * BlockSet.pageBits..<pages.upperBound * BlockSet.pageBits
      let wasEmpty = set.isEmpty
      if random.chance(0.6) {
        claimed.formUnion(pages)
        set.insert(range)
        if wasEmpty { #expect(set.containsAll(range), "seed \(seed)") }
      } else {
        claimed.subtract(pages)
        set.remove(range)
      }
      let kept = (0..<44 as Range<UInt64>).filter { set.contains($0 * BlockSet.pageBits) }
      #expect(claimed.isSuperset(of: kept), "seed \(seed)")
      let starts = kept.filter { page in page == 0 || !kept.contains(page - 1) }
      #expect(starts.count <= limit, "seed \(seed)")
      #expect(memory.left >= 0)
    }
    set.removeAll()
    #expect(memory.left == room)
  }

  @Test func `ranges of whole pages join where they touch and part where one is taken out`() {
    var set = BlockSet()
    let page = BlockSet.pageBits
    for number in [0, 4, 2, 8, 6] as [UInt64] { set.insert(number * page..<(number + 1) * page) }
    #expect(set.firstMissing(from: 0) == page)
    set.insert(page..<2 * page)
    #expect(set.firstMissing(from: 0) == 3 * page)
    set.insert(3 * page..<8 * page)
    #expect(set.firstMissing(from: 0) == 9 * page)
    set.remove(4 * page..<5 * page)
    #expect(set.firstMissing(from: 0) == 4 * page)
    #expect(set.nextPage(from: 4) == 5)
    set.remove(0..<1 << 50)
    #expect(set.isEmpty)
  }
}

import DatCoding
import DatTesting
import HypercoreCrypto
import Testing

@testable import HyperDB

/// The cost of a put beside entries that are made to be costly, and of the keys that they name.
struct HostileCostTests {
  /// As many pointers as fit, all in one slot.
  private static func dense(_ bytes: Int, index: Int = 0, digit: UInt8 = 3) -> [UInt8] {
    var trie: [UInt8] = []
    Varint.write(UInt64(index), to: &trie)
    Varint.write(1 << UInt64(digit), to: &trie)
    while trie.count < bytes - 2 { trie += [1, 1] }
    return trie + [0, 1]
  }

  /// A value that takes 12,500 steps to read.
  private static let large = [UInt8](repeating: 1, count: 400_000)

  /// Pointers to one entry, at the first index of every path.
  private static func leading(to locations: [FeedSequence]) -> [UInt8] {
    var trie: [UInt8] = []
    HostileRoom.write(0, [0: locations, 1: locations, 2: locations, 3: locations], to: &trie)
    return trie
  }

  @Test func `unreadable entries behind one that claims the future are looked at once`() throws {
    let room = try HostileRoom(evil: 1)
    room.append(0, "k", clock: [1 << 30, 2])
    for _ in 0..<5_000 { room.evil[0].blocks.append([0xff]) }
    for number in 0..<3 {
      let before = room.core.loadedBytes
      try room.core.put(Array("a/\(number)".utf8), [1])
      // 33 for each of these blocks.
      #expect(room.core.loadedBytes - before < 33 * 2_500, "put \(number)")
      room.evil[0].blocks.append([0xff])
    }
    try room.checkSound("unreadable entries")
  }

  @Test func `the newest readable entry is found behind some that are not, once`() throws {
    let log = MemoryLog(key: try HostileRoom.key(7), isWritable: false)
    let writer = Writer(id: 0, log: log, fetchesBlocks: false)
    let good = EntryNode.make(
      location: FeedSequence(feed: 0, seq: 10), key: [1], value: nil, isDeleted: false, clock: [],
      trie: .empty, inflate: 1)
    var loads = 0
    func head(below length: Int) -> EntryNode? {
      writer.head(below: length) { location in
        loads += 1
        return location.seq == 10 ? good : nil
      }
    }
    #expect(head(below: 60) === good)
    #expect(loads == 50)
    for length in 11...60 { #expect(head(below: length) === good) }
    #expect(head(below: 62) === good)
    #expect(loads == 52)
    #expect(head(below: 10) == nil)
    #expect(loads == 61)
    // So many in a row are no correct writer's.
    #expect(head(below: 200) == nil)
    #expect(loads == 61 + 64)
    #expect(head(below: 201) == nil)
    #expect(loads == 61 + 65)
    #expect(head(below: 70) === good)
  }

  @Test func `feeds that all claim each other's next are settled in bounded steps`() throws {
    let count = 100
    let room = try HostileRoom(evil: count)
    for number in 1...80 {
      for writer in 0..<count {
        var clock = [UInt64](repeating: 0, count: count + 1)
        clock[writer + 1] = UInt64(number) + 1
        clock[(writer + 1) % count + 1] = UInt64(number) + 2
        room.append(writer, "k/\(writer)/\(number)", clock: clock)
      }
    }
    for number in 0..<3 {
      let before = room.core.snapshots.cutLooks
      try room.core.put(Array("a/\(number)".utf8), [1])
      #expect(room.core.snapshots.cutLooks - before < 200 * count)
      room.append(number, "k/more")
    }
    try room.checkSound("claims in a ring")
  }

  @Test func `many heads that lead to large entries don't have a put read them all`() throws {
    let count = 60
    let room = try HostileRoom(evil: count)
    for writer in 0..<count {
      let target = room.append(writer, "l/\(writer)") { $0.value = Self.large }
      room.append(writer, "s/\(writer)", trie: Self.leading(to: [target]))
    }
    _ = try room.core.snapshot(.local)
    let before = room.core.loadedBytes
    try room.core.put(Array("a".utf8), [1])
    #expect(room.core.loadedBytes - before < 2 * HyperDBLimits.mergeSteps << 5)
    try room.checkSound("large entries behind heads")
  }

  @Test(arguments: [3, 20])
  func `nothing of one's own is hidden by heads that lead to large entries`(count: Int) throws {
    let room = try HostileRoom(evil: count + 1)
    for number in 0..<5 { try room.core.put(Array("k/\(number)".utf8), [1]) }
    let large = Self.dense(100_000)
    // Its place is behind those of all others.
    let sound = count
    for writer in 0..<count {
      let target = room.append(writer, "l/\(writer)", trie: large)
      room.append(writer, "s/\(writer)", trie: Self.leading(to: [target]))
    }
    for number in 0..<8 {
      let written = try room.core.put(Array("after \(number)".utf8), [1])
      let trie = try room.core.trie(for: Array("sound \(number)".utf8), on: [written])
      room.append(
        sound, "sound \(number)",
        trie: TrieCoding.encode(trie, encodeMap: Array(0...room.evil.count)),
        clock: (0...count + 1).map { feed in
          feed == sound + 1 ? UInt64(room.evil[sound].blocks.count + 1) : written.clock(of: feed)
        })
      let snapshot = try room.core.snapshot()
      for key in (0..<5).map({ "k/\($0)" }) + (0...number).map({ "after \($0)" }) {
        #expect(try room.value(key, snapshot) == [[1]], "\(key) after put \(number)")
      }
      for old in 0...number {
        #expect(try room.value("sound \(old)", snapshot) == [[0xee]], "after put \(number)")
      }
    }
  }

  @Test func `a claim to lead to others' entries is checked in bounded bytes`() throws {
    let room = try HostileRoom(evil: 1)
    for number in 0..<20 { try room.core.put(Array("k/\(number)".utf8), [1]) }
    var targets: [FeedSequence] = []
    for number in 0..<60 {
      targets.append(room.append(0, "l/\(number)") { $0.value = Self.large })
    }
    var trie: [UInt8] = []
    let path = PathHash.standard.path(of: Array("s".utf8), terminated: true)
    for index in 0..<40 {
      var slots: [UInt8: [FeedSequence]] = [:]
      for digit in UInt8(0)..<4 where digit != path.digit(index) { slots[digit] = targets }
      HostileRoom.write(index, slots, to: &trie)
    }
    room.append(0, "s", trie: trie, clock: [UInt64(room.core.log(of: 0).length), 62])
    let before = room.core.loadedBytes
    try room.core.put(Array("a".utf8), [1])
    #expect(room.core.loadedBytes - before < 4 * HyperDBLimits.headSteps << 5)
    for number in 0..<20 {
      #expect(try room.value("k/\(number)", room.core.snapshot()) == [[1]])
    }
  }

  /// One claim takes all steps of a comparison, and three of them all steps of a read: what is left is not
  /// compared, and not believed.
  @Test(arguments: [1, 4])
  func `claims that take too long to check hide nothing`(count: Int) throws {
    let room = try HostileRoom(evil: count)
    for number in 0..<20 { try room.core.put(Array("k/\(number)".utf8), [1]) }
    let length = UInt64(room.core.log(of: 0).length)
    for writer in 0..<count {
      let targets = (0..<60).map { number in
        room.append(writer, "l/\(number)") { $0.value = Self.large }
      }
      var trie: [UInt8] = []
      let path = PathHash.standard.path(of: Array("s\(writer)".utf8), terminated: true)
      for index in 0..<40 {
        var slots: [UInt8: [FeedSequence]] = [:]
        for digit in UInt8(0)..<4 where digit != path.digit(index) { slots[digit] = targets }
        HostileRoom.write(index, slots, to: &trie)
      }
      room.append(
        writer, "s\(writer)", trie: trie,
        clock: (0...count).map { $0 == 0 ? length : $0 == writer + 1 ? 62 : 0 })
    }
    let snapshot = try room.core.snapshot()
    for number in 0..<20 { #expect(try room.value("k/\(number)", snapshot) == [[1]]) }
  }

  @Test func `a branch that takes too many steps is named and left out of a list, which goes on`()
    throws
  {
    let room = try HostileRoom()
    for number in 0..<50 { try room.core.put(Array("k/\(number)".utf8), [1]) }
    let listing = try room.core.list(in: room.core.snapshot())
    let limit = listing.stepLimit
    for _ in 0..<10 { #expect(try listing.next() != nil) }
    listing.stepLimit = 0
    let error = #expect(throws: HyperDBError.self) { try listing.next() }
    #expect(error?.code == .tooManySteps)
    listing.stepLimit = limit
    var rest = 0
    while try listing.next() != nil { rest += 1 }
    #expect(rest > 0 && rest < 52 - 10)
  }

  @Test func `the steps of a put and of each key in a list are counted anew`() throws {
    let log = MemoryLog(key: try HostileRoom.key(1), isWritable: true)
    let core = try DatabaseCore(source: log, local: nil, options: DatabaseCore.Options()) {
      MemoryLog(key: $0, isWritable: false)
    }
    _ = try core.write([.put(Array("a".utf8), [1])])
    #expect(core.walks.insertion.cost.steps == 0, "nothing points anywhere yet")
    _ = try core.write(["b", "c"].map { .put(Array($0.utf8), [1]) })
    let listing = try core.list(in: core.snapshot())
    #expect(try listing.next() != nil)
    listing.stepLimit = 1
    #expect(try listing.next() != nil)
    #expect(try listing.next() != nil)
    #expect(try listing.next() == nil)
  }

  @Test func `a slot is found from any length of it`() {
    for lengths in [[1], [2, 1], [3, 1, 7], [64, 65, 1, 1000, 2], [5000]] {
      var entries: [Trie.Entry] = []
      for (index, length) in lengths.enumerated() {
        for seq in 0..<length {
          entries.append((Trie.slotKey(index, 1), FeedSequence(feed: 0, seq: seq + 1)))
        }
      }
      let trie = Trie(entries)
      var position = 0
      for (index, length) in lengths.enumerated() {
        #expect(trie.pointers(position) == position..<position + length)
        #expect(trie.pointers(at: index, 1) == position..<position + length)
        position += length
      }
    }
  }

  // MARK: Names

  private static func junk(_ number: Int) -> [UInt8] {
    var key = [UInt8](repeating: 5, count: 32)
    for index in 0..<4 { key[index] = UInt8(number >> (8 * index) & 255) }
    return key
  }

  @Test func `made-up keys are looked at the less often the more there are`() throws {
    let room = try HostileRoom(evil: 5)
    func name(_ writer: Int, _ keys: [[UInt8]]) throws {
      let seq = room.evil[writer].blocks.count
      room.append(writer, "k/\(writer)/\(seq)") {
        $0.feeds = room.list + keys
        $0.inflate = UInt64(seq)
      }
      try room.core.inspect(feed: writer + 1, seq: seq)
    }
    for writer in 0..<4 { try name(writer, (0..<1_000).map { Self.junk(writer * 10_000 + $0) }) }
    #expect(room.core.candidates.count == 4_000)
    let before = room.core.feedChanges
    let changes = room.core.admission.namings.placeChanges
    for number in 0..<500 { try name(number % 4, [Self.junk(100_000 + number)]) }
    #expect(room.core.feedChanges - before < 30)
    #expect(room.core.admission.namings.placeChanges == changes, "they have no place")
    // One of a writer that names little else is looked at now.
    try name(4, [Self.junk(300_000)])
    #expect(room.core.candidates.contains(try #require(PublicKey(bytes: Self.junk(300_000)))))
    // Those of the others are looked at after some blocks, whosever these are.
    try name(0, [Self.junk(300_001)])
    let late = try #require(PublicKey(bytes: Self.junk(300_001)))
    #expect(!room.core.candidates.contains(late))
    for number in 0..<70 {
      room.append(4, "quiet/\(number)")
      try room.core.inspect(feed: 5, seq: room.evil[4].blocks.count - 1)
    }
    #expect(room.core.candidates.contains(late))
    // One that a peer calls its own is looked at now, and so is one that the owner lets in.
    try name(0, [Self.junk(200_000)])
    let key = try #require(PublicKey(bytes: Self.junk(200_000)))
    room.core.reviewName(key)
    #expect(room.core.candidates.contains(key))
    for number in 200_001..<200_041 {
      let other = try #require(PublicKey(bytes: Self.junk(number)))
      try room.core.authorize(other.bytes)
      #expect(room.core.candidates.contains(other), "\(number)")
    }
  }
}

import DatTesting
import HyperDB
import HypercoreCrypto
import Testing

/// Entries that read well, claim to know what others wrote, and don't lead to it.
struct HidingEntryTests {
  /// The keys that the owner of a room writes.
  private static let keys = (0..<60).map { "k/\($0 % 7)/\($0)" }

  private func room() throws -> HostileRoom {
    let room = try HostileRoom()
    for key in Self.keys { try room.core.put(Array(key.utf8), Array(key.utf8)) }
    return room
  }

  /// Checks that all entries of the owner are found, in every way of looking for them.
  private func checkNothingIsHidden(_ room: HostileRoom, _ note: String) throws {
    let core = room.core
    for view in [ReadView.latest, .local] {
      let snapshot = try core.snapshot(view)
      for key in Self.keys {
        #expect(try room.value(key, snapshot) == [Array(key.utf8)], "\(key) \(note)")
      }
      for options in [ListOptions(), ListOptions(reverse: true)] {
        let listed = Set(try core.groups("k", options, in: snapshot).map { $0[0].key })
        #expect(listed.isSuperset(of: Self.keys.map { Array($0.utf8) }), "\(note)")
      }
      let differences = try core.differences(snapshot, .empty)
      #expect(differences.count >= Self.keys.count, "\(note)")
      #expect(try core.keyGroups(Self.keys[3], in: snapshot).flatMap { $0 }.count == 1, "\(note)")
    }
    let version = core.version(of: try core.snapshot(.local))
    let checkout = try core.checkout(version)
    #expect(try room.value(Self.keys[5], checkout) == [Array(Self.keys[5].utf8)], "\(note)")
  }

  @Test func `an entry that claims to know everything and leads to nothing hides nothing`() throws {
    let room = try room()
    let length = UInt64(room.core.log(of: 0).length)
    let liar = room.append(0, "liar", clock: [length, 2])
    #expect(try room.core.snapshot().heads.map(\.location) == [liar])
    try checkNothingIsHidden(room, "an empty trie")
    #expect(try room.value("liar", room.core.snapshot()) == [[0xee]])
    // The reference takes its word.
    let raw = GetOptions(raw: true)
    #expect(try room.core.get(Array("shared".utf8), raw, in: room.core.snapshot()).isEmpty)
    // So does a replica that is told not to check.
    let trusting = try HostileRoom(checksHeads: false)
    trusting.append(0, "liar", clock: [UInt64(trusting.core.log(of: 0).length), 2])
    #expect(try trusting.value("shared", trusting.core.snapshot()) == [])
    // The next local entry leads to everything again.
    try room.core.put(Array("after".utf8), [1])
    #expect(try room.core.snapshot(.local).beside.isEmpty)
    try checkNothingIsHidden(room, "after a put")
  }

  @Test(arguments: [false, true])
  func `liars who claim to know each other hide nothing`(areLinked: Bool) throws {
    let room = try HostileRoom(evil: 3)
    for key in Self.keys { try room.core.put(Array(key.utf8), Array(key.utf8)) }
    let length = UInt64(room.core.log(of: 0).length)
    // Each claims to know everything, and leads to the next one or to nothing.
    for writer in 0..<3 {
      let path = PathHash.standard.path(of: Array("liar\(writer)".utf8), terminated: true)
      var trie: [UInt8] = []
      if areLinked {
        let next = FeedSequence(feed: (writer + 1) % 3 + 1, seq: 1)
        for index in 0..<32 {
          var slots: [UInt8: [FeedSequence]] = [:]
          for digit in UInt8(0)..<4 where digit != path.digit(index) { slots[digit] = [next] }
          HostileRoom.write(index, slots, to: &trie)
        }
      }
      room.append(writer, "liar\(writer)", trie: trie, clock: [length, 2, 2, 2])
    }
    try checkNothingIsHidden(room, "linked: \(areLinked)")
    try room.core.put(Array("after".utf8), [1])
    try checkNothingIsHidden(room, "linked: \(areLinked), after a put")
    #expect(try room.core.snapshot().beside.isEmpty)
  }

  @Test func `values of one key that claim to know each other are all given`() throws {
    let room = try HostileRoom(evil: 2)
    let length = UInt64(room.core.log(of: 0).length)
    room.append(0, "shared", clock: [length, 2, 2])
    room.append(1, "shared", clock: [length, 2, 2])
    #expect(try !room.value("shared", room.core.snapshot()).isEmpty)
    try room.core.put(Array("after".utf8), [1])
    #expect(try !room.value("shared", room.core.snapshot()).isEmpty)
  }

  @Test func `entries with more pointers than can be compared are followed both`() throws {
    let room = try HostileRoom(evil: 2)
    let hash = PathHash.standard
    func digit(_ key: String) -> UInt8 { hash.path(of: Array(key.utf8), terminated: true).digit(0) }
    let liar = "liar"
    let other = try #require((0...).lazy.map { "other\($0)" }.first { digit($0) != digit(liar) })
    let third = try #require(
      (UInt8(0)..<4).first { $0 != digit(liar) && $0 != digit(other) })
    // Each is found among them only after all before it: some two million steps.
    let pointers = (1...2_000).map { FeedSequence(feed: 0, seq: $0) }
    var trie: [UInt8] = []
    HostileRoom.write(0, [third: pointers], to: &trie)
    let older = room.append(0, other, trie: trie, clock: [0, 2, 0])
    trie = []
    HostileRoom.write(0, [third: pointers, digit(other): [older]], to: &trie)
    let newer = room.append(1, liar, trie: trie, clock: [0, 2, 2])
    let snapshot = try room.core.snapshot()
    #expect(snapshot.heads.map(\.location).contains(newer))
    #expect(snapshot.beside.map(\.location) == [older])
  }

  @Test func `a liar whose own entries stand in for others' hides nothing`() throws {
    let room = try room()
    let length = UInt64(room.core.log(of: 0).length)
    // An entry in each branch of the root, then one that points to those alone.
    let hash = PathHash.standard
    var branches: [UInt8: Int] = [:]
    var number = 0
    while branches.count < 4 {
      let key = "shell\(number)"
      number += 1
      let digit = hash.path(of: Array(key.utf8), terminated: true).digit(0)
      guard branches[digit] == nil else { continue }
      let seq = room.evil[0].blocks.count
      branches[digit] = room.append(0, key, clock: [length, UInt64(seq) + 1]).seq
    }
    let own = hash.path(of: Array("liar".utf8), terminated: true).digit(0)
    var trie: [UInt8] = [0, 0]
    for digit in UInt8(0)..<4 where digit != own {
      trie[1] |= 1 << digit
      trie += [2, UInt8(branches[digit] ?? 0)]
    }
    room.append(0, "liar", trie: trie, clock: [length, 6])
    try checkNothingIsHidden(room, "shells")
  }

  @Test func `what is written on top of a liar without a look hides nothing`() throws {
    let room = try HostileRoom(evil: 2)
    for key in Self.keys { try room.core.put(Array(key.utf8), Array(key.utf8)) }
    let length = UInt64(room.core.log(of: 0).length)
    room.append(0, "liar", clock: [length, 2, 0])
    // A correct writer that believed it leads only to the liar.
    let believer = try room.core.trie(
      for: Array("believer".utf8),
      on: [try #require(try room.core.node(at: FeedSequence(feed: 1, seq: 1)))])
    room.append(
      1, "believer", trie: TrieCoding.encode(believer, encodeMap: [0, 1, 2]),
      clock: [length, 2, 2])
    try checkNothingIsHidden(room, "a believer")
  }

  @Test(arguments: testSeeds(standard: 150))
  func `an index with parts left out hides no key of others`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let room = try room()
    let length = UInt64(room.core.log(of: 0).length)
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      let heads = try room.core.snapshot().heads
      let seq = room.evil[0].blocks.count
      let key = "evil/\(Int.random(in: 0..<9, using: &random))"
      let sound = try room.core.trie(for: Array(key.utf8), on: heads)
      var bytes: [UInt8] = []
      sound.forEachSlot { index, digit, pointers in
        guard !random.chance(0.3) else { return }
        var kept = pointers.filter { _ in !random.chance(0.2) }
        if seq > 1, random.chance(0.2) {
          kept = [FeedSequence(feed: 1, seq: Int.random(in: 1..<seq, using: &random))]
        }
        guard !kept.isEmpty else { return }
        HostileRoom.write(index, digit, kept, to: &bytes)
      }
      let clock = random.chance(0.8) ? length : UInt64.random(in: 0...length, using: &random)
      room.append(0, key, trie: bytes, clock: [clock, UInt64(seq) + 1])
    }
    try checkNothingIsHidden(room, "seed \(seed)")
    try room.core.put(Array("after".utf8), [1])
    try checkNothingIsHidden(room, "seed \(seed), after a put")
  }
}

import DatFleet
import DatTesting
import HypercoreCrypto
import Testing

private func fleetKey(_ digit: String) -> FleetKey {
  FleetKey(reading: Array((String(repeating: digit, count: 64) + "\n").utf8))!
}

private func publicKey(_ number: UInt8) -> PublicKey {
  PublicKey(bytes: [number] + [UInt8](repeating: 7, count: 31))!
}

@Suite struct FleetSessionTests {
  private func pair(_ one: String = "a", _ other: String = "a") -> (FleetSession, FleetSession) {
    (
      FleetSession(
        fleet: fleetKey(one), name: "one", greeting: [UInt8](repeating: 1, count: 32)),
      FleetSession(
        fleet: fleetKey(other), name: "two", greeting: [UInt8](repeating: 2, count: 32))
    )
  }

  /// Lets both greet, and returns the message in which each gives its name.
  private func greet(_ one: inout FleetSession, _ two: inout FleetSession) throws
    -> (ofOne: [UInt8], ofTwo: [UInt8])
  {
    guard case .reply(let ofOne)? = try one.receive(two.greeting).first,
      case .reply(let ofTwo)? = try two.receive(one.greeting).first
    else { throw FleetSession.Refusal(reason: "no reply") }
    return (ofOne, ofTwo)
  }

  @Test func `two members prove themselves to each other, and then talk`() throws {
    var (one, two) = pair()
    let names = try greet(&one, &two)
    #expect(try one.receive(names.ofTwo) == [.member("two")])
    #expect(try two.receive(names.ofOne) == [.member("one")])
    let message = FleetMessage.answer(id: 7, .incomplete)
    let ofOne = one.seal(message)
    #expect(try two.receive(ofOne) == [.message(message)])
    let ofTwo = two.seal(message)
    #expect(try one.receive(ofTwo) == [.message(message)])
  }

  @Test func `whoever lacks the key is refused`() throws {
    var (one, two) = pair("a", "b")
    let names = try greet(&one, &two)
    #expect(throws: FleetSession.Refusal(reason: "The other side has another fleet key.")) {
      try one.receive(names.ofTwo)
    }
    #expect(one.member == nil)
  }

  @Test func `a message that was changed, repeated, left out or sent back is refused`() throws {
    var (one, two) = pair()
    let names = try greet(&one, &two)
    _ = try one.receive(names.ofTwo)
    _ = try two.receive(names.ofOne)
    let first = one.seal(.answer(id: 1, .unknown))
    let second = one.seal(.answer(id: 2, .unknown))
    for place in first.indices {
      var copy = two
      var changed = first
      changed[place] ^= 1
      #expect(throws: FleetSession.Refusal.self) { try copy.receive(changed) }
    }
    var copy = two
    #expect(throws: FleetSession.Refusal.self) { try copy.receive(second) }
    var sender = one
    #expect(throws: FleetSession.Refusal.self) { try sender.receive(first) }
    _ = try two.receive(first)
    #expect(throws: FleetSession.Refusal.self) { try two.receive(first) }
  }

  @Test func `this side's own greeting is refused, so that nobody proves itself with its proofs`()
    throws
  {
    var (one, _) = pair()
    let greeting = one.greeting
    #expect(throws: FleetSession.Refusal.self) { try one.receive(greeting) }
    #expect(throws: FleetSession.Refusal.self) { try one.receive([1, 2, 3]) }
  }

  @Test(arguments: [
    "", "abc", String(repeating: "g", count: 64), String(repeating: "a", count: 66),
  ])
  func `a key is 64 hex digits`(text: String) {
    #expect(FleetKey(reading: Array(text.utf8)) == nil)
  }

  @Test(arguments: testSeeds(standard: 20))
  func `messages are read as they were written, and any other bytes are refused or read`(
    seed: UInt64
  ) {
    var random = SeededRandom(seed: seed)
    let feeds = (0..<3).map {
      FleetFeed(feed: publicKey(UInt8($0)).discoveryKey, length: 10, stored: 7)
    }
    let messages: [FleetMessage] = [
      .member("host-1"), .answer(id: .max, .unknown), .answer(id: 0, .incomplete),
      .answer(id: 1, .proved(random.bytes(32))),
      .digests((0..<256).map { _ in random.next() }),
      .entries([
        FleetEntry(key: publicKey(1), kind: 3, stamp: 4),
        FleetEntry(key: publicKey(2), kind: nil, stamp: 5),
      ]),
      .entries([]), .changed,
      .question(
        FleetQuestion(
          id: 9, key: publicKey(3).discoveryKey, nonce: random.bytes(32), feeds: feeds,
          blocks: [.init(feed: 2, index: 6), .init(feed: 0, index: .max)])),
    ]
    for message in messages {
      let bytes = message.encoded
      #expect(FleetMessage(decoding: bytes) == message)
      for _ in 0..<50 {
        var changed = bytes
        changed[Int.random(in: changed.indices, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
        changed.removeLast(Int.random(in: 0...min(3, changed.count), using: &random))
        if let read = FleetMessage(decoding: changed) { #expect(read.encoded == changed) }
      }
    }
  }
}

@Suite struct FleetKeyListTests {
  @Test(arguments: testSeeds(standard: 10))
  func `members that exchange the parts that differ have the same list`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var lists = [FleetKeyList](repeating: FleetKeyList(), count: 3)
    for _ in 0..<200 {
      let number = Int.random(in: 0..<3, using: &random)
      _ = lists[number].change(
        publicKey(UInt8.random(in: 0..<40, using: &random)),
        kind: UInt8.random(in: 0..<4, using: &random) == 0 ? nil : 1)
      guard UInt8.random(in: 0..<10, using: &random) == 0 else { continue }
      exchange(&lists, number, (number + 1) % 3)
    }
    for (one, other) in [(0, 1), (1, 2), (0, 1)] { exchange(&lists, one, other) }
    #expect(lists[0].digests == lists[1].digests && lists[1].digests == lists[2].digests)
    #expect(Set(lists[0].all) == Set(lists[1].all) && Set(lists[1].all) == Set(lists[2].all))
    #expect(lists[0].messages(for: lists[1].digests).isEmpty, "SEED=\(seed)")
  }

  private func exchange(_ lists: inout [FleetKeyList], _ one: Int, _ other: Int) {
    let (ofOne, ofOther) = (lists[one].digests, lists[other].digests)
    for message in lists[one].messages(for: ofOther) {
      guard case .entries(let entries) = message else { continue }
      for entry in entries { lists[other].merge(entry) }
    }
    for message in lists[other].messages(for: ofOne) {
      guard case .entries(let entries) = message else { continue }
      for entry in entries { lists[one].merge(entry) }
    }
  }

  @Test func `what was taken off later is off, what was added later is on`() {
    var one = FleetKeyList()
    var two = FleetKeyList()
    let added = one.change(publicKey(1), kind: 2)
    let isNews = two.merge(added)
    let removed = two.change(publicKey(1), kind: nil)
    let isOld = !two.merge(added)
    let isNewsToOne = one.merge(removed)
    #expect(isNews && isOld && isNewsToOne)
    #expect(one.kind(of: publicKey(1)) == nil && one.knows(publicKey(1)) && one.keys.isEmpty)
    let again = one.change(publicKey(1), kind: 3)
    two.merge(again)
    #expect(two.kind(of: publicKey(1)) == 3)
  }

  @Test func `of a large list only the part of a new key is sent`() {
    var one = FleetKeyList()
    var random = SeededRandom(seed: 1)
    for _ in 0..<5000 { _ = one.change(PublicKey(bytes: random.bytes(32))!, kind: 0) }
    var two = one
    _ = two.change(publicKey(9), kind: 0)
    let messages = two.messages(for: one.digests)
    #expect(messages.count == 1)
    guard case .entries(let entries)? = messages.first else { return }
    #expect(entries.count < 60 && entries.contains { $0.key == publicKey(9) })
  }
}

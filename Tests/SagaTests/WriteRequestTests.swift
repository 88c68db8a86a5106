import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Saga

/// The requests to write that are listed, and those shown as proven.
@Suite(.timeLimit(.minutes(1))) struct WriteRequestTests {
  private func user(_ number: Int, from address: String? = nil, proven: Bool = false) -> UserData {
    var key = [UInt8](repeating: 0, count: 32)
    (key[0], key[1]) = (UInt8(number >> 8), UInt8(number & 255))
    var user = UserData(key: PublicKey(bytes: key)!, username: "user \(number)", timestamp: 0)
    user.isProven = proven
    user.address = address
    return user
  }

  @Test
  func `a hundred made-up keys of one address have three places, and leave the proven theirs`() {
    var requests = WriteRequests(limits: .init())
    var told: [UserData] = []
    for number in 0..<100 {
      requests.add(user(number, from: "192.0.2.66"), on: UInt64(number))
      told += requests.fill()
    }
    #expect(told.count == 3)
    #expect(requests.listed.count == 3)
    for number in 200..<300 {
      requests.add(user(number, from: "198.51.100.\(number - 200)"), on: UInt64(number))
    }
    _ = requests.fill()
    #expect(requests.listed.count == 32)
    requests.add(user(500, from: "192.0.2.66", proven: true), on: 500)
    let fresh1 = requests.fill()
    #expect(fresh1.map(\.username) == ["user 500"])
    #expect(requests.listed.count == 33)
    #expect(requests.listed.first?.isProven == true)
  }

  @Test func `proven requests are told in the order in which they came`() {
    var requests = WriteRequests(limits: .init())
    for number in 0..<60 {
      requests.add(user(number, from: "192.0.2.\(number)", proven: true), on: UInt64(number))
    }
    #expect(requests.fill().map(\.username) == (0..<60).map { "user \($0)" })
  }

  @Test func `a customer with many IPv6 networks has the places of one address`() {
    var requests = WriteRequests(limits: .init())
    for number in 0..<100 {
      let address = "2001:db8:7:\(String(number + 1, radix: 16))::1"
      requests.add(user(number, from: address), on: UInt64(number))
      requests.add(user(number + 200, from: address, proven: true), on: UInt64(number + 200))
    }
    _ = requests.fill()
    #expect(requests.listed.count { !$0.isProven } == 3)
    #expect(requests.listed.count { $0.isProven } == 16)
    for (number, address) in ["2001:db8:8::1", "2001:db8::1", "2001:db9::1"].enumerated() {
      requests.add(user(500 + number, from: address), on: UInt64(500 + number))
    }
    let fresh = requests.fill()
    #expect(fresh.count == 3)
  }

  @Test func `a claim goes with its connection, and gives its place to the next`() {
    var requests = WriteRequests(limits: .init())
    for number in 0..<5 { requests.add(user(number, from: "192.0.2.66"), on: UInt64(number)) }
    _ = requests.fill()
    requests.leave(0)
    let fresh2 = requests.fill()
    #expect(fresh2.map(\.username) == ["user 3"])
    for number in 1..<5 { requests.leave(UInt64(number)) }
    #expect(requests.listed.isEmpty)
    #expect(requests.waitingCount == 0)
  }

  @Test func `a proven request outlives its connection, and gives way to others when it has gone`()
  {
    var requests = WriteRequests(limits: .init(proven: 3))
    for number in 0..<3 {
      requests.add(user(number, from: "h\(number)", proven: true), on: UInt64(number))
    }
    _ = requests.fill()
    requests.leave(1)
    #expect(requests.listed.count == 3)
    requests.add(user(7, from: "h7", proven: true), on: 7)
    _ = requests.fill()
    #expect(requests.listed.map(\.username) == ["user 0", "user 2", "user 7"])
    requests.add(user(8, from: "h8", proven: true), on: 8)
    let fresh3 = requests.fill()
    #expect(fresh3.isEmpty, "those that are here stay")
    requests.answer(user(0).key)
    let fresh4 = requests.fill()
    #expect(fresh4.map(\.username) == ["user 8"])
  }

  @Test func `a claim of a key that is proven beside it is hidden`() {
    var requests = WriteRequests(limits: .init())
    var claim = user(1, from: "192.0.2.66")
    claim.username = "rude"
    requests.add(claim, on: 1)
    requests.add(user(1, from: "192.0.2.7", proven: true), on: 2)
    _ = requests.fill()
    #expect(requests.listed.map(\.username) == ["user 1"])
    requests.leave(1)
    #expect(requests.listed.count == 1)
  }

  // MARK: In a room

  private func room(_ name: String, key: PublicKey? = nil) async throws -> Saga {
    var options = SagaOptions()
    options.authorization = .ask
    return try await Saga.open(
      storage: MemoryStorage(), key: key, username: name, options: options)
  }

  /// Connects a peer under its own name and key, or with a claim, as one of the reference that proves
  /// nothing.
  private func meet(
    _ saga: Saga, _ other: Saga, as claim: UserData? = nil, from address: String
  ) async throws -> ReplicationStream {
    let here = try await saga.replicate()
    let there: ReplicationStream
    if let claim {
      var options = ReplicationOptions.live
      options.proves = false
      options.userData = claim.bytes
      there = try await other.db.replicate(options)
    } else {
      there = try await other.replicate()
    }
    Task { await join(here, there) }
    Task { try? await saga.connect(here, from: address) }
    return here
  }

  private func request(_ events: SagaEvents, of key: PublicKey) async -> UserData? {
    for await event in events {
      if case .request(let user) = event, user.key == key { return user }
    }
    return nil
  }

  @Test
  func
    `refusing who claims another's key leaves the owner's proven request, and accepting is the owner's`()
    async throws
  {
    let ana = try await room("ana")
    try await ana.writeMessage("welcome")
    let bea = try await room("bea", key: ana.key)
    let mallory = try await room("mallory", key: ana.key)
    let events = ana.events(stored: .none)
    let rude = UserData(key: bea.db.localKey, username: "a rude name", timestamp: 1)
    let claim = try await meet(ana, mallory, as: rude, from: "192.0.2.66")
    let listed = try #require(await request(events, of: bea.db.localKey))
    #expect(!listed.isProven)
    #expect(listed.address == "192.0.2.66")
    await ana.refuse(listed.key)
    #expect(await ana.requests.isEmpty)
    // The owner comes, and its own name is asked about, beside that of the liar, too.
    let again = ana.events(stored: .none)
    _ = try await meet(ana, bea, from: "192.0.2.7")
    let own = try #require(await request(again, of: bea.db.localKey))
    #expect(own.isProven)
    #expect(own.username == "bea")
    #expect(await ana.users.map(\.username) == ["bea"])
    #expect(await ana.users.map(\.isProven) == [true])
    #expect(await ana.muted.isEmpty)
    await ana.accept(own.key)
    while await !bea.db.isLocalAuthorized { await Task.yield() }
    await claim.close()
    for saga in [ana, bea, mallory] { await saga.close() }
  }

  @Test func `a claim that goes with its connection is told to be gone, and no other`() async throws
  {
    let ana = try await room("ana")
    try await ana.writeMessage("welcome")
    let (one, other) = (try await room("one", key: ana.key), try await room("other", key: ana.key))
    let users = [one, other].map { UserData(key: $0.db.localKey, username: "x", timestamp: 1) }
    let events = ana.events(stored: .none)
    let first = try await meet(ana, one, as: users[0], from: "192.0.2.66")
    _ = try #require(await request(events, of: users[0].key))
    let second = try await meet(ana, other, as: users[1], from: "192.0.2.67")
    _ = try #require(await request(events, of: users[1].key))
    for (link, user) in [(first, users[0]), (second, users[1])] {
      await link.close()
      let gone = await events.compactMap { if case .requestGone(let key) = $0 { key } else { nil } }
        .first { _ in true }
      #expect(gone == user.key)
    }
    #expect(await ana.requests.isEmpty)
    for saga in [ana, one, other] { await saga.close() }
  }

  @Test func `a user is muted, told of once, and shown again`() async throws {
    let ana = try await room("ana")
    let key = KeyPair.generate().publicKey
    let events = ana.events(stored: .none)
    await ana.setMuted(true, key)
    await ana.setMuted(true, key)
    await ana.setMuted(true, ana.db.localKey)
    #expect(await ana.muted == [key])
    await ana.setMuted(false, key)
    #expect(await ana.muted.isEmpty)
    await ana.close()
    let told = await events.reduce(into: [SagaEvent]()) { all, event in
      if case .muted = event { all.append(event) }
    }
    #expect(told == [.muted(key, true), .muted(key, false)])
  }

  @Test func `whoever claims the key of a writer gets neither its standing nor its name`()
    async throws
  {
    let ana = try await room("ana")
    try await ana.writeMessage("welcome")
    let bea = try await room("bea", key: ana.key)
    let mallory = try await room("mallory", key: ana.key)
    let asked = ana.events(stored: .none)
    let link = try await meet(ana, bea, from: "192.0.2.7")
    _ = await request(asked, of: bea.db.localKey)
    await ana.accept(bea.db.localKey)
    while await !bea.db.isLocalAuthorized { await Task.yield() }
    let events = ana.events(stored: .none)
    try await bea.writeMessage("mine")
    for await event in events {
      if case .message(let message) = event, message.text == "mine" { break }
    }
    // A block that bea signed is here now. It shows nothing of whoever claims its key.
    let rude = UserData(key: bea.db.localKey, username: "a rude name", timestamp: 1)
    let claim = try await meet(ana, mallory, as: rude, from: "192.0.2.66")
    #expect(await claim.provenKey(within: .milliseconds(10)) == nil)
    while await ana.roster.claims[bea.db.localKey]?.count != 2 { await Task.yield() }
    #expect(await ana.users.map(\.username) == ["bea"])
    let changes = ana.events(stored: .none)
    await link.close()
    for await event in changes {
      guard case .change(let user) = event else { continue }
      #expect(user.username == "a rude name")
      #expect(!user.isProven)
      break
    }
    await claim.close()
    for saga in [ana, bea, mallory] { await saga.close() }
  }

  @Test func `a proof that was passed on from another connection proves nothing`() async throws {
    let ana = try await room("ana")
    try await ana.writeMessage("welcome")
    let bea = try await room("bea", key: ana.key)
    // Mallory can send everything that bea sends, and signs with a key of her own.
    let mallory = try await room("mallory", key: ana.key)
    let events = ana.events(stored: .none)
    let here = try await ana.replicate()
    var options = ReplicationOptions.live
    options.userData = bea.userData.bytes
    options.identity = await mallory.db.localIdentity
    let there = try await mallory.db.replicate(options)
    Task { await join(here, there) }
    Task { try? await ana.connect(here, from: "192.0.2.66") }
    let listed = try #require(await request(events, of: bea.db.localKey))
    #expect(!listed.isProven)
    #expect(await ana.users.first?.isProven == false)
    await here.close()
    for saga in [ana, bea, mallory] { await saga.close() }
  }

  @Test func `a hundred claims of one address show three, and go with their connections`()
    async throws
  {
    let ana = try await room("ana")
    try await ana.writeMessage("welcome")
    let mallory = try await room("mallory", key: ana.key)
    var streams: [ReplicationStream] = []
    for number in 0..<100 {
      streams.append(
        try await meet(ana, mallory, as: user(number), from: "192.0.2.66"))
    }
    while await ana.users.count < 100 { await Task.yield() }
    let bea = try await room("bea", key: ana.key)
    let events = ana.events(stored: .none)
    _ = try await meet(ana, bea, from: "192.0.2.7")
    #expect(await request(events, of: bea.db.localKey)?.isProven == true)
    while await ana.requests.count < 4 { await Task.yield() }
    #expect(await ana.requests.count == 4)
    #expect(await ana.requests.first?.username == "bea")
    for stream in streams { await stream.close() }
    while await ana.requests.count > 1 { await Task.yield() }
    #expect(await ana.requests.map(\.username) == ["bea"])
    for saga in [ana, bea, mallory] { await saga.close() }
  }
}

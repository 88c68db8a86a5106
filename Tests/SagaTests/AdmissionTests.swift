import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
@testable import Saga
import Testing

/// The authority to write: rooms that ask, and the limits of those that don't.
@Suite(.timeLimit(.minutes(1))) struct AdmissionTests {
  /// Joins two rooms until either end closes.
  private func connect(_ one: Saga, _ other: Saga) async throws -> ReplicationStream {
    let (left, right) = (try await one.replicate(), try await other.replicate())
    Task { await join(left, right) }
    Task { try? await one.connect(left) }
    Task { try? await other.connect(right) }
    return left
  }

  private func open(
    _ name: String, key: PublicKey? = nil, _ change: (inout SagaOptions) -> Void = { _ in }
  ) async throws -> Saga {
    var options = SagaOptions()
    change(&options)
    return try await Saga.open(
      storage: MemoryStorage(), key: key, username: name, options: options)
  }

  private func first<Value>(_ saga: Saga, _ pick: (SagaEvent) -> Value?) async throws -> Value {
    try await first(saga.events(), pick)
  }

  private func first<Value>(_ events: SagaEvents, _ pick: (SagaEvent) -> Value?) async throws
    -> Value
  {
    for await event in events { if let value = pick(event) { return value } }
    throw Ended()
  }

  private struct Ended: Error {}

  private func untilAuthorized(_ saga: Saga) async {
    let events = saga.events(stored: .none)
    if await saga.db.isLocalAuthorized { return }
    for await event in events { if case .authorized = event { return } }
  }

  @Test
  func
    `refusing holds here, another writer admits all the same, and who was refused can be let in later`()
    async throws
  {
    let ana = try await open("ana") { $0.authorization = .ask }
    try await ana.writeMessage("welcome")
    let bea = try await open("bea", key: ana.key)
    _ = try await connect(ana, bea)
    let asked = try await first(ana) { if case .request(let user) = $0 { user } else { nil } }
    #expect(asked.key == bea.db.localKey)
    await ana.accept(asked.key)
    await untilAuthorized(bea)

    let eve = try await open("eve", key: ana.key)
    let link = try await connect(ana, eve)
    let other = try await first(ana) {
      if case .request(let user) = $0, user.username == "eve" { user } else { nil }
    }
    #expect(other.isProven)
    await ana.refuse(other.key)
    #expect(await ana.requests.isEmpty)
    #expect(await !ana.db.isAuthorized(eve.db.localKey))
    #expect(await ana.muted.isEmpty, "refusing hides nothing")
    // The refusal concerned that connection: on a new one she asks again.
    await link.close()
    let again = ana.events(stored: .none)
    _ = try await connect(ana, eve)
    _ = try await first(again) {
      if case .request(let user) = $0, user.key == eve.db.localKey { user } else { nil }
    }
    await ana.refuse(eve.db.localKey)
    // To accept a user who was refused takes no new request.
    await ana.accept(eve.db.localKey)
    await untilAuthorized(eve)

    // Refused by one writer, and met by another whose room is open.
    let fay = try await open("fay", key: ana.key)
    _ = try await connect(ana, fay)
    let third = try await first(ana) {
      if case .request(let user) = $0, user.username == "fay" { user } else { nil }
    }
    await ana.refuse(third.key)
    _ = try await connect(bea, fay)
    await untilAuthorized(fay)
    try await fay.writeMessage("bea let me in")
    try await first(ana) {
      if case .message(let message) = $0, message.text == "bea let me in" { () } else { nil }
    }
    for saga in [fay, eve, bea, ana] { await saga.close() }
  }

  @Test func `a key that was accepted and then refused is not let in when its turn comes`()
    async throws
  {
    let owner = try await open("owner")
    try await owner.writeMessage("welcome")
    let ana = try await open("ana", key: owner.key) { $0.authorization = .ask }
    let cai = try await open("cai", key: owner.key)
    let refused = KeyPair.generate().publicKey
    // Ana is no writer yet, so both wait, the refused one first.
    await ana.accept(refused)
    await ana.accept(cai.db.localKey)
    await ana.refuse(refused)
    _ = try await connect(ana, cai)
    _ = try await connect(owner, ana)
    await untilAuthorized(cai)
    #expect(await ana.db.isAuthorized(cai.db.localKey))
    #expect(await !ana.db.isAuthorized(refused))
    for saga in [cai, ana, owner] { await saga.close() }
  }

  @Test func `a closure decides`() async throws {
    let ana = try await open("ana") { $0.authorization = .decide { $0.username == "bea" } }
    try await ana.writeMessage("welcome")
    let cai = try await open("cai", key: ana.key)
    let bea = try await open("bea", key: ana.key)
    _ = try await connect(ana, cai)
    _ = try await connect(ana, bea)
    await untilAuthorized(bea)
    #expect(await !ana.db.isAuthorized(cai.db.localKey))
    for saga in [cai, bea, ana] { await saga.close() }
  }

  @Test func `a closure's no leaves nothing behind, and it is asked again the next time`()
    async throws
  {
    let (decisions, decided) = AsyncStream.makeStream(of: Void.self)
    let ana = try await open("ana") {
      $0.authorization = .decide { _ in
        decided.yield()
        return false
      }
    }
    try await ana.writeMessage("welcome")
    let cai = try await open("cai", key: ana.key)
    var asked = decisions.makeAsyncIterator()
    for _ in 0..<2 {
      var events = ana.events(stored: .none).makeAsyncIterator()
      let link = try await connect(ana, cai)
      // A connection asks twice if its proof comes late, so that what was asked may be of the one before: without a
      // join there would be no leave.
      while let event = await events.next() { if case .join = event { break } }
      await asked.next()
      // A new connection asks again only once the answer has arrived.
      while await !ana.newcomers.isEmpty { await Task.yield() }
      await link.close()
      while let event = await events.next() { if case .leave = event { break } }
    }
    #expect(await ana.muted.isEmpty)
    #expect(await !ana.db.isAuthorized(cai.db.localKey))
    for saga in [cai, ana] { await saga.close() }
  }

  @Test func `in a room that is full newcomers wait, read, and are told of once`() async throws {
    let ana = try await open("ana") { $0.limits.feeds = 2 }
    try await ana.writeMessage("welcome")
    let bea = try await open("bea", key: ana.key)
    _ = try await connect(ana, bea)
    await untilAuthorized(bea)
    let cai = try await open("cai", key: ana.key)
    let events = ana.events(stored: .none)
    let link = try await connect(ana, cai)
    let reason = try await first(events) {
      if case .waiting(let user, let reason) = $0, user.username == "cai" { reason } else { nil }
    }
    #expect(reason.contains("as many feeds as it may, 2"))
    try await first(cai) {
      if case .message(let message) = $0, message.text == "welcome" { () } else { nil }
    }
    await link.close()
    _ = try await connect(ana, cai)
    #expect(await ana.db.feedCount == 2)
    for saga in [cai, bea, ana] { await saga.close() }
  }

  @Test func `more newcomers than a minute may have wait, and are told of`() async throws {
    let ana = try await open("ana") { $0.limits.perMinute = 2 }
    try await ana.writeMessage("welcome")
    var users: [Saga] = []
    let events = ana.events(stored: .none)
    for name in ["bea", "cai", "dan"] {
      let user = try await open(name, key: ana.key)
      users.append(user)
      _ = try await connect(ana, user)
    }
    let reason = try await first(events) {
      if case .waiting(_, let reason) = $0 { reason } else { nil }
    }
    #expect(reason.contains("more than 2 newcomers"))
    var isIn: [Bool] = []
    for user in users { isIn.append(await ana.db.isAuthorized(user.db.localKey)) }
    #expect(isIn.count { $0 } == 2)
    #expect(await ana.newcomers.count == 1)
    for saga in users + [ana] { await saga.close() }
  }

  @Test func `strangers with ever new keys don't fill the list of those who ask`() async throws {
    let ana = try await open("ana") {
      $0.authorization = .ask
      $0.limits.requests = 3
    }
    try await ana.writeMessage("welcome")
    for number in 0..<8 {
      let user = try await open("user \(number)", key: ana.key)
      let link = try await connect(ana, user)
      _ = try await first(ana) {
        if case .request(let asking) = $0, asking.key == user.db.localKey { asking } else { nil }
      }
      await link.close()
      while await !ana.users.isEmpty { await Task.yield() }
      await user.close()
    }
    #expect(await ana.requests.map(\.username) == ["user 5", "user 6", "user 7"])
    await ana.close()
  }
}

internal import DatCoding
internal import HyperDB
public import Hypercore
public import HypercoreCrypto
internal import HypercoreProtocol

extension Saga {
  /// Starts replicating with one peer. The connection stays open, carries this user's data, and proves to the
  /// peer that this side holds its key.
  ///
  /// - Returns: the connection, which a transport drives; pass it to ``connect(_:from:)`` as well.
  public func replicate() async throws -> ReplicationStream {
    var options = ReplicationOptions.live
    options.userData = userData.bytes
    options.identity = await db.localIdentity
    return try await db.replicate(options)
  }

  /// Follows the user at the other end: a join once the peer has announced its user, a leave when the
  /// connection ends, however it ends; and authorization according to the room's policy.
  ///
  /// Returns when the connection has ended.
  ///
  /// - Parameters:
  ///   - stream: the result of ``replicate()``.
  ///   - address: the numeric address of the other end, without port. It is shown beside unproven requests,
  ///     and limits their number.
  /// - Throws: ``SagaError`` with `noUserData` if the peer sends no data about its user, or none that can be
  ///   read; replication goes on until the connection's end all the same.
  public func connect(_ stream: ReplicationStream, from address: String? = nil) async throws {
    guard let handshake = await stream.handshake() else {
      try await stream.finished()
      return
    }
    guard let bytes = handshake.userData, var data = UserData(bytes: bytes) else {
      let problem =
        handshake.userData == nil
        ? "The peer does not have user data." : "The peer's user data is not a user's."
      throw SagaError(.noUserData, problem)
    }
    data.address = address
    lastConnection += 1
    let connection = lastConnection
    if roster.connect(data, on: connection) { send(.join(data)) }
    await db.expect(data.key)
    let meeting = Task { await meet(data, stream, on: connection) }
    let result: Result<Void, any Error>
    do {
      try await stream.finished()
      result = .success(())
    } catch {
      result = .failure(error)
    }
    meeting.cancel()
    let (gone, changed) = roster.disconnect(data.key, on: connection)
    if let gone { send(.leave(gone)) }
    if let changed { send(.change(changed)) }
    left(connection, data.key)
    try result.get()
  }

  // MARK: Proof of keys

  /// The time that a peer able to prove that it holds its key may take, before it counts as unable. The proof
  /// follows the handshake at once.
  private static let proofPatience = Duration.seconds(3)

  /// Handles the user of a connection: first as a claim of a key, then as the key's owner once that is proven.
  private func meet(_ claim: UserData, _ stream: ReplicationStream, on connection: UInt64) async {
    // An open room lets in on the claim, within its limits: peers of the reference can't prove anything.
    if case .open = options.authorization { welcome(claim) }
    var data = claim
    if await stream.provenKey(within: Self.proofPatience) == claim.key {
      data = proven(claim, on: connection)
    }
    if Task.isCancelled { return }
    await ask(data, on: connection)
    // A late proof is better than none.
    guard !data.isProven, await stream.canProve,
      await stream.provenKey(within: .seconds(3600)) == claim.key, !Task.isCancelled
    else { return }
    await ask(proven(claim, on: connection), on: connection)
  }

  /// Notes that the connection has shown to hold the key that it claims. A block that the key signed shows
  /// nothing of the kind: everybody in the room has it.
  private func proven(_ claim: UserData, on connection: UInt64) -> UserData {
    var data = claim
    data.isProven = true
    if let shown = roster.prove(claim.key, on: connection) { send(.change(shown)) }
    return data
  }

  // MARK: Authorization

  /// The users that want to write and wait for an answer: first those that have proven to hold their key, then
  /// those that merely claim one, see ``UserData/isProven``.
  public var requests: [UserData] { asking.listed }

  /// Authorizes a key, even one that was refused before. The key itself is authorized, whichever connection
  /// named it.
  public func accept(_ key: PublicKey) {
    if newcomers[key] == nil {
      let data = roster[key] ?? UserData(key: key, username: "", timestamp: 0)
      newcomers[key] = Newcomer(data: data, isAccepted: true, notBefore: .now)
    }
    newcomers[key]?.isAccepted = true
    setMuted(false, key)
    answered(key)
    tryNewcomers()
  }

  /// Drops a newcomer's current requests, as far as it is up to this peer: another writer may authorize it all
  /// the same, and it may ask again on a new connection. Its messages are not hidden for that; see
  /// ``setMuted(_:_:)``.
  public func refuse(_ key: PublicKey) {
    newcomers[key] = nil
    answered(key)
  }

  private func answered(_ key: PublicKey) {
    guard asking.contains(key) else { return }
    asking.answer(key)
    send(.requestGone(key))
    sendNewRequests()
  }

  private func left(_ connection: UInt64, _ key: PublicKey) {
    let wasListed = asking.listed.contains { $0.key == key }
    asking.leave(connection)
    if wasListed, !asking.listed.contains(where: { $0.key == key }) { send(.requestGone(key)) }
    sendNewRequests()
  }

  private func sendNewRequests() {
    for user in asking.fill() { send(.request(user)) }
  }

  /// Notes that what a feed holds is not to be shown here, or is again. Messages and events go on: a front end
  /// has to respect ``muted``. The user is not asked about a muted key.
  public func setMuted(_ isMuted: Bool, _ key: PublicKey) {
    guard key != db.localKey, muted.contains(key) != isMuted else { return }
    if isMuted { muted.insert(key) } else { muted.remove(key) }
    send(.muted(key, isMuted))
  }

  /// Authorizes a feed at once, whatever the policy.
  public func authorize(_ key: PublicKey) async throws {
    if await db.isAuthorized(key) { return }
    try await db.authorize(key)
  }

  /// Queues a newcomer, to be authorized when its turn comes.
  private func welcome(_ data: UserData) {
    guard data.key != db.localKey else { return }
    if newcomers[data.key] != nil { return newcomers.claimAgain(data, now: .now) }
    // Strangers with ever new keys must not fill memory.
    if newcomers.count >= options.limits.requests {
      guard newcomers.makeRoom(for: data, present: Set(roster.users.map(\.key))) else {
        if waits.take(now: .now, limit: Self.waitsPerMinute) == nil {
          send(.waiting(data, reason: "\(newcomers.count) others wait for an answer"))
        }
        return
      }
    }
    let others = max(roster.users.count - 1, 0)
    let delay = others == 0 ? 0 : Int.random(in: 0..<(100 * min(others, 10)), using: &random)
    newcomers[data.key] = Newcomer(
      data: data, isAccepted: true, notBefore: .now + .milliseconds(delay))
    Task {
      if await db.isAuthorized(data.key) { newcomers[data.key] = nil }
      tryNewcomers()
    }
  }

  /// Asks about a newcomer, if the policy says so.
  private func ask(_ data: UserData, on connection: UInt64) async {
    guard data.key != db.localKey else { return }
    switch options.authorization {
    case .open: return
    case .ask:
      guard await !db.isAuthorized(data.key), !Task.isCancelled, !muted.contains(data.key),
        newcomers[data.key] == nil
      else { return }
      asking.add(data, on: connection)
      sendNewRequests()
    case .decide(let decision):
      guard await !db.isAuthorized(data.key), newcomers[data.key] == nil else { return }
      // A refusal is not kept, so that strangers with ever new keys leave nothing behind. The next time the
      // closure is called again.
      if await decision(data) { accept(data.key) }
    }
  }

  /// Authorizes all newcomers that are due; runs again when another becomes so.
  func tryNewcomers() {
    guard isAuthorized, authorizer == nil, newcomers.hasDue else {
      return
    }
    authorizer = Task {
      await authorizeAll()
      authorizer = nil
    }
  }

  private func authorizeAll() async {
    while !isClosed, let next = newcomers.next(now: .now) {
      let key = next.data.key
      if next.notBefore > .now {
        try? await Task.sleep(until: next.notBefore, clock: .continuous)
        if Task.isCancelled { return }
        // Somebody whose turn comes first may have come meanwhile.
        if newcomers.next(now: .now)?.data.key != key { continue }
      }
      // Another peer may have been faster, and a room that is still empty here can't be written yet.
      if await db.isAuthorized(key) {
        newcomers[key] = nil
        continue
      }
      guard await db.hasContent else { return }
      if await db.feedCount >= options.limits.feeds {
        for key in newcomers.putOff(until: nil) {
          wait(key, "the room has as many feeds as it may, \(options.limits.feeds)")
        }
        return
      }
      if let free = burst.take(now: .now, limit: options.limits.perMinute) {
        for key in newcomers.putOff(until: free) {
          wait(key, "more than \(options.limits.perMinute) newcomers came within a minute")
        }
        continue
      }
      do {
        try await db.authorize(key)
        newcomers.letIn(key, now: .now)
      } catch {
        send(
          .error(SagaError(.database, "\(next.data.username) could not be authorized: \(error)")))
        return
      }
    }
  }

  /// The most newcomers a minute whose waiting is reported.
  private static let waitsPerMinute = 5

  private func wait(_ key: PublicKey, _ reason: String) {
    guard let newcomer = newcomers[key], !newcomer.waitWasTold else { return }
    newcomers[key]?.waitWasTold = true
    // Strangers can come by the hundred; the first few are enough to show it.
    guard waits.take(now: .now, limit: Self.waitsPerMinute) == nil else { return }
    send(.waiting(newcomer.data, reason: reason))
  }
}

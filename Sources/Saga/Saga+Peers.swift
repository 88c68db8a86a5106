internal import HyperDB
public import Hypercore
public import HypercoreCrypto
internal import HypercoreProtocol

/// Somebody who connected and may not write yet.
struct Newcomer {
  var data: UserData
  /// Whether the room's policy has said yes.
  var isAccepted: Bool
  /// Not before this: peers that meet a newcomer at once would all authorize it.
  var notBefore: ContinuousClock.Instant
  var waitWasTold = false
  /// Whether somebody was asked about them.
  var wasAskedAbout = false
  /// Whether the room is full; nothing more is tried then.
  var isShutOut = false

  var isDue: Bool { isAccepted && !isShutOut }
}

extension Saga {
  /// Starts replicating with one peer. The connection stays and carries this user's data.
  ///
  /// - Returns: the connection, which a transport drives; give it to ``connect(_:)`` as well.
  public func replicate() async throws -> ReplicationStream {
    var options = ReplicationOptions.live
    options.userData = userData.bytes
    return try await db.replicate(options)
  }

  /// Meets the user at the other end: a join once the peer has said who it is, a leave when the
  /// connection ends, however it ends; and authorization, as the room's policy says.
  ///
  /// Returns when the connection has ended.
  ///
  /// - Throws: ``SagaError`` with `noUserData` where the peer says nothing about its user, or
  ///   nothing that can be read; replication goes on until the connection's end all the same.
  public func connect(_ stream: ReplicationStream) async throws {
    guard let handshake = await stream.handshake() else {
      try await stream.finished()
      return
    }
    guard let bytes = handshake.userData, let data = UserData(bytes: bytes) else {
      let problem =
        handshake.userData == nil
        ? "The peer does not have user data." : "The peer's user data is no user's."
      throw SagaError(.noUserData, problem)
    }
    if roster.connect(data) { tell(.join(data)) }
    await db.expect(data.key)
    meet(data)
    let result: Result<Void, any Error>
    do {
      try await stream.finished()
      result = .success(())
    } catch {
      result = .failure(error)
    }
    if let gone = roster.disconnect(data.key) { tell(.leave(gone)) }
    try result.get()
  }

  // MARK: Authorization

  /// Those who want to write and wait for an answer.
  public var requests: [UserData] {
    newcomers.values.filter { !$0.isAccepted && $0.wasAskedAbout }.map(\.data)
      .sorted { ($0.username, $0.key.hex) < ($1.username, $1.key.hex) }
  }

  /// Lets a newcomer write, one that was refused before as well.
  public func accept(_ key: PublicKey) {
    if newcomers[key] == nil {
      guard refused.contains(key) || roster[key] != nil else { return }
      let data = roster[key] ?? UserData(key: key, username: "", timestamp: 0)
      newcomers[key] = Newcomer(data: data, isAccepted: true, notBefore: .now)
    }
    refused.remove(key)
    newcomers[key]?.isAccepted = true
    setMuted(false, key)
    tryNewcomers()
  }

  /// Does not let a newcomer write, as far as it is up to this peer, and mutes them here: another
  /// writer may let them in all the same.
  public func refuse(_ key: PublicKey) {
    newcomers[key] = nil
    refused.insert(key)
    setMuted(true, key)
  }

  /// Notes that what a feed holds is not to be shown here, or is again. Messages and events go on: it
  /// is for those who show them to heed ``muted``. Whoever is muted is not asked about.
  public func setMuted(_ isMuted: Bool, _ key: PublicKey) {
    guard key != db.localKey, muted.contains(key) != isMuted else { return }
    if isMuted { muted.insert(key) } else { muted.remove(key) }
    tell(.muted(key, isMuted))
  }

  /// Authorizes a feed at once, whatever the policy.
  public func authorize(_ key: PublicKey) async throws {
    if await db.isAuthorized(key) { return }
    try await db.authorize(key)
  }

  private func meet(_ data: UserData) {
    guard data.key != db.localKey, newcomers[data.key] == nil, !refused.contains(data.key),
      !(muted.contains(data.key) && options.authorization.isAsking)
    else { return }
    // Strangers with ever new keys must not fill memory: the one who is gone and has waited longest
    // makes room.
    if newcomers.count >= options.limits.requests {
      let present = Set(roster.users.map(\.key))
      let idle = newcomers.values.filter { !$0.isAccepted && !present.contains($0.data.key) }
      guard let oldest = idle.min(by: { $0.notBefore < $1.notBefore }) else {
        tell(.waiting(data, reason: "\(newcomers.count) others wait for an answer"))
        return
      }
      newcomers[oldest.data.key] = nil
    }
    let others = max(roster.users.count - 1, 0)
    let delay = others == 0 ? 0 : Int.random(in: 0..<(100 * min(others, 10)), using: &random)
    var newcomer = Newcomer(
      data: data, isAccepted: false, notBefore: .now + .milliseconds(delay))
    if case .open = options.authorization { newcomer.isAccepted = true }
    newcomers[data.key] = newcomer
    Task { await decide(data) }
  }

  private func decide(_ data: UserData) async {
    if await db.isAuthorized(data.key) {
      newcomers[data.key] = nil
      return
    }
    switch options.authorization {
    case .open: break
    case .ask:
      if newcomers[data.key]?.isAccepted == false {
        newcomers[data.key]?.wasAskedAbout = true
        tell(.request(data))
      }
    case .decide(let decision):
      // A no is not kept, so that strangers with ever new keys leave nothing: the next time they are
      // asked about again.
      if await decision(data) { accept(data.key) } else { newcomers[data.key] = nil }
    }
    tryNewcomers()
  }

  /// Authorizes whoever is due; runs again when somebody else becomes so.
  func tryNewcomers() {
    guard isAuthorized, authorizer == nil, newcomers.values.contains(where: \.isDue) else {
      return
    }
    authorizer = Task {
      await authorizeAll()
      authorizer = nil
    }
  }

  private func authorizeAll() async {
    while !isClosed,
      let next = newcomers.values.filter(\.isDue).min(by: { $0.notBefore < $1.notBefore })
    {
      let key = next.data.key
      if next.notBefore > .now {
        try? await Task.sleep(until: next.notBefore, clock: .continuous)
        if Task.isCancelled { return }
      }
      // Another peer may have been faster, and a room that is still empty here has no feed to write it in.
      if await db.isAuthorized(key) {
        newcomers[key] = nil
        continue
      }
      guard await db.hasContent else { return }
      if await db.feedCount >= options.limits.feeds {
        wait(key, "the room has as many feeds as it may, \(options.limits.feeds)")
        newcomers[key]?.isShutOut = true
        continue
      }
      if let free = burst.take(now: .now, limit: options.limits.perMinute) {
        wait(key, "more than \(options.limits.perMinute) newcomers came within a minute")
        newcomers[key]?.notBefore = free
        continue
      }
      do {
        try await db.authorize(key)
        newcomers[key] = nil
      } catch {
        tell(
          .error(SagaError(.database, "\(next.data.username) could not be authorized: \(error)")))
        return
      }
    }
  }

  private func wait(_ key: PublicKey, _ reason: String) {
    guard let newcomer = newcomers[key], !newcomer.waitWasTold else { return }
    newcomers[key]?.waitWasTold = true
    tell(.waiting(newcomer.data, reason: reason))
  }
}

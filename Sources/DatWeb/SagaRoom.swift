internal import HyperDB
public import HypercoreCrypto
public import Saga

/// A chat room of the Saga module as a room of the page.
public struct SagaRoom: RoomSource {
  private let saga: Saga
  private let asks: Bool

  /// - Parameters:
  ///   - saga: an open room.
  ///   - asks: whether it was opened with ``AuthorizationPolicy/ask``.
  public init(_ saga: Saga, asks: Bool = false) {
    self.saga = saga
    self.asks = asks
  }

  public var identity: RoomIdentity {
    get async {
      RoomIdentity(room: saga.key, own: saga.db.localKey, username: saga.username, asks: asks)
    }
  }

  public func open() async -> RoomOpening {
    let (changes, continuation) = AsyncStream<RoomChange>.makeStream()
    // Listening begins here: what changes between this and the questions below is told as well.
    let events = await saga.listen(stored: false)
    let reading = Task { [saga] in await Self.follow(events, of: saga, telling: continuation) }
    continuation.onTermination = { _ in reading.cancel() }
    let people = await saga.users
    let requests = await saga.requests
    let isAuthorized = await saga.db.isLocalAuthorized
    return RoomOpening(
      messages: await saga.messages.map(Self.message), people: people, requests: requests,
      isAuthorized: isAuthorized, muted: await saga.muted, changes: changes)
  }

  /// Tells one change of the room at a time.
  private static func follow(
    _ events: SagaEvents, of saga: Saga,
    telling continuation: AsyncStream<RoomChange>.Continuation
  ) async {
    // Own messages that no peer has fetched, by their place in the feed.
    var unsent: [(seq: UInt64, key: String)] = []
    var asking: Set<PublicKey> = []
    for await event in events {
      switch event {
      case .message(let message):
        continuation.yield(.message(Self.message(message)))
        if message.feed == saga.db.localKey { unsent.append((message.seq, message.key)) }
        // Whoever's messages are read was let in, by whichever writer.
        if asking.remove(message.feed) != nil { continuation.yield(.requestGone(message.feed)) }
      case .edit(let message), .conflict(let message):
        continuation.yield(.message(Self.message(message)))
      case .removal(let message): continuation.yield(.removal(key: message.key))
      case .unreadable(let key, let feed):
        continuation.yield(.unreadable(key: key, feed: feed))
      case .join(let user): continuation.yield(.join(user))
      case .leave(let user): continuation.yield(.leave(user))
      case .authorized: continuation.yield(.authorized)
      case .request(let user):
        asking.insert(user.key)
        continuation.yield(.request(user))
      case .waiting(let user, let reason):
        continuation.yield(.waiting(user, reason: reason))
      case .sent(let seq):
        for own in unsent where own.seq <= seq { continuation.yield(.sent(key: own.key)) }
        unsent.removeAll { $0.seq <= seq }
      case .forked(let evidence):
        let own = saga.db.localKey
        let sentence = Saga.sentence(for: evidence, own: own)
        continuation.yield(Saga.isFork(evidence, of: own) ? .forked(sentence) : .problem(sentence))
      case .error(let error): continuation.yield(.problem(error.reason))
      case .muted(let key, let isMuted): continuation.yield(.muted(key, isMuted))
      case .ready, .operation, .restored: break
      @unknown default: break
      }
    }
    // The room was closed.
    continuation.finish()
  }

  private static func message(_ message: Message) -> ChatMessage {
    ChatMessage(
      key: message.key, text: message.text, username: message.username,
      timestamp: message.timestamp, feed: message.feed, isEdited: message.isEdited,
      isConflicted: message.isConflicted)
  }

  public func write(_ text: String) async throws -> String { try await saga.writeMessage(text) }
  public func accept(_ key: PublicKey) async throws { await saga.accept(key) }
  public func refuse(_ key: PublicKey) async throws { await saga.refuse(key) }
  public func setMuted(_ isMuted: Bool, _ key: PublicKey) async {
    await saga.setMuted(isMuted, key)
  }

  /// Whose messages are hidden here.
  public var muted: Set<PublicKey> { get async { await saga.muted } }
}

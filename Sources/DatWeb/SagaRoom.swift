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
    let messages = await withCheckedContinuation { stored in
      let reading = Task { [saga] in
        await Self.follow(saga, telling: continuation) { stored.resume(returning: $0) }
      }
      continuation.onTermination = { _ in reading.cancel() }
    }
    // Listening began above: what changes between that and these questions is told as well.
    let people = await saga.users
    let requests = await saga.requests
    let isAuthorized = await saga.db.isLocalAuthorized
    return RoomOpening(
      messages: messages, people: people.map(Self.person), requests: requests.map(Self.person),
      isAuthorized: isAuthorized, changes: changes)
  }

  /// Reads the room's events: hands over the stored messages at once, then tells one change at a
  /// time.
  private static func follow(
    _ saga: Saga, telling continuation: AsyncStream<RoomChange>.Continuation,
    stored: ([ChatMessage]) -> Void
  ) async {
    var messages: [ChatMessage] = []
    messages.reserveCapacity(await saga.messageCount)
    var isReady = false
    // Own messages that no peer has fetched, by their place in the feed.
    var unsent: [(seq: UInt64, key: String)] = []
    var asking: Set<PublicKey> = []
    for await event in saga.events() {
      switch event {
      case .message(let message) where !isReady: messages.append(Self.message(message))
      case .ready where !isReady:
        isReady = true
        stored(messages)
        messages = []
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
      case .join(let user): continuation.yield(.join(Self.person(user)))
      case .leave(let user): continuation.yield(.leave(Self.person(user)))
      case .authorized: continuation.yield(.authorized)
      case .request(let user):
        asking.insert(user.key)
        continuation.yield(.request(Self.person(user)))
      case .waiting(let user, let reason):
        continuation.yield(.waiting(Self.person(user), reason: reason))
      case .sent(let seq):
        for own in unsent where own.seq <= seq { continuation.yield(.sent(key: own.key)) }
        unsent.removeAll { $0.seq <= seq }
      case .error(let error): continuation.yield(.problem(error.reason))
      case .ready: break
      @unknown default: break
      }
    }
    // The room was closed.
    if !isReady { stored(messages) }
    continuation.finish()
  }

  private static func message(_ message: Message) -> ChatMessage {
    ChatMessage(
      key: message.key, text: message.text, username: message.username,
      timestamp: message.timestamp, feed: message.feed, isEdited: message.isEdited,
      isConflicted: message.isConflicted)
  }

  private static func person(_ user: UserData) -> ChatPerson {
    ChatPerson(key: user.key, username: user.username, timestamp: user.timestamp)
  }

  public func write(_ text: String) async throws -> String { try await saga.writeMessage(text) }
  public func accept(_ key: PublicKey) async throws { await saga.accept(key) }
  public func refuse(_ key: PublicKey) async throws { await saga.refuse(key) }
}

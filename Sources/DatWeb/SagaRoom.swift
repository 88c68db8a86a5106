internal import HyperDB
public import HypercoreCrypto
public import Saga

/// A chat room of the Saga module as a room of the page.
public struct SagaRoom: RoomSource {
  private let saga: Saga
  private let asks: Bool
  /// Receives the muted feeds after each change.
  private let onMuted: @Sendable (Set<PublicKey>) async -> Void

  /// - Parameters:
  ///   - saga: an open room.
  ///   - asks: true if it was opened with ``AuthorizationPolicy/ask``.
  ///   - onMuted: receives the muted feeds after each change on the page, to store them.
  public init(
    _ saga: Saga, asks: Bool = false,
    onMuted: @escaping @Sendable (Set<PublicKey>) async -> Void = { _ in }
  ) {
    self.saga = saga
    self.asks = asks
    self.onMuted = onMuted
  }

  public var identity: RoomIdentity {
    get async {
      RoomIdentity(room: saga.key, own: saga.db.localKey, username: saga.username, asks: asks)
    }
  }

  public func events() async -> AsyncStream<SagaEvent> {
    let events = saga.events(stored: .none)
    return AsyncStream { await events.next() }
  }

  public var state: RoomState {
    get async {
      let own = await saga.db.feeds.first { $0.isLocal }
      return RoomState(
        people: await saga.users, requests: await saga.requests,
        isAuthorized: await saga.db.isLocalAuthorized, muted: await saga.muted,
        ownSeq: own.map { $0.length > 0 ? $0.length - 1 : 0 } ?? 0,
        isLoading: await !saga.isLoaded)
    }
  }

  public var messageCount: Int { get async { await saga.messageCount } }

  public func page(_ position: PagePosition, limit: Int) async -> MessagePage? {
    await saga.page(position, limit: limit)
  }

  public func message(_ id: Message.ID) async -> Message? { await saga.message(id) }

  public func messages(sharingKeyOf id: Message.ID) async -> [Message.ID] {
    await saga.messages(sharingKeyOf: id)
  }

  public func search(
    _ words: String, before place: Message.Place?, without feeds: Set<PublicKey>, limit: Int
  ) async -> [Message] {
    var found: [Message] = []
    for await message in saga.search(words, before: place, without: feeds) {
      found.append(message)
      if found.count == limit { break }
    }
    return found
  }

  public var authors: [Author] { get async { await saga.authors } }

  public func latestMessage(
    before place: Message.Place?, without feeds: Set<PublicKey>
  ) async -> Message? {
    await saga.latestMessage(before: place, without: feeds)
  }

  public func messageCount(
    after place: Message.Place?, without feeds: Set<PublicKey>
  ) async -> Int {
    await saga.messageCount(after: place, without: feeds)
  }

  public func write(_ text: String) async throws -> Message.ID { try await saga.writeMessage(text) }

  public func accept(_ key: PublicKey) async throws {
    await saga.accept(key)
    await onMuted(saga.muted)
  }

  public func refuse(_ key: PublicKey) async throws {
    await saga.refuse(key)
    await onMuted(saga.muted)
  }

  public func setMuted(_ isMuted: Bool, _ key: PublicKey) async {
    await saga.setMuted(isMuted, key)
    await onMuted(saga.muted)
  }
}

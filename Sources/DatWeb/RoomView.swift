internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
public import Saga

/// The view that all pages of one room share: who is here, who asks, and what changed since a page last
/// looked. The messages themselves stay in the room.
///
/// There is one for all pages of a room. It follows the room's events from ``open()`` to ``close()``.
public actor RoomView {
  nonisolated let source: any RoomSource
  /// The identity of this view: a page's numbers from another run mean nothing to it.
  nonisolated let run: String
  private let now: @Sendable () -> Int64
  private let patience: Duration

  private(set) var state = SharedState()
  /// The place up to which the user has seen the room here.
  private var readMark: Message.Place?

  /// Notifies the pages of changes.
  private let changes = Broadcast<ChangeQueue>()
  private var opening: Task<Void, Never>?
  private var follower: Task<Void, Never>?
  private var leaveTimer: Task<Void, Never>?
  /// True if nothing more will happen.
  private var hasEnded = false

  /// - Parameters:
  ///   - source: the room.
  ///   - patience: how long a person is away before it shows.
  ///   - now: returns milliseconds since 1970; nil for the system's clock.
  public init(
    _ source: any RoomSource, patience: Duration = Presence.olafsPatience,
    now: (@Sendable () -> Int64)? = nil
  ) {
    self.source = source
    self.now = now ?? { Int64(Date().timeIntervalSince1970 * 1_000) }
    self.patience = patience
    run = Secret.random(bytes: 8)
  }

  /// The identity of the room; nil before it is open.
  var identity: RoomIdentity? { state.identity }

  /// The number of the last change.
  var revision: Int { state.revisions.last }

  // MARK: Beginning and end

  /// Reads the room's state and starts to follow it. A second call only waits.
  public func open() async {
    if opening == nil {
      opening = Task { [source] in
        // Listening begins before the look, so that nothing is missed in between.
        let events = await source.events()
        let (identity, room) = (await source.identity, await source.state)
        state.start(identity, room, patience: patience, now: now())
        if readMark == nil {
          readMark = await source.latestMessage(before: horizon, without: [])?.place
        }
        follow(events)
      }
    }
    await opening?.value
  }

  private func follow(_ events: AsyncStream<SagaEvent>) {
    guard !hasEnded else { return }
    follower = Task { [weak self] in
      for await event in events {
        guard let self else { return }
        await self.handle(event)
      }
      await self?.end()
    }
  }

  /// Stops following and ends the streams of all pages.
  public func close() {
    follower?.cancel()
    leaveTimer?.cancel()
    end()
  }

  private func end() {
    hasEnded = true
    changes.finish()
  }

  // MARK: Changes

  /// Returns a stream with at least one signal after each change.
  func signals() -> AsyncStream<Void> {
    let changes = changes.subscribe(ChangeQueue())
    return AsyncStream { await changes.next() }
  }

  /// Notifies the pages if the state has changed.
  private func announce() {
    if state.commit() { changes.send(()) }
  }

  private func handle(_ event: SagaEvent) async {
    // The room is asked first: everything with one number is noted without a suspension.
    var others: [Message.ID] = []
    var name: String?
    switch event {
    case .message(let message) where message.sharesKey, .removal(let message):
      // Other feeds' messages may share its key now, or no longer.
      others = await source.messages(sharingKeyOf: message.id)
    case .unreadable(let id):
      name = await source.authors.first { $0.feed == id.feed }?.username
    default: break
    }
    state.handle(event, others: others, name: name, now: now())
    announce()
    if case .leave = event { scheduleLeave() }
  }

  /// Sleeps until the next leave is to be shown.
  private func scheduleLeave() {
    guard leaveTimer == nil, let time = state.people.nextLeave else { return }
    let wait = Duration.milliseconds(max(0, time - now()))
    leaveTimer = Task { [weak self] in
      try? await Task.sleep(for: wait)
      guard !Task.isCancelled else { return }
      await self?.showLeaves()
    }
  }

  private func showLeaves() {
    leaveTimer = nil
    state.showLeaves(now: now())
    announce()
    scheduleLeave()
  }

  // MARK: Actions of the user

  /// Writes a message and returns it; nil if the room was closed meanwhile.
  func write(_ text: String) async throws -> Message? {
    await source.message(try await source.write(text))
  }

  /// Answers a request. Refusing concerns only the pending requests: it hides nothing, since anybody can ask
  /// in the name of a key.
  func answer(_ key: PublicKey, accept: Bool) async throws {
    if accept { try await source.accept(key) } else { try await source.refuse(key) }
    state.noteAnswer(to: key, isAccepted: accept)
    announce()
  }

  /// Hides a feed's messages here, or shows them again.
  func setMuted(_ isMuted: Bool, _ key: PublicKey) async {
    guard key != identity?.own else { return }
    await source.setMuted(isMuted, key)
    state.noteMuted(isMuted, key)
    announce()
  }

  // MARK: The read mark

  /// Notes that the user has seen everything up to this place.
  public func markRead(upTo place: Message.Place) {
    if let readMark, !(readMark < place) { return }
    readMark = place
    state.noteOther()
    changes.send(())
  }

  /// The number of messages of others after the last place that was seen.
  var unread: Int {
    get async {
      let feeds = state.people.mutedAndOwn
      let ahead = await source.messageCount(after: horizon, without: feeds)
      return max(0, await source.messageCount(after: readMark, without: feeds) - ahead)
    }
  }

  /// The place after which messages don't show yet: their writers' clocks are ahead, or claim to be. Without
  /// it one writer could fill the end of the room for years, and nobody would see what is new.
  var horizon: Message.Place {
    Message.Place(
      timestamp: now() + Limits.ahead, id: Message.ID(keyBytes: [], feed: PublicKey()))
  }
}

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

  private(set) var identity: RoomIdentity?
  private(set) var changes = ChangeLog()
  private(set) var presence: Presence
  private(set) var requests = PendingRequests()
  private(set) var isAuthorized = false
  /// The feeds whose messages are hidden here.
  private(set) var muted: Set<PublicKey> = []
  private(set) var problem: String?
  /// The reason why nothing more is written here, if the user's own feed has two histories.
  private(set) var fork: String?
  /// The part of the stored messages that was read, in percent, while a room opens; nil once all were.
  private(set) var loaded: Int?
  /// The number of the last change.
  private(set) var revision = 0
  /// The number of the last change to each part of the state.
  private(set) var parts = Parts()
  /// The place up to which the user has seen the room here.
  private(set) var readMark: Message.Place?
  /// The user's own messages of this run.
  private var own = OwnDeliveries()

  private var listeners: [Int: AsyncStream<Void>.Continuation] = [:]
  private var nextListener = 0
  private var opening: Task<Void, Never>?
  private var follower: Task<Void, Never>?
  private var timer: Task<Void, Never>?
  /// True if nothing more will happen.
  private var hasEnded = false

  struct Parts {
    var people = 0
    var requests = 0
    var me = 0
    var notices = 0
    var problem = 0
    var fork = 0
    var loaded = 0
  }

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
    presence = Presence(patience: patience, now: 0)
  }

  /// Reads the room's state and starts to follow it. A second call only waits.
  public func open() async {
    if opening == nil {
      opening = Task { [source] in
        // Listening begins before the look, so that nothing is missed in between.
        let events = await source.events()
        start(await source.identity, await source.state)
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
    timer?.cancel()
    end()
  }

  private func start(_ identity: RoomIdentity, _ state: RoomState) {
    self.identity = identity
    presence = Presence(
      patience: patience, here: state.people.filter { $0.key != identity.own }, now: now())
    requests = PendingRequests(state.requests)
    isAuthorized = state.isAuthorized
    muted = state.muted
    loaded = state.isLoading ? 0 : nil
    own = OwnDeliveries(after: state.ownSeq)
  }

  // MARK: Events of the room

  /// Handles one event.
  func handle(_ event: SagaEvent) async {
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
    let number = revision + 1
    for other in others { changes.note(other, number) }
    if note(event, name: name, number) { announce(number) }
  }

  /// - Returns: true if the pages are to be notified.
  private func note(_ event: SagaEvent, name: String?, _ number: Int) -> Bool {
    switch event {
    case .message(let message), .edit(let message): note(message, number)
    case .removal(let message):
      changes.note(message.id, number)
      parts.people = number
    case .unreadable(let id):
      presence.noteUnreadable(id.feed, username: name, now: now())
      parts.notices = number
    case .waiting, .join, .change, .leave, .request, .requestGone, .muted:
      return notePerson(event, number)
    case .authorized:
      isAuthorized = true
      parts.me = number
    case .sent(let seq): for id in own.noteSent(seq) { changes.note(id, number) }
    case .forked(let evidence): noteFork(evidence, number)
    case .error(let error):
      problem = error.reason
      parts.problem = number
    case .loading(let done, let all):
      return noteLoaded(all > 0 ? Int(min(done, all) * 100 / all) : 0, number)
    case .ready:
      guard noteLoaded(nil, number) else { return false }
      // The pages have seen none of them.
      changes.removeAll(upTo: number)
    case .feedGone:
      // The pages look at the room anew.
      changes.removeAll(upTo: number)
      parts.people = number
    case .operation, .restored: return false
    @unknown default: return false
    }
    return true
  }

  /// Notes an event about a person.
  private func notePerson(_ event: SagaEvent, _ number: Int) -> Bool {
    switch event {
    case .waiting(let person, let reason):
      presence.noteWaiting(person, reason: reason, now: now())
      parts.notices = number
    case .join(let person):
      guard person.key != identity?.own else { return false }
      presence.join(person, now: now())
      parts.people = number
      parts.notices = number
    case .change(let person):
      guard person.key != identity?.own else { return false }
      presence.change(person)
      parts.people = number
    case .leave(let person):
      presence.leave(person.key, now: now())
      scheduleLeave()
      return false
    case .request(let person):
      guard requests.add(person) else { return false }
      parts.requests = number
    case .requestGone(let key):
      guard requests.remove(key) else { return false }
      parts.requests = number
    case .muted(let key, let isMuted):
      guard muted.contains(key) != isMuted else { return false }
      noteMuted(key, isMuted, number)
    default: return false
    }
    return true
  }

  private func noteLoaded(_ percent: Int?, _ number: Int) -> Bool {
    guard loaded != nil else { return false }
    loaded = percent
    parts.loaded = number
    return true
  }

  private func note(_ message: Message, _ number: Int) {
    changes.note(message.id, number)
    parts.people = number
    if message.feed == identity?.own { own.add(message) }
    // The author of a message that is read has been let in, by whichever writer.
    if requests.remove(message.feed) { parts.requests = number }
  }

  private func noteFork(_ evidence: ForkEvidence, _ number: Int) {
    let own = identity?.own ?? PublicKey()
    let sentence = Saga.sentence(for: evidence, own: own)
    if Saga.isFork(evidence, of: own) {
      fork = sentence
      parts.fork = number
    } else {
      problem = sentence
      parts.problem = number
    }
  }

  private func noteMuted(_ key: PublicKey, _ isMuted: Bool, _ number: Int) {
    if isMuted { muted.insert(key) } else { muted.remove(key) }
    parts.people = number
  }

  /// Announces the change of a number to the pages.
  private func announce(_ number: Int) {
    revision = number
    for listener in listeners.values { listener.yield() }
  }

  /// Sleeps until the next leave is to be shown.
  private func scheduleLeave() {
    guard timer == nil, let deadline = presence.deadline else { return }
    let wait = Duration.milliseconds(max(0, deadline - now()))
    timer = Task { [weak self] in
      try? await Task.sleep(for: wait)
      guard !Task.isCancelled else { return }
      await self?.showLeaves()
    }
  }

  private func showLeaves() {
    timer = nil
    if presence.tick(now()) {
      let number = revision + 1
      parts.people = number
      parts.notices = number
      announce(number)
    }
    scheduleLeave()
  }

  // MARK: Actions of the user

  /// Writes a message and returns it; nil if the room was closed meanwhile.
  func write(_ text: String) async throws -> Message? {
    await source.message(try await source.write(text))
  }

  private func end() {
    hasEnded = true
    for listener in listeners.values { listener.finish() }
    listeners = [:]
  }

  /// Answers a request. Refusing concerns only the pending requests: it hides nothing, since anybody can ask
  /// in the name of a key.
  func answer(_ key: PublicKey, accept: Bool) async throws {
    if accept { try await source.accept(key) } else { try await source.refuse(key) }
    let number = revision + 1
    if accept { noteMuted(key, false, number) }
    _ = requests.remove(key)
    parts.requests = number
    announce(number)
  }

  /// Hides a feed's messages here, or shows them again.
  func setMuted(_ isMuted: Bool, _ key: PublicKey) async {
    guard key != identity?.own else { return }
    await source.setMuted(isMuted, key)
    let number = revision + 1
    noteMuted(key, isMuted, number)
    announce(number)
  }

  /// Notes that the user has seen everything up to this place.
  public func markRead(upTo place: Message.Place) {
    if let readMark, !(readMark < place) { return }
    readMark = place
    announce(revision + 1)
  }

  /// The number of messages of others after the last place that was seen.
  var unread: Int {
    get async {
      var feeds = muted
      if let identity { feeds.insert(identity.own) }
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

  /// Returns the delivery of a message of the user; nil for any other, and for one from an earlier run.
  func delivery(of message: Message) -> Delivery? {
    message.feed == identity?.own ? own.delivery(of: message) : nil
  }

  // MARK: Signals

  /// Returns a stream with at least one signal after each change.
  func signals() -> AsyncStream<Void> {
    let id = nextListener
    nextListener += 1
    let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    if hasEnded { continuation.finish() }
    listeners[id] = continuation
    continuation.onTermination = { [weak self] _ in Task { await self?.removeListener(id) } }
    return stream
  }

  private func removeListener(_ id: Int) { listeners[id] = nil }
}

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
  private(set) var requests: [UserData] = []
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
  /// Own messages that no peer has fetched yet, by their block …
  private var unsent: [(seq: UInt64, id: Message.ID)] = []
  /// … the last block that was written before this run, and the last one that a peer has fetched in it.
  private var firstOwn: UInt64 = 0
  private var sent: UInt64 = 0

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
        await self.take(event)
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
    requests = Array(state.requests.prefix(Limits.requests))
    isAuthorized = state.isAuthorized
    muted = state.muted
    loaded = state.isLoading ? 0 : nil
    firstOwn = state.ownSeq
  }

  // MARK: Events of the room

  /// Handles one event.
  func take(_ event: SagaEvent) async {
    // The room is asked first: everything with one number is noted without a suspension.
    var others: [Message.ID] = []
    var name: String?
    switch event {
    case .message(let message) where message.sharesKey, .removal(let message):
      // Whether other feeds' messages share its key may have changed.
      others = await source.messages(sharingKeyOf: message.id)
    case .unreadable(let id):
      name = await source.authors.first { $0.feed == id.feed }?.username
    default: break
    }
    let number = revision + 1
    for other in others { changes.note(other, number) }
    if take(event, name: name, now: now(), number) { announce(number) }
  }

  /// - Returns: true if the pages are to be notified.
  private func take(_ event: SagaEvent, name: String?, now time: Int64, _ number: Int) -> Bool {
    switch event {
    case .message(let message), .edit(let message): note(message, number)
    case .removal(let message):
      changes.note(message.id, number)
      parts.people = number
    case .unreadable(let id):
      presence.noteUnreadable(id.feed, username: name, now: time)
      parts.notices = number
    case .waiting(let person, let reason):
      presence.noteWaiting(person, reason: reason, now: time)
      parts.notices = number
    case .join(let person):
      guard person.key != identity?.own else { return false }
      presence.join(person, now: time)
      parts.people = number
      parts.notices = number
    case .change(let person):
      guard person.key != identity?.own else { return false }
      presence.change(person)
      parts.people = number
    case .leave(let person):
      presence.leave(person.key, now: time)
      scheduleLeave()
      return false
    case .authorized:
      isAuthorized = true
      parts.me = number
    case .request(let person):
      guard noteRequest(person) else { return false }
      parts.requests = number
    case .requestGone(let key):
      guard requests.contains(where: { $0.key == key }) else { return false }
      forgetRequest(key, number)
    case .muted(let key, let isMuted):
      guard muted.contains(key) != isMuted else { return false }
      noteMuted(key, isMuted, number)
    case .sent(let seq):
      sent = max(sent, seq)
      for own in unsent where own.seq <= seq { changes.note(own.id, number) }
      unsent.removeAll { $0.seq <= seq }
    case .forked(let evidence): noteFork(evidence, number)
    case .error(let error):
      problem = error.reason
      parts.problem = number
    case .loading(let done, let all):
      guard loaded != nil else { return false }
      loaded = all > 0 ? Int(min(done, all) * 100 / all) : 0
      parts.loaded = number
    case .ready:
      guard loaded != nil else { return false }
      loaded = nil
      // The pages have seen none of them.
      changes.forgetAll(upTo: number)
      parts.loaded = number
    case .feedGone:
      // The pages look at the room anew.
      changes.forgetAll(upTo: number)
      parts.people = number
    case .operation, .restored: return false
    @unknown default: return false
    }
    return true
  }

  /// Lists a request, or that it is proven now; false if that changes nothing or there is no room.
  private func noteRequest(_ person: UserData) -> Bool {
    if let known = requests.firstIndex(where: { $0.key == person.key }) {
      guard person.isProven, requests[known] != person else { return false }
      requests[known] = person
      return true
    }
    // A claim is evicted for a request that is proven.
    if requests.count >= Limits.requests {
      guard person.isProven, let claim = requests.lastIndex(where: { !$0.isProven }) else {
        return false
      }
      requests.remove(at: claim)
    }
    requests.append(person)
    return true
  }

  private func note(_ message: Message, _ number: Int) {
    changes.note(message.id, number)
    parts.people = number
    if message.feed == identity?.own, message.seq > sent {
      unsent.append((message.seq, message.id))
    }
    // The author of a message that is read has been let in, by whichever writer.
    if requests.contains(where: { $0.key == message.feed }) { forgetRequest(message.feed, number) }
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

  private func forgetRequest(_ key: PublicKey, _ number: Int) {
    requests.removeAll { $0.key == key }
    parts.requests = number
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
    forgetRequest(key, number)
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
    guard message.feed == identity?.own, message.seq > firstOwn else { return nil }
    return message.seq <= sent ? .sent : .waiting
  }

  // MARK: Signals

  /// Returns a stream with at least one signal after each change.
  func signals() -> AsyncStream<Void> {
    let id = nextListener
    nextListener += 1
    let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    if hasEnded { continuation.finish() }
    listeners[id] = continuation
    continuation.onTermination = { [weak self] _ in Task { await self?.forgetListener(id) } }
    return stream
  }

  private func forgetListener(_ id: Int) { listeners[id] = nil }
}

/// The progress of the user's own message to others.
enum Delivery: String, Sendable {
  /// Written here; no peer has requested it yet.
  case waiting
  /// Its block was sent to a peer that had requested it.
  case sent
}

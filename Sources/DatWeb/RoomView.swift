internal import Foundation
internal import HypercoreCrypto
public import Saga

/// What the pages of one room look at: its messages in order, who is here, who asks, and what
/// changed since a page last looked.
///
/// One for all pages of a room. It follows the room's changes from ``open()`` to ``close()``.
public actor RoomView {
  nonisolated let source: any RoomSource
  /// Names this view: a page's numbers from another run mean nothing to it.
  nonisolated let run: String
  private let now: @Sendable () -> Int64
  private let patience: Duration

  private(set) var identity: RoomIdentity?
  private(set) var log = MessageLog([], seen: 0)
  /// The same for those who look at its order, which has its price after each change.
  var sortedLog: MessageLog {
    log.sortIn()
    return log
  }
  private(set) var presence: Presence
  private(set) var requests: [UserData] = []
  private(set) var isAuthorized = false
  /// Whose messages are hidden here.
  private(set) var muted: Set<PublicKey> = []
  /// Who wrote how much, when last, and under which name.
  private(set) var authors: [PublicKey: Author] = [:]
  private(set) var problem: String?
  /// Why nothing more is written here, where our own feed has two histories.
  private(set) var fork: String?
  /// The number of the last change.
  private(set) var revision = 0
  /// The number of the last change to each part of the state.
  private(set) var parts = Parts()
  /// Up to where somebody has looked at the room here.
  private(set) var readMark: Cursor?

  private var listeners: [Int: AsyncStream<Void>.Continuation] = [:]
  private var nextListener = 0
  private var opening: Task<Void, Never>?
  private var follower: Task<Void, Never>?
  private var timer: Task<Void, Never>?
  /// Writes that wait for their own message to arrive.
  private var awaited: [String: [CheckedContinuation<Void, Never>]] = [:]
  /// Whether nothing will happen any more.
  private var hasEnded = false

  struct Author {
    var messages: Int
    var last: Int64
    var username: String
  }

  struct Parts {
    var people = 0
    var requests = 0
    var me = 0
    var notices = 0
    var problem = 0
    var fork = 0
  }

  /// - Parameters:
  ///   - source: the room.
  ///   - patience: how long somebody is away before it shows.
  ///   - now: gives milliseconds since 1970; nil: the system's clock.
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

  /// Reads the room's state and starts to follow it. Only waits the second time.
  public func open() async {
    if opening == nil {
      opening = Task { [source] in
        let identity = await source.identity
        follow(identity, await source.open())
      }
    }
    await opening?.value
  }

  private func follow(_ identity: RoomIdentity, _ opening: RoomOpening) {
    start(identity, opening)
    // Without the messages, which would otherwise be kept twice.
    follower = Task { [weak self, changes = opening.changes] in
      for await change in changes {
        guard let self else { return }
        await self.apply(change)
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

  private func start(_ identity: RoomIdentity, _ opening: RoomOpening) {
    self.identity = identity
    let time = now()
    log = MessageLog(opening.messages, seen: time)
    for entry in log.entries { count(entry) }
    presence = Presence(
      patience: patience, here: opening.people.filter { $0.key != identity.own }, now: time)
    requests = Array(opening.requests.prefix(Limits.requests))
    isAuthorized = opening.isAuthorized
    muted = opening.muted
    if readMark == nil { readMark = log.entries.last?.cursor }
  }

  // MARK: What happens in the room

  /// Takes in one change.
  func apply(_ change: RoomChange) {
    let time = now()
    let number = revision + 1
    switch change {
    case .message(let message):
      let isNew = log[message.key] == nil
      let delivery = message.feed == identity?.own ? Delivery.waiting : nil
      guard log.put(message, seen: time, delivery: delivery, change: number) else { return }
      arrived(message.key)
      if isNew, let entry = log[message.key] {
        count(entry)
        parts.people = number
      }
    case .removal(let key):
      guard let entry = log.remove(key, change: number) else { return }
      authors[entry.message.feed]?.messages -= 1
      parts.people = number
    case .unreadable(_, let feed):
      presence.noteUnreadable(feed, username: authors[feed]?.username, now: time)
      parts.notices = number
    case .waiting(let person, let reason):
      presence.noteWaiting(person, reason: reason, now: time)
      parts.notices = number
    case .join(let person):
      guard person.key != identity?.own else { return }
      presence.join(person, now: time)
      parts.people = number
      parts.notices = number
    case .leave(let person):
      presence.leave(person.key, now: time)
      return scheduleLeave()
    case .authorized:
      isAuthorized = true
      parts.me = number
    case .request(let person):
      guard requests.count < Limits.requests else { return }
      guard !requests.contains(where: { $0.key == person.key }) else { return }
      requests.append(person)
      parts.requests = number
    case .requestGone(let key):
      requests.removeAll { $0.key == key }
      parts.requests = number
    case .muted(let key, let isMuted):
      guard muted.contains(key) != isMuted else { return }
      if isMuted { muted.insert(key) } else { muted.remove(key) }
      parts.people = number
    case .sent(let key):
      log.setDelivery(.sent, of: key, change: number)
    case .forked(let text):
      fork = text
      parts.fork = number
    case .problem(let text):
      problem = text
      parts.problem = number
    }
    announce()
  }

  private func count(_ entry: MessageLog.Entry) {
    let name = entry.message.username
    var author = authors[entry.message.feed] ?? Author(messages: 0, last: .min, username: name)
    author.messages += 1
    if entry.order >= author.last {
      author.last = entry.order
      author.username = name
    }
    authors[entry.message.feed] = author
  }

  private func announce() {
    revision += 1
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
      parts.people = revision + 1
      parts.notices = revision + 1
      announce()
    }
    scheduleLeave()
  }

  // MARK: What people do

  /// Writes a message and returns its entry; nil where the room was closed meanwhile.
  func write(_ text: String) async throws -> MessageLog.Entry? {
    let key = try await source.write(text)
    // The room has told of it already; it may still be on its way here.
    if log[key] == nil, !hasEnded {
      await withCheckedContinuation { awaited[key, default: []].append($0) }
    }
    return log[key]
  }

  private func arrived(_ key: String) {
    for waiter in awaited.removeValue(forKey: key) ?? [] { waiter.resume() }
  }

  private func end() {
    hasEnded = true
    for key in Array(awaited.keys) { arrived(key) }
    for listener in listeners.values { listener.finish() }
    listeners = [:]
  }

  /// Answers a request. Refusing hides the messages of that feed here, should another writer let
  /// it in.
  func answer(_ key: PublicKey, accept: Bool) async throws {
    if accept { try await source.accept(key) } else { try await source.refuse(key) }
    apply(.muted(key, !accept))
    apply(.requestGone(key))
  }

  /// Hides somebody's messages here, or shows them again.
  func setMuted(_ isMuted: Bool, _ key: PublicKey) async {
    guard key != identity?.own else { return }
    await source.setMuted(isMuted, key)
    apply(.muted(key, isMuted))
  }

  /// Notes that somebody has seen everything up to this place.
  public func markRead(upTo order: Int64, _ key: String) {
    let mark = Cursor(order: order, key: key)
    if let readMark, !(readMark < mark) { return }
    readMark = mark
    announce()
  }

  /// How many messages of others are after the last place that was seen.
  var unread: Int {
    let log = sortedLog
    let start = readMark.map(log.firstIndex(notBefore:)) ?? 0
    return log.entries[start...].count {
      $0.cursor != readMark && $0.message.feed != identity?.own
        && !muted.contains($0.message.feed)
    }
  }

  // MARK: Looking

  /// A signal a change or more, for as long as it is read.
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

internal import DatSignal

/// The manners of one application at one hub: who announces itself to whom, who offers a connection, and how
/// many are begun at a time.
///
/// ```
///   connect (heard) ─► browser: announce ourselves to it, so that it offers   ─► answer
///                      native:  the smaller id offers, the other announces
///   offer (heard)  ─► answer, unless ours to the same peer is out
/// ```
///
/// Browsers of 2018 keep the channel that they opened themselves, so theirs is used wherever there is one:
/// this side offers to a browser only if it never offers. Nothing that is said here is proven: an id ends no
/// connection, and what anybody says costs at most one of few places until the connection has opened.
///
/// Source: webrtc-swarm 2.9.0. Synchronous, without I/O, clock or chance of its own.
struct SignalAgent {
  /// Milliseconds of a clock that never goes back.
  typealias Instant = UInt64
  /// A connection, by number.
  typealias Link = Int

  enum Action: Hashable {
    /// To be said at the hub, on this channel.
    case say(SignalMessage, channel: String)
    /// A connection begins with an offer of ours; without a channel of ours if the other side is known to
    /// open its own.
    case offer(Link, to: String)
    /// A connection begins with this offer of theirs.
    case answer(Link, from: String, sdp: String)
    /// A signal for a connection.
    case take(Link, SignalMessage.Signal)
    /// A connection that was begun is given up.
    case drop(Link)
  }

  struct Limits: Hashable {
    /// Connections that have begun and are not open, in all.
    var pending = 16
    /// Connections of one id, open ones as well: a page that is loaded anew has two for a moment.
    var byID = 2
    /// Connections in all.
    var total = 64
    /// Ids that are remembered.
    var ids = 1024
    /// How long a connection may take to open.
    var patience: Instant = 30_000
    /// Announcements that a browser hears of us before this side offers.
    var silences = 3
    /// Messages of others that are looked at in a second, and at once.
    var messagesPerSecond = 100
    var burst = 400
  }

  private struct Peer {
    var isNative = false
    /// How often it announced itself, without an offer since.
    var announcements = 0
    /// When it was answered last.
    var answeredAt: Instant?
    var heardAt: Instant
  }

  private struct Connection {
    var id: String
    var isOffer: Bool
    var hasBeenAnswered = false
    var begunAt: Instant
    var isOpen = false
  }

  let id: String
  let limits: Limits
  private var random: any RandomNumberGenerator & Sendable
  private var peers: [Key: Peer] = [:]
  private var connections: [Link: Connection] = [:]
  private var actions: [Action] = []
  private var lastLink = 0
  private var announceAt: Instant?
  private var tokens: Double
  private var filledAt: Instant = 0
  /// Messages of others that were not looked at.
  private(set) var ignored = 0

  /// An id of a peer, compared by its bytes.
  private struct Key: Hashable {
    let bytes: [UInt8]
    init(_ id: String) { bytes = Array(id.utf8) }
  }

  init(
    id: String, limits: Limits = Limits(),
    random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.id = id
    self.limits = limits
    self.random = random
    tokens = Double(limits.burst)
  }

  // MARK: The hub

  /// The hub listens for us.
  mutating func connected(now: Instant) { announce(now) }

  /// The hub has gone: nothing is announced until it is back. Connections live on.
  mutating func disconnected() { announceAt = nil }

  private mutating func announce(_ now: Instant) {
    say(.connect(from: id, isNative: true), SignalMessage.announcements)
    func draw(_ range: Range<Instant>, _ random: inout some RandomNumberGenerator) -> Instant {
      .random(in: range, using: &random)
    }
    // Source: webrtc-swarm: often while alone, seldom in company.
    let isAlone = !connections.values.contains { $0.isOpen }
    announceAt = now + draw(isAlone ? 3000..<5000 : 13_000..<15_000, &random)
  }

  private mutating func say(_ message: SignalMessage, _ channel: String) {
    actions.append(.say(message, channel: channel))
  }

  // MARK: Messages

  /// Somebody said something, on the channel of all or on ours.
  mutating func heard(_ message: SignalMessage, now: Instant) {
    guard takes(now) else {
      ignored += 1
      return
    }
    switch message {
    case .connect(let from, let isNative): heardAnnouncement(from, isNative, now)
    case .signal(let from, let signal): heardSignal(from, signal, now)
    case .unknown: break
    }
  }

  private mutating func takes(_ now: Instant) -> Bool {
    let passed = Double(now &- min(filledAt, now)) / 1000
    tokens = min(Double(limits.burst), tokens + passed * Double(limits.messagesPerSecond))
    filledAt = now
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }

  private func isOurs(_ from: String) -> Bool { Key(from) == Key(id) }

  private mutating func heardAnnouncement(_ from: String, _ isNative: Bool, _ now: Instant) {
    guard !isOurs(from) else { return }
    var peer = peers[Key(from)] ?? Peer(heardAt: now)
    peer.isNative = isNative
    peer.heardAt = now
    defer { remember(from, peer) }
    // It has one with us, or one begins.
    if connections.values.contains(where: { Key($0.id) == Key(from) }) { return }
    peer.announcements += 1
    let offers =
      isNative
      ? Key(id).bytes.lexicographicallyPrecedes(Key(from).bytes)
      : peer.announcements > limits.silences
    if offers {
      if let link = begin(from, isOffer: true, now) {
        peer.announcements = 0
        actions.append(.offer(link, to: from))
      }
    } else if peer.answeredAt.map({ now >= $0 + 1000 }) ?? true {
      peer.answeredAt = now
      say(.connect(from: id, isNative: true), from)
    }
  }

  private mutating func remember(_ id: String, _ peer: Peer) {
    peers[Key(id)] = peer
    guard peers.count > limits.ids else { return }
    // The longest silent half goes, at a cost spread over as many ids.
    let old = peers.sorted { $0.value.heardAt < $1.value.heardAt }.prefix(limits.ids / 2)
    for (key, _) in old { peers[key] = nil }
  }

  private mutating func heardSignal(_ from: String, _ signal: SignalMessage.Signal, _ now: Instant)
  {
    guard !isOurs(from) else { return }
    if case .description(isOffer: true, let sdp) = signal { return heardOffer(from, sdp, now) }
    // To the youngest that awaits it: an older one has what it needs, or is about to be given up.
    let own = connections.filter { Key($0.value.id) == Key(from) && !$0.value.isOpen }
    guard let link = own.keys.max() else { return }
    if case .description = signal {
      guard own[link]?.isOffer == true, own[link]?.hasBeenAnswered == false else { return }
      connections[link]?.hasBeenAnswered = true
    }
    actions.append(.take(link, signal))
  }

  private mutating func heardOffer(_ from: String, _ sdp: String, _ now: Instant) {
    peers[Key(from)]?.announcements = 0
    let pending = connections.filter { Key($0.value.id) == Key(from) && !$0.value.isOpen }
    if let (link, connection) = pending.max(by: { $0.key < $1.key }) {
      if connection.isOffer, !connection.hasBeenAnswered {
        // Both offered. A browser takes ours back and answers it; of two native peers the smaller id's counts.
        let isNative = peers[Key(from)]?.isNative ?? false
        guard isNative, Key(from).bytes.lexicographicallyPrecedes(Key(id).bytes) else { return }
      }
      // It has begun again.
      drop(link)
    }
    guard let link = begin(from, isOffer: false, now) else { return }
    actions.append(.answer(link, from: from, sdp: sdp))
  }

  // MARK: Connections

  private mutating func begin(_ id: String, isOffer: Bool, _ now: Instant) -> Link? {
    let own = connections.values.filter { Key($0.id) == Key(id) }.count
    let pending = connections.values.filter { !$0.isOpen }.count
    guard own < limits.byID, pending < limits.pending, connections.count < limits.total else {
      ignored += 1
      return nil
    }
    lastLink += 1
    connections[lastLink] = Connection(id: id, isOffer: isOffer, begunAt: now)
    return lastLink
  }

  private mutating func drop(_ link: Link) {
    connections[link] = nil
    actions.append(.drop(link))
  }

  /// A connection has something to be carried to its other side.
  mutating func signal(_ link: Link, _ signal: SignalMessage.Signal) {
    guard let connection = connections[link] else { return }
    say(.signal(from: id, signal), connection.id)
  }

  /// A connection can carry bytes.
  mutating func opened(_ link: Link) { connections[link]?.isOpen = true }

  /// A connection is over.
  mutating func ended(_ link: Link, now: Instant) {
    guard let connection = connections.removeValue(forKey: link), connection.isOpen else { return }
    peers[Key(connection.id)]?.announcements = 0
    // Found again at once if it is still there.
    if announceAt != nil { announceAt = min(announceAt ?? now, now + 500) }
  }

  /// The peer that a connection is with, as it calls itself.
  func peer(_ link: Link) -> String? { connections[link]?.id }

  var connectionCount: Int { connections.count }
  var rememberedCount: Int { peers.count }

  // MARK: Time

  /// When ``fire(now:)`` has something to do.
  var deadline: Instant? {
    let pending = connections.values.filter { !$0.isOpen }.map { $0.begunAt + limits.patience }
      .min()
    return [announceAt, pending].compactMap { $0 }.min()
  }

  /// Does what is due.
  mutating func fire(now: Instant) {
    if let due = announceAt, now >= due { announce(now) }
    for (link, connection) in connections
    where !connection.isOpen && now >= connection.begunAt + limits.patience {
      drop(link)
    }
  }

  /// What to do next, in order; nil: nothing.
  mutating func nextAction() -> Action? { actions.isEmpty ? nil : actions.removeFirst() }
}

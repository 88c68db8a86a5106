package import DatSignal
internal import HypercoreCrypto

/// The protocol of one application at its hubs: which side announces itself and which offers a connection,
/// and how many are started at a time.
///
/// ```
///   connect (heard) ─► browser: announce ourselves to it, so that it offers   ─► answer
///                      native:  the smaller id offers, the other announces
///   offer (heard)  ─► answer, unless ours to the same peer is out
/// ```
///
/// Several hubs are used under one ID, so a peer that uses the same hubs is met once. The signals of one
/// connection go through one hub, the one at which it began: browsers of 2018 fail on an answer that comes
/// twice.
///
/// Browsers of 2018 keep the channel that they opened themselves, so theirs is used if there is one: this side
/// offers to a browser only if that never offers. Nothing in the messages is proven: an ID ends no connection,
/// and a message takes at most one of a few slots until the peer has proven that it speaks the protocol
/// of the room.
///
/// Source: webrtc-swarm 2.9.0. Synchronous, without I/O, a clock or randomness of its own.
package struct SignalAgent {
  /// Milliseconds of a clock that never goes back.
  package typealias Instant = UInt64
  /// A connection, by number.
  package typealias Link = Int
  /// A hub, by its index in the list.
  package typealias Hub = Int

  package enum Action: Hashable {
    /// Sends a message on this channel, at one hub, or at all for nil.
    case say(SignalMessage, channel: String, at: Hub?)
    /// Starts a connection with an offer.
    case offer(Link, to: String)
    /// Starts a connection with the peer's offer.
    case answer(Link, from: String, sdp: String)
    /// Applies a signal to a connection.
    case apply(Link, SignalMessage.Signal)
    /// Drops a connection that was begun in favour of another one.
    case drop(Link)
    /// Ends a connection with this peer that took too long: to open, or after that to complete the handshake.
    case giveUp(Link, of: String, wasOpen: Bool)
  }

  package struct Limits: Hashable, Sendable {
    /// All connections whose peers have not completed the handshake of the room's protocol.
    package var pending = 16
    /// Connections of one ID, open ones included: a page that is reloaded has two for a moment.
    package var byID = 2
    /// All connections.
    package var total = 64
    /// IDs that are remembered.
    package var ids = 1024
    /// The time that a connection may take to open, and after that to complete the protocol's handshake, in
    /// milliseconds. The connectivity checks end before, after 30 s, and know why.
    var patience: Instant = 40_000
    var handshakePatience: Instant = 10_000
    /// The announcements of a browser without an offer, after which this side offers.
    var silences = 3
    /// Incoming messages that are processed: a second, and in a burst.
    var messagesPerSecond = 100
    var burst = 400

    /// The default limits.
    package init() {}
  }

  private struct Peer {
    var isNative = false
    /// The number of times that it announced itself, without an offer since, and when it was last counted.
    var announcements = 0
    var countedAt: Instant?
    /// The time of the last answer.
    var answeredAt: Instant?
    var heardAt: Instant
    /// True if another transport leads to it.
    var isAside = false
  }

  private struct Connection {
    var id: String
    var hub: Hub
    /// The hash of the other side's offer; nil if this side offered.
    var offer: [UInt8]?
    var hasBeenAnswered = false
    /// The time at which it is given up; nil once the peer has completed the handshake.
    var deadline: Instant?
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
  /// Announcements are due at multiples of this time.
  private static let announcementStep: Instant = 500
  private var hubs: Set<Hub> = []
  private var tokens: Double
  private var filledAt: Instant = 0
  /// The number of messages that were not processed.
  private(set) var ignored = 0

  /// The ID of a peer, compared by its bytes.
  private struct Key: Hashable {
    let bytes: [UInt8]
    init(_ id: String) { bytes = Array(id.utf8) }
  }

  package init(
    id: String, limits: Limits = Limits(),
    random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.id = id
    self.limits = limits
    self.random = random
    tokens = Double(limits.burst)
  }

  // MARK: Hubs

  /// Notes that this side is subscribed at a hub.
  package mutating func connected(_ hub: Hub, now: Instant) {
    hubs.insert(hub)
    announce(now, at: hub)
  }

  /// Notes that a hub has gone. Without any hub nothing is announced. Connections stay.
  package mutating func disconnected(_ hub: Hub) {
    hubs.remove(hub)
    if hubs.isEmpty { announceAt = nil }
  }

  private mutating func announce(_ now: Instant, at hub: Hub?) {
    say(.connect(from: id, isNative: true), SignalMessage.announcements, hub)
    func draw(_ range: Range<Instant>, _ random: inout some RandomNumberGenerator) -> Instant {
      .random(in: range, using: &random)
    }
    // Source: webrtc-swarm: often while alone, seldom otherwise; here at multiples of a step, so that a process with
    // many topics wakes for several at once.
    let isAlone = !connections.values.contains { $0.isOpen }
    let (earliest, latest): (Instant, Instant) = isAlone ? (3000, 5000) : (13_000, 15_000)
    let due = now + draw(earliest + Self.announcementStep..<latest, &random)
    announceAt = due - due % Self.announcementStep
  }

  private mutating func say(_ message: SignalMessage, _ channel: String, _ hub: Hub?) {
    actions.append(.say(message, channel: channel, at: hub))
  }

  // MARK: Messages

  /// Handles a message at a hub, on the common channel or on this side's own.
  package mutating func heard(_ message: SignalMessage, at hub: Hub = 0, now: Instant) {
    guard admits(now) else {
      ignored += 1
      return
    }
    switch message {
    case .connect(let from, let isNative): heardAnnouncement(from, isNative, hub, now)
    case .signal(let from, let signal): heardSignal(from, signal, hub, now)
    case .unknown: break
    }
  }

  /// Counts a message, and returns whether it is handled: there are limits to how fast they may come.
  private mutating func admits(_ now: Instant) -> Bool {
    let passed = Double(now &- min(filledAt, now)) / 1000
    tokens = min(Double(limits.burst), tokens + passed * Double(limits.messagesPerSecond))
    filledAt = now
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }

  private func isOurs(_ from: String) -> Bool { Key(from) == Key(id) }

  private mutating func heardAnnouncement(
    _ from: String, _ isNative: Bool, _ hub: Hub, _ now: Instant
  ) {
    guard !isOurs(from) else { return }
    var peer = peers[Key(from)] ?? Peer(heardAt: now)
    peer.isNative = isNative
    peer.heardAt = now
    defer { remember(from, peer) }
    guard !peer.isAside else { return }
    let own = connections.values.filter { Key($0.id) == Key(from) }
    // One is starting; or the peer is native, uses each ID once, and has one.
    if own.contains(where: { isNative || !$0.isOpen }) { return }
    // It comes once through each hub.
    if own.isEmpty, peer.countedAt.map({ now >= $0 + 1000 }) ?? true {
      peer.announcements += 1
      peer.countedAt = now
    }
    let offers =
      isNative
      ? Key(id).bytes.lexicographicallyPrecedes(Key(from).bytes)
      : own.isEmpty && peer.announcements > limits.silences
    if offers {
      if let link = begin(from, at: hub, offer: nil, now) {
        peer.announcements = 0
        actions.append(.offer(link, to: from))
      }
    } else if peer.answeredAt.map({ now >= $0 + 1000 }) ?? true {
      // A page that was reloaded has an open connection here but doesn't know of it.
      peer.answeredAt = now
      say(.connect(from: id, isNative: true), from, hub)
    }
  }

  private mutating func remember(_ id: String, _ peer: Peer) {
    peers[Key(id)] = peer
    guard peers.count > limits.ids else { return }
    // The half that has been silent longest is evicted, at a cost spread over as many IDs.
    let old = peers.sorted { $0.value.heardAt < $1.value.heardAt }.prefix(limits.ids / 2)
    for (key, _) in old { peers[key] = nil }
  }

  private mutating func heardSignal(
    _ from: String, _ signal: SignalMessage.Signal, _ hub: Hub, _ now: Instant
  ) {
    guard !isOurs(from), peers[Key(from)]?.isAside != true else { return }
    if case .description(isOffer: true, let sdp) = signal { return heardOffer(from, sdp, hub, now) }
    // For the youngest connection that still waits: an older one has what it needs, or will be cancelled.
    let own = connections.filter { Key($0.value.id) == Key(from) && !$0.value.isOpen }
    guard let link = own.keys.max() else { return }
    if case .description = signal {
      guard own[link]?.offer == nil, own[link]?.hasBeenAnswered == false else { return }
      connections[link]?.hasBeenAnswered = true
    }
    actions.append(.apply(link, signal))
  }

  private mutating func heardOffer(_ from: String, _ sdp: String, _ hub: Hub, _ now: Instant) {
    peers[Key(from)]?.announcements = 0
    let offer = SHA256.hash(Array(sdp.utf8))
    // The same offer again, through another hub.
    if connections.values.contains(where: { $0.offer == offer && Key($0.id) == Key(from) }) {
      return
    }
    let pending = connections.filter { Key($0.value.id) == Key(from) && !$0.value.isOpen }
    if let (link, connection) = pending.max(by: { $0.key < $1.key }) {
      if connection.offer == nil, !connection.hasBeenAnswered {
        // Both offered. A browser drops this side's offer and answers; of two native peers the offer of the
        // smaller ID counts.
        let isNative = peers[Key(from)]?.isNative ?? false
        guard isNative, Key(from).bytes.lexicographicallyPrecedes(Key(id).bytes) else { return }
      }
      // The peer has started again.
      drop(link)
    }
    guard let link = begin(from, at: hub, offer: offer, now) else { return }
    actions.append(.answer(link, from: from, sdp: sdp))
  }

  // MARK: Connections

  private mutating func begin(_ id: String, at hub: Hub, offer: [UInt8]?, _ now: Instant) -> Link? {
    let own = connections.values.filter { Key($0.id) == Key(id) }.count
    let pending = connections.filter { $0.value.deadline != nil }
    guard own < limits.byID, makesRoom(pending), connections.count < limits.total else {
      ignored += 1
      return nil
    }
    lastLink += 1
    connections[lastLink] = Connection(
      id: id, hub: hub, offer: offer, deadline: now + limits.patience)
    return lastLink
  }

  /// Drops one that is not open, at random, if there are too many: an honest peer needs its slot for less than
  /// a second, and a stranger with made-up peers can't keep it from getting one.
  private mutating func makesRoom(_ pending: [Link: Connection]) -> Bool {
    guard pending.count >= limits.pending else { return true }
    let closed = pending.filter { !$0.value.isOpen }.keys.sorted()
    func draw(_ random: inout some RandomNumberGenerator) -> Link? {
      closed.randomElement(using: &random)
    }
    guard let link = draw(&random) else { return false }
    drop(link)
    return true
  }

  private mutating func drop(_ link: Link) {
    connections[link] = nil
    actions.append(.drop(link))
  }

  /// Sends a signal of a connection to its other side.
  package mutating func signal(_ link: Link, _ signal: SignalMessage.Signal) {
    guard let connection = connections[link] else { return }
    say(.signal(from: id, signal), connection.id, connection.hub)
  }

  /// Notes that a connection is ready.
  package mutating func opened(_ link: Link, now: Instant) {
    guard connections[link]?.isOpen == false else { return }
    connections[link]?.isOpen = true
    let deadline = now + limits.handshakePatience
    connections[link]?.deadline = deadline
  }

  /// Notes that a connection's peer has completed the handshake of the room's protocol.
  package mutating func confirmed(_ link: Link) { connections[link]?.deadline = nil }

  /// Notes that another transport leads to the peer of this ID, or no longer does. No connection to it is made
  /// meanwhile.
  package mutating func setAside(_ id: String, _ isAside: Bool, now: Instant) {
    guard isAside || peers[Key(id)] != nil else { return }
    var peer = peers[Key(id)] ?? Peer(heardAt: now)
    peer.isAside = isAside
    remember(id, peer)
    if !isAside { announceSoon(now) }
  }

  /// Notes the end of a connection.
  package mutating func ended(_ link: Link, now: Instant) {
    guard let connection = connections.removeValue(forKey: link), connection.isOpen else { return }
    peers[Key(connection.id)]?.announcements = 0
    // Found again at once if the peer is still there.
    announceSoon(now)
  }

  private mutating func announceSoon(_ now: Instant) {
    if let due = announceAt { announceAt = min(due, now + 500) }
  }

  /// Returns the ID that a connection's peer announces.
  func peer(_ link: Link) -> String? { connections[link]?.id }

  /// Returns true if a connection can carry bytes.
  func isOpen(_ link: Link) -> Bool { connections[link]?.isOpen ?? false }

  /// Returns the hub through which the youngest connection with a peer began.
  func hub(ofPeer id: String) -> Hub? {
    connections.filter { Key($0.value.id) == Key(id) }.max { $0.key < $1.key }?.value.hub
  }

  package var connectionCount: Int { connections.count }
  package var rememberedCount: Int { peers.count }

  // MARK: Time

  /// The time at which ``fire(now:)`` has something to do.
  package var deadline: Instant? {
    let pending = connections.values.compactMap(\.deadline).min()
    return [announceAt, pending].compactMap { $0 }.min()
  }

  /// Does what is due.
  package mutating func fire(now: Instant) {
    if let due = announceAt, now >= due { announce(now, at: nil) }
    for (link, connection) in connections {
      guard let deadline = connection.deadline, now >= deadline else { continue }
      connections[link] = nil
      actions.append(.giveUp(link, of: connection.id, wasOpen: connection.isOpen))
    }
  }

  /// Returns the next thing to do, in order; nil: nothing.
  package mutating func nextAction() -> Action? { actions.isEmpty ? nil : actions.removeFirst() }
}

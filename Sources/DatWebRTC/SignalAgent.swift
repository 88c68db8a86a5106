package import DatSignal
internal import HypercoreCrypto

/// The manners of one application at its hubs: who announces itself to whom, who offers a connection, and how
/// many are begun at a time.
///
/// ```
///   connect (heard) ─► browser: announce ourselves to it, so that it offers   ─► answer
///                      native:  the smaller id offers, the other announces
///   offer (heard)  ─► answer, unless ours to the same peer is out
/// ```
///
/// Several hubs are used under one id, so a peer that uses the same ones is met once. What belongs to one
/// connection goes through one hub, the one where it began: browsers of 2018 fail on an answer that comes twice.
///
/// Browsers of 2018 keep the channel that they opened themselves, so theirs is used wherever there is one:
/// this side offers to a browser only if it never offers. Nothing that is said here is proven: an id ends no
/// connection, and what anybody says costs at most one of few places until the peer has shown that it speaks the
/// protocol of the room.
///
/// Source: webrtc-swarm 2.9.0. Synchronous, without I/O, clock or chance of its own.
package struct SignalAgent {
  /// Milliseconds of a clock that never goes back.
  package typealias Instant = UInt64
  /// A connection, by number.
  package typealias Link = Int
  /// A hub, by its place in the list.
  package typealias Hub = Int

  package enum Action: Hashable {
    /// To be said at a hub, or at all for nil, on this channel.
    case say(SignalMessage, channel: String, at: Hub?)
    /// A connection begins with an offer of ours.
    case offer(Link, to: String)
    /// A connection begins with this offer of theirs.
    case answer(Link, from: String, sdp: String)
    /// A signal for a connection.
    case take(Link, SignalMessage.Signal)
    /// A connection that was begun is given up for another one.
    case drop(Link)
    /// One with this peer is given up for it took too long: to open, or after that to complete the handshake.
    case giveUp(Link, of: String, wasOpen: Bool)
  }

  package struct Limits: Hashable, Sendable {
    /// Connections whose peers have not completed the handshake of the room's protocol, in all.
    package var pending = 16
    /// Connections of one id, open ones as well: a page that is loaded anew has two for a moment.
    package var byID = 2
    /// Connections in all.
    package var total = 64
    /// Ids that are remembered.
    package var ids = 1024
    /// The time that a connection may take to open, and after that to complete the protocol's handshake. The checks
    /// give up before, after 30 s, and know why.
    var patience: Instant = 40_000
    var handshakePatience: Instant = 10_000
    /// Announcements that a browser hears of us before this side offers.
    var silences = 3
    /// Messages of others that are looked at in a second, and at once.
    var messagesPerSecond = 100
    var burst = 400

    /// The limits as they are.
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
    /// Another transport leads to it.
    var isAside = false
  }

  private struct Connection {
    var id: String
    var hub: Hub
    /// The hash of the other side's offer; nil if the offer is ours.
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
  private var hubs: Set<Hub> = []
  private var tokens: Double
  private var filledAt: Instant = 0
  /// Messages of others that were not looked at.
  private(set) var ignored = 0

  /// An id of a peer, compared by its bytes.
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

  // MARK: The hub

  /// A hub listens for us.
  package mutating func connected(_ hub: Hub, now: Instant) {
    hubs.insert(hub)
    announce(now, at: hub)
  }

  /// A hub has gone: without any nothing is announced. Connections live on.
  package mutating func disconnected(_ hub: Hub) {
    hubs.remove(hub)
    if hubs.isEmpty { announceAt = nil }
  }

  private mutating func announce(_ now: Instant, at hub: Hub?) {
    say(.connect(from: id, isNative: true), SignalMessage.announcements, hub)
    func draw(_ range: Range<Instant>, _ random: inout some RandomNumberGenerator) -> Instant {
      .random(in: range, using: &random)
    }
    // Source: webrtc-swarm: often while alone, seldom in company.
    let isAlone = !connections.values.contains { $0.isOpen }
    announceAt = now + draw(isAlone ? 3000..<5000 : 13_000..<15_000, &random)
  }

  private mutating func say(_ message: SignalMessage, _ channel: String, _ hub: Hub?) {
    actions.append(.say(message, channel: channel, at: hub))
  }

  // MARK: Messages

  /// Somebody said something at a hub, on the channel of all or on ours.
  package mutating func heard(_ message: SignalMessage, at hub: Hub = 0, now: Instant) {
    guard takes(now) else {
      ignored += 1
      return
    }
    switch message {
    case .connect(let from, let isNative): heardAnnouncement(from, isNative, hub, now)
    case .signal(let from, let signal): heardSignal(from, signal, hub, now)
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
    // One begins; or it is native, whose ids are each used once, and has one.
    if own.contains(where: { isNative || !$0.isOpen }) { return }
    // Through several hubs it comes several times.
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
      // A page that was loaded anew has an open connection here and knows nothing of it.
      peer.answeredAt = now
      say(.connect(from: id, isNative: true), from, hub)
    }
  }

  private mutating func remember(_ id: String, _ peer: Peer) {
    peers[Key(id)] = peer
    guard peers.count > limits.ids else { return }
    // The longest silent half goes, at a cost spread over as many ids.
    let old = peers.sorted { $0.value.heardAt < $1.value.heardAt }.prefix(limits.ids / 2)
    for (key, _) in old { peers[key] = nil }
  }

  private mutating func heardSignal(
    _ from: String, _ signal: SignalMessage.Signal, _ hub: Hub, _ now: Instant
  ) {
    guard !isOurs(from), peers[Key(from)]?.isAside != true else { return }
    if case .description(isOffer: true, let sdp) = signal { return heardOffer(from, sdp, hub, now) }
    // To the youngest that awaits it: an older one has what it needs, or is about to be given up.
    let own = connections.filter { Key($0.value.id) == Key(from) && !$0.value.isOpen }
    guard let link = own.keys.max() else { return }
    if case .description = signal {
      guard own[link]?.offer == nil, own[link]?.hasBeenAnswered == false else { return }
      connections[link]?.hasBeenAnswered = true
    }
    actions.append(.take(link, signal))
  }

  private mutating func heardOffer(_ from: String, _ sdp: String, _ hub: Hub, _ now: Instant) {
    peers[Key(from)]?.announcements = 0
    let offer = SHA256.hash(Array(sdp.utf8))
    // The same one again, through another hub.
    if connections.values.contains(where: { $0.offer == offer && Key($0.id) == Key(from) }) {
      return
    }
    let pending = connections.filter { Key($0.value.id) == Key(from) && !$0.value.isOpen }
    if let (link, connection) = pending.max(by: { $0.key < $1.key }) {
      if connection.offer == nil, !connection.hasBeenAnswered {
        // Both offered. A browser takes ours back and answers it; of two native peers the smaller id's counts.
        let isNative = peers[Key(from)]?.isNative ?? false
        guard isNative, Key(from).bytes.lexicographicallyPrecedes(Key(id).bytes) else { return }
      }
      // It has begun again.
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

  /// Has any of those that are not open give way if there are too many: an honest peer needs its place for
  /// less than a second, and whoever makes up peers can't keep it from getting one.
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

  /// A connection has something to be carried to its other side.
  package mutating func signal(_ link: Link, _ signal: SignalMessage.Signal) {
    guard let connection = connections[link] else { return }
    say(.signal(from: id, signal), connection.id, connection.hub)
  }

  /// A connection can carry bytes.
  package mutating func opened(_ link: Link, now: Instant) {
    guard connections[link]?.isOpen == false else { return }
    connections[link]?.isOpen = true
    let deadline = now + limits.handshakePatience
    connections[link]?.deadline = deadline
  }

  /// Its peer has completed the handshake of the room's protocol.
  package mutating func confirmed(_ link: Link) { connections[link]?.deadline = nil }

  /// Another transport leads to the peer of this id, or no longer does: no connection is made with it
  /// meanwhile.
  package mutating func setAside(_ id: String, _ isAside: Bool, now: Instant) {
    guard isAside || peers[Key(id)] != nil else { return }
    var peer = peers[Key(id)] ?? Peer(heardAt: now)
    peer.isAside = isAside
    remember(id, peer)
    if !isAside { announceSoon(now) }
  }

  /// A connection is over.
  package mutating func ended(_ link: Link, now: Instant) {
    guard let connection = connections.removeValue(forKey: link), connection.isOpen else { return }
    peers[Key(connection.id)]?.announcements = 0
    // Found again at once if it is still there.
    announceSoon(now)
  }

  private mutating func announceSoon(_ now: Instant) {
    if let due = announceAt { announceAt = min(due, now + 500) }
  }

  /// The peer that a connection is with, as it calls itself.
  func peer(_ link: Link) -> String? { connections[link]?.id }

  /// Returns true if a connection can carry bytes.
  func isOpen(_ link: Link) -> Bool { connections[link]?.isOpen ?? false }

  /// The hub through which the youngest connection with a peer began.
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

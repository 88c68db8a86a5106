/// The listeners at a hub, and how much each may say. Synchronous, without I/O or clock of its own.
///
/// A message goes to all current subscribers, its sender included; nothing is kept. The two kinds of
/// clients share applications: a message from either kind reaches those of the other.
struct HubCore {
  typealias Instant = ContinuousClock.Instant
  typealias Name = [UInt8]

  /// A connection.
  struct Member: Hashable {
    var number: UInt64
  }

  /// The kinds of clients, by what they subscribe to.
  enum Interest: Hashable {
    /// An event stream: some channels of an application.
    case channels(Set<Name>)
    /// A WebSocket: all channels of an application.
    case all
  }

  /// The reason for which somebody is turned away.
  enum Refusal: Hashable {
    case crowded, talkative, longName, tooManyChannels
  }

  private struct Presence {
    var address: Name
    var application: Name?
    var interest = Interest.all
  }

  private struct Host {
    var connections = 0
    var applications: [Name: Int] = [:]
    var tokens: Double
    var filledAt: Instant
  }

  /// Bytes that count as one message: a session description has two to six thousand.
  static let messageUnit = 8 << 10
  let limits: SignalServer.Limits
  private var members: [Member: Presence] = [:]
  private var applications: [Name: Set<Member>] = [:]
  private var hosts: [Name: Host] = [:]
  private var lastNumber: UInt64 = 0

  init(limits: SignalServer.Limits) { self.limits = limits }

  /// The number of subscribers.
  var subscriberCount: Int { applications.values.reduce(0) { $0 + $1.count } }
  var applicationCount: Int { applications.count }
  var connectionCount: Int { members.count }
  var knownAddressCount: Int { hosts.count }

  /// The event streams.
  var streams: [Member] {
    members.compactMap { member, presence in
      if case .channels = presence.interest, presence.application != nil { member } else { nil }
    }
  }

  // MARK: Connections

  /// Accepts a connection from an address, which ``leave(_:now:)`` ends.
  ///
  /// - Parameter isLocal: true if it comes from this machine.
  mutating func admit(_ address: Name, isLocal: Bool, now: Instant) -> Member? {
    let most = isLocal ? limits.connectionsByLoopback : limits.connectionsByAddress
    guard members.count < limits.connections, hosts[address]?.connections ?? 0 < most else {
      return nil
    }
    hosts[address, default: Host(tokens: Double(limits.burst), filledAt: now)].connections += 1
    lastNumber += 1
    let member = Member(number: lastNumber)
    members[member] = Presence(address: address)
    return member
  }

  /// Corrects the address of a connection, as a proxy names it.
  ///
  /// - Returns: true if that address may have one more.
  mutating func rename(_ member: Member, to address: Name, now: Instant) -> Bool {
    guard let presence = members[member], presence.address != address else { return true }
    guard hosts[address]?.connections ?? 0 < limits.connectionsByAddress else { return false }
    countEnded(presence.address)
    hosts[address, default: Host(tokens: Double(limits.burst), filledAt: now)].connections += 1
    members[member]?.address = address
    return true
  }

  /// Removes a connection.
  mutating func leave(_ member: Member) {
    unsubscribe(member)
    if let presence = members.removeValue(forKey: member) { countEnded(presence.address) }
  }

  private mutating func countEnded(_ address: Name) {
    hosts[address]?.connections -= 1
    // An address's rate is remembered after it hung up, as long as there is room. Beyond that the oldest half
    // of those without a connection is evicted, at a cost spread over as many.
    guard hosts.count > 2 * limits.connections else { return }
    let gone = hosts.filter { $0.value.connections == 0 }
      .sorted { $0.value.filledAt < $1.value.filledAt }
    for (address, _) in gone.prefix(max(gone.count / 2, 1)) { hosts[address] = nil }
  }

  // MARK: Subscribing

  /// Subscribes to an application from now on.
  mutating func subscribe(_ member: Member, to application: Name, _ interest: Interest) -> Refusal?
  {
    guard let presence = members[member] else { return .crowded }
    if application.isEmpty || application.count > limits.nameBytes { return .longName }
    if case .channels(let channels) = interest {
      if channels.contains(where: { $0.count > limits.nameBytes }) { return .longName }
      if channels.count > limits.channels { return .tooManyChannels }
    }
    unsubscribe(member)
    let known = hosts[presence.address]?.applications ?? [:]
    guard known[application] != nil || known.count < limits.applicationsByAddress,
      applications[application]?.count ?? 0 < limits.subscribersByApplication
    else { return .crowded }
    applications[application, default: []].insert(member)
    hosts[presence.address]?.applications[application, default: 0] += 1
    members[member]?.application = application
    members[member]?.interest = interest
    return nil
  }

  private mutating func unsubscribe(_ member: Member) {
    guard let presence = members[member], let application = presence.application else { return }
    members[member]?.application = nil
    applications[application]?.remove(member)
    if applications[application]?.isEmpty == true { applications[application] = nil }
    let left = (hosts[presence.address]?.applications[application] ?? 1) - 1
    hosts[presence.address]?.applications[application] = left > 0 ? left : nil
  }

  // MARK: Sending

  /// Counts a message of a connection, and returns whether it may be passed on now. A long message counts as
  /// several, since every listener gets it.
  mutating func takes(_ member: Member, bytes: Int = 0, now: Instant) -> Bool {
    guard let address = members[member]?.address, var host = hosts[address] else { return false }
    let seconds = (now - host.filledAt) / .seconds(1)
    host.tokens = min(
      Double(limits.burst), host.tokens + max(seconds, 0) * Double(limits.messagesPerSecond))
    host.filledAt = now
    defer { hosts[address] = host }
    let cost = Double(1 + bytes / Self.messageUnit)
    guard host.tokens >= min(cost, Double(limits.burst)) else { return false }
    host.tokens -= cost
    return true
  }

  /// Returns the subscribers of a channel of an application.
  func listeners(to channel: Name?, of application: Name) -> [(member: Member, interest: Interest)]
  {
    (applications[application] ?? []).compactMap { member in
      guard let interest = members[member]?.interest else { return nil }
      switch interest {
      case .all: return (member, interest)
      case .channels(let channels):
        guard let channel, channels.contains(channel) else { return nil }
        return (member, interest)
      }
    }
  }
}

internal import DatDNS
internal import HypercoreCrypto

/// The core of dns-discovery's multicast: when to ask, and what to answer to which peer.
///
/// It is synchronous, without sockets, a clock or randomness of its own. The network has no
/// announcements: a peer asks, hears its own question, and answers it for all to hear.
struct LANCore {
  typealias Instant = ContinuousClock.Instant

  /// Something to send or report.
  enum Action: Equatable {
    /// Bytes to send on every interface.
    case ask([UInt8])
    /// Bytes to send on one interface, to this port.
    case answer([UInt8], interface: String, port: Int)
    case found(Finding)
  }

  /// The reason for ignoring a packet.
  enum Drop: String, CaseIterable {
    /// There are more packets than can be looked at.
    case flood
    /// It is not a DNS message, or not from a usable port.
    case malformed
    /// Its answer would have exceeded a limit.
    case unanswered
  }

  private struct Joined {
    var port: Int?
    /// The time of the next question, and the number of questions since the last reason to look.
    var next: Instant
    var asked = 0
    /// The limit on answers to ports of the askers' choice. Those to the group need none: one serves all, and
    /// the next comes a while later.
    var answers = TokenBucket(perSecond: 4, burst: 8)
    /// By interface, the time at which all peers there last heard the answer.
    var answeredAt: [String: Instant] = [:]
  }

  static let port = 5353

  /// The pauses after the first questions, which may get lost; then once a minute, as in the reference.
  private static let pauses: [Duration] = [1, 2, 4, 8, 15, 30].map { .seconds($0) }
  private static let repeatAfter = 60.0...70.0
  /// The time for which an answer serves all askers.
  private static let answerServes = Duration.milliseconds(200)

  private var topics: [Topic: Joined] = [:]
  private let secret: [UInt8]
  private var random: any RandomNumberGenerator & Sendable
  /// The limits on packets that are looked at: a sender gets a quarter of the total, so that no flood drowns
  /// the others. Each packet takes some 20 µs.
  private var packets = TokenBucket(perSecond: 5000, burst: 10_000)
  private var senders = RateMemory<IPAddress>(perSecond: 1250, burst: 2500, capacity: 1024)
  /// The limits on answers to the group, which all hear, and on those to ports of the askers' choice.
  private var groupAnswers = TokenBucket(perSecond: 500, burst: 2000)
  private var portAnswers = TokenBucket(perSecond: 500, burst: 2000)
  /// The number of ignored packets by reason, since the owner last looked.
  private(set) var drops: [Drop: Int] = [:]

  /// - Parameter secret: 32 random bytes.
  init(
    secret: [UInt8], random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.secret = secret
    self.random = random
  }

  // MARK: Topics

  mutating func join(_ topic: Topic, announcing port: Int?, now: Instant) {
    if topics[topic] == nil { topics[topic] = Joined(port: port, next: now) }
    topics[topic]?.port = port
    lookAgain(topic, now: now)
  }

  mutating func leave(_ topic: Topic) { topics[topic] = nil }

  /// Asks soon, and a few times, since something has changed.
  mutating func lookAgain(_ topic: Topic, now: Instant) {
    topics[topic]?.next = now
    topics[topic]?.asked = 0
  }

  /// Asks for all topics, since an interface has come.
  mutating func lookAgain(now: Instant) {
    for topic in topics.keys { lookAgain(topic, now: now) }
  }

  // MARK: Time

  var deadline: Instant? { topics.values.map(\.next).min() }

  mutating func tick(now: Instant) -> [Action] {
    var actions: [Action] = []
    for (topic, joined) in topics where joined.next <= now {
      let question = DNSMessage(questions: [DiscoveryMessages.question(about: topic)])
      if let bytes = question.encoded() { actions.append(.ask(bytes)) }
      let pause =
        joined.asked < Self.pauses.count
        ? Self.pauses[joined.asked] : .seconds(Self.draw(Self.repeatAfter, &random))
      topics[topic]?.asked += 1
      topics[topic]?.next = now + pause
    }
    return actions
  }

  private static func draw(
    _ range: ClosedRange<Double>, _ random: inout some RandomNumberGenerator
  ) -> Double {
    Double.random(in: range, using: &random)
  }

  // MARK: Packets

  /// Handles a packet that arrived on an interface.
  ///
  /// - Parameter ownHosts: this machine's addresses.
  mutating func receive(
    _ bytes: [UInt8], from sender: PeerAddress, on interface: String, ownHosts: Set<String>,
    now: Instant
  ) -> [Action] {
    if let host = IPAddress(sender.host), !senders.take(host.neighbourhood, now: now) {
      return drop(.flood)
    }
    guard packets.take(now) else { return drop(.flood) }
    guard !topics.isEmpty else { return [] }
    guard let message = DNSMessage(decoding: bytes), sender.port > 0 else {
      return drop(.malformed)
    }
    var actions: [Action] = []
    for record in message.answers + message.additionals {
      if let finding = read(record, from: sender, ownHosts) { actions.append(.found(finding)) }
    }
    if !message.isResponse,
      let answer = answer(message, to: sender, on: interface, ownHosts, now)
    {
      actions.append(answer)
    }
    return actions
  }

  mutating func takeDrops() -> [Drop: Int] {
    defer { drops = [:] }
    return drops
  }

  private mutating func drop(_ cause: Drop) -> [Action] {
    drops[cause, default: 0] += 1
    return []
  }

  /// Returns what a record says about a joined topic.
  private func read(
    _ record: DNSRecord, from sender: PeerAddress, _ ownHosts: Set<String>
  ) -> Finding? {
    guard let topic = DiscoveryMessages.topic(of: record.name), let joined = topics[topic] else {
      return nil
    }
    var addresses: [PeerAddress] = []
    switch record.contents {
    case .text(let strings):
      let fields = DiscoveryMessages.fields(strings)
      // This machine's answer to its own question.
      guard fields["token"] != DiscoveryMessages.token(secret, for: sender.host),
        let peers = fields["peers"]
      else { return nil }
      addresses = DiscoveryMessages.peers(reading: peers, from: sender.host)
    case .service(_, _, let port, let target):
      addresses = [DiscoveryMessages.service(target, port, from: sender)].compactMap(\.self)
    case .address, .other: return nil
    }
    // In this machine's answer to another's question the token is the other's.
    addresses.removeAll { $0.port == joined.port && ownHosts.contains($0.host) }
    return addresses.isEmpty
      ? nil : Finding(topic: topic, addresses: addresses, informant: sender.host)
  }

  private mutating func answer(
    _ query: DNSMessage, to asker: PeerAddress, on interface: String, _ ownHosts: Set<String>,
    _ now: Instant
  ) -> Action? {
    var reply = DNSMessage(
      id: 0, flags: DNSMessage.multicastResponse, questions: query.questions)
    // A question that is asked twice in a packet is answered once.
    for question in Set(query.questions).prefix(16) where question.classCode & 0x7fff == 1 {
      let token = DiscoveryMessages.token(secret, for: asker.host)
      if question.name == DiscoveryMessages.domain {
        guard question.type == DNSRecord.textType else { continue }
        reply.answers.append(DiscoveryMessages.whoami(question.name, asker, token: token))
        continue
      }
      guard question.name.labels.dropFirst() == DiscoveryMessages.domain.labels[...],
        let topic = DiscoveryMessages.topic(of: question.name), let port = topics[topic]?.port
      else { continue }
      if asker.port == Self.port, let last = topics[topic]?.answeredAt[interface],
        now - last < Self.answerServes
      {
        continue
      }
      guard asker.port == Self.port || topics[topic]?.answers.take(now) == true else {
        drops[.unanswered, default: 0] += 1
        continue
      }
      reply.answers += DiscoveryMessages.answers(
        to: question, with: [PeerAddress(host: "0.0.0.0", port: port)], token: token,
        ownHost: ownHosts.first { IPv4($0) != nil && !$0.hasPrefix("127.") })
      if asker.port == Self.port, question.type == DNSRecord.textType {
        topics[topic]?.answeredAt[interface] = now
      }
    }
    guard !reply.answers.isEmpty else { return nil }
    let isFree = asker.port == Self.port ? groupAnswers.take(now) : portAnswers.take(now)
    guard isFree, let bytes = reply.encoded() else {
      drops[.unanswered, default: 0] += 1
      return nil
    }
    return .answer(bytes, interface: interface, port: asker.port)
  }
}

internal import DatDNS
internal import HypercoreCrypto

/// dns-discovery's server: who has announced what, and who wants to hear of more.
///
/// Synchronous, without sockets, clock or chance of its own. It stores and tells only addresses that
/// packets came from and whose senders have shown, with a token, that they receive what is sent there.
struct RendezvousServerCore {
  typealias Instant = ContinuousClock.Instant

  /// How much is stored, and how fast anybody is served.
  struct Limits {
    /// How long an announcement or a subscription lasts; peers repeat theirs about once a minute.
    var lasting = Duration.seconds(180)
    /// Announcements and subscriptions in all: about 100 bytes each.
    var entries = 200_000
    /// The same of one address, whatever it announces.
    var entriesOfHost = 8192
    /// Announcements, and subscriptions, of one topic.
    var entriesOfTopic = 1024
    /// Packets of one address in a second, and at once after a rest. A whole organisation may be behind
    /// one address.
    var perSecond = 500
    var burst = 2000
    /// Addresses whose packets are counted at a time.
    var hosts = 8192
    /// Packets that were pushed and not acknowledged yet.
    var pushes = 4096
    /// Subscribers who are told at once of an announcement. Source: dns-discovery.
    var pushesOfAnnouncement = 16
  }

  /// A packet to be sent.
  struct Packet: Equatable {
    var bytes: [UInt8]
    var to: PeerAddress
  }

  /// What has happened, in numbers.
  struct Statistics: Hashable {
    var topics = 0
    var entries = 0
    var received = 0
    var announced = 0
    var pushed = 0
    /// Packets that were no DNS messages.
    var malformed = 0
    /// Packets beyond the rate of their sender.
    var flooded = 0
    /// Announcements and subscriptions with a token that is wrong or too old.
    var unproven = 0
    /// Announcements and subscriptions for which there was no room.
    var full = 0
  }

  struct Endpoint: Hashable {
    var host: IPv4
    var port: UInt16

    var address: PeerAddress { PeerAddress(host: host.description, port: Int(port)) }
  }

  private struct Entry {
    var peers: [Endpoint: Instant] = [:]
    var subscribers: [Endpoint: Instant] = [:]
  }

  private struct Push {
    var packet: Packet
    var again: Instant
    var left = 2
  }

  private let limits: Limits
  private var random: any RandomNumberGenerator & Sendable
  /// The current secret, and the one before.
  private var secrets: [[UInt8]]
  private var rotateAt: Instant?
  private var sweepAt: Instant?
  private var topics: [Topic: Entry] = [:]
  private var entriesOfHost: [IPv4: Int] = [:]
  private var rates: [IPv4: TokenBucket] = [:]
  private var pushes: [UInt16: Push] = [:]
  private var lastPush: UInt16 = 0
  private(set) var statistics = Statistics()

  init(
    limits: Limits = Limits(),
    random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.limits = limits
    self.random = random
    secrets = []
    secrets = [newSecret(), newSecret()]
  }

  private mutating func newSecret() -> [UInt8] {
    func bytes(_ random: inout some RandomNumberGenerator) -> [UInt8] {
      (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    }
    return bytes(&random)
  }

  // MARK: Packets

  mutating func receive(_ bytes: [UInt8], from sender: PeerAddress, now: Instant) -> [Packet] {
    statistics.received += 1
    guard let host = IPv4(sender.host), let port = UInt16(exactly: sender.port), port > 0 else {
      statistics.malformed += 1
      return []
    }
    guard allows(host, now) else {
      statistics.flooded += 1
      return []
    }
    guard let message = DNSMessage(decoding: bytes) else {
      statistics.malformed += 1
      return []
    }
    let from = Endpoint(host: host, port: port)
    if message.isResponse {
      if pushes[message.id]?.packet.to == from.address { pushes[message.id] = nil }
      return []
    }
    var reply = DNSMessage(
      id: message.id, flags: DNSMessage.responseBit, questions: message.questions)
    for question in message.questions.prefix(8) {
      reply.answers += answers(to: question, from, now)
    }
    var packets: [Packet] = []
    for record in (message.answers + message.additionals).prefix(8) {
      packets += take(record, from: from, now)
    }
    // At most some 400 bytes, and no more of them than one address may ask for: little to gain by asking
    // in another's name.
    if let bytes = reply.encoded() { packets.insert(Packet(bytes: bytes, to: sender), at: 0) }
    return packets
  }

  private mutating func allows(_ host: IPv4, _ now: Instant) -> Bool {
    if rates[host] == nil {
      if rates.count >= limits.hosts { rates.removeAll(keepingCapacity: true) }
      rates[host] = TokenBucket(perSecond: limits.perSecond, burst: limits.burst)
    }
    return rates[host]?.take(now) == true
  }

  private mutating func answers(to question: DNSQuestion, _ from: Endpoint, _ now: Instant)
    -> [DNSRecord]
  {
    let token = DiscoveryMessages.token(secrets[1], for: from.host.description)
    if question.name == DiscoveryMessages.domain {
      return question.type == DNSRecord.textType
        ? [DiscoveryMessages.whoami(question.name, from.address, token: token)] : []
    }
    guard question.name.labels.dropFirst() == DiscoveryMessages.domain.labels[...],
      let topic = DiscoveryMessages.topic(of: question.name)
    else { return [] }
    let peers = some(
      of: topics[topic]?.peers ?? [:], DiscoveryMessages.maximumPeers, now)
    return DiscoveryMessages.answers(
      to: question, with: peers.map(\.address), token: token, ownHost: nil)
  }

  /// A few by lot of those that last.
  private mutating func some(of entries: [Endpoint: Instant], _ count: Int, _ now: Instant)
    -> [Endpoint]
  {
    let lasting = entries.filter { now - $0.value < limits.lasting }.map(\.key)
    guard lasting.count > count else { return lasting }
    func shuffled(_ random: inout some RandomNumberGenerator) -> [Endpoint] {
      lasting.shuffled(using: &random)
    }
    return Array(shuffled(&random).prefix(count))
  }

  /// An announcement, or its end, or a subscription.
  private mutating func take(_ record: DNSRecord, from: Endpoint, _ now: Instant) -> [Packet] {
    guard case .text(let strings) = record.contents,
      let topic = DiscoveryMessages.topic(of: record.name)
    else { return [] }
    let fields = DiscoveryMessages.fields(strings)
    let host = from.host.description
    guard let token = fields["token"],
      secrets.contains(where: { DiscoveryMessages.token($0, for: host) == token })
    else {
      statistics.unproven += 1
      return []
    }
    var packets: [Packet] = []
    if let port = fields["announce"].flatMap({ UInt16($0) }) {
      let peer = Endpoint(host: from.host, port: port == 0 ? from.port : port)
      packets = announce(peer, topic, now)
    }
    if let port = fields["unannounce"].flatMap({ UInt16($0) }) {
      let peer = Endpoint(host: from.host, port: port == 0 ? from.port : port)
      if topics[topic]?.peers.removeValue(forKey: peer) != nil { forget(from.host) }
    }
    if fields["subscribe"] != nil {
      store(from, topic, now, \.subscribers)
    } else if topics[topic]?.subscribers.removeValue(forKey: from) != nil {
      forget(from.host)
    }
    if let entry = topics[topic], entry.peers.isEmpty, entry.subscribers.isEmpty {
      topics[topic] = nil
    }
    return packets
  }

  private mutating func announce(_ peer: Endpoint, _ topic: Topic, _ now: Instant) -> [Packet] {
    guard store(peer, topic, now, \.peers) else { return [] }
    statistics.announced += 1
    var packets: [Packet] = []
    let subscribers = topics[topic]?.subscribers ?? [:]
    for subscriber in some(of: subscribers, limits.pushesOfAnnouncement, now) {
      guard pushes.count < limits.pushes else { break }
      repeat { lastPush &+= 1 } while lastPush == 0 || pushes[lastPush] != nil
      let message = DNSMessage(
        id: lastPush, flags: DNSMessage.recursionDesired,
        additionals: [
          DNSRecord(
            DiscoveryMessages.name(of: topic),
            .service(
              priority: 0, weight: 0, port: peer.port, target: DNSName(peer.host.description)))
        ])
      guard let bytes = message.encoded() else { continue }
      let packet = Packet(bytes: bytes, to: subscriber.address)
      pushes[lastPush] = Push(packet: packet, again: now + .seconds(1))
      statistics.pushed += 1
      packets.append(packet)
    }
    return packets
  }

  // MARK: Entries

  /// Stores or renews.
  ///
  /// - Returns: whether it is new.
  @discardableResult
  private mutating func store(
    _ endpoint: Endpoint, _ topic: Topic, _ now: Instant,
    _ kind: WritableKeyPath<Entry, [Endpoint: Instant]>
  ) -> Bool {
    if let last = topics[topic]?[keyPath: kind][endpoint] {
      topics[topic]?[keyPath: kind][endpoint] = now
      return now - last >= limits.lasting
    }
    guard statistics.entries < limits.entries,
      entriesOfHost[endpoint.host, default: 0] < limits.entriesOfHost,
      topics[topic]?[keyPath: kind].count ?? 0 < limits.entriesOfTopic
    else {
      statistics.full += 1
      return false
    }
    topics[topic, default: Entry()][keyPath: kind][endpoint] = now
    entriesOfHost[endpoint.host, default: 0] += 1
    statistics.entries += 1
    return true
  }

  private mutating func forget(_ host: IPv4) {
    let rest = entriesOfHost[host, default: 0] - 1
    entriesOfHost[host] = rest > 0 ? rest : nil
    statistics.entries -= 1
  }

  // MARK: Time

  /// How often ``tick(now:)`` is to be called.
  static let tickInterval = Duration.seconds(1)

  /// Changes the secret every five minutes, forgets what has run out every ten seconds, and repeats
  /// pushes that nobody acknowledged.
  mutating func tick(now: Instant) -> [Packet] {
    if rotateAt == nil { rotateAt = now + .seconds(300) }
    if let due = rotateAt, due <= now {
      secrets = [secrets[1], newSecret()]
      rotateAt = now + .seconds(300)
    }
    if sweepAt.map({ $0 <= now }) ?? true {
      sweepAt = now + .seconds(10)
      sweep(now)
    }
    statistics.topics = topics.count
    var packets: [Packet] = []
    for (id, push) in pushes where push.again <= now {
      guard push.left > 0 else {
        pushes[id] = nil
        continue
      }
      pushes[id]?.left -= 1
      pushes[id]?.again = now + .seconds(1)
      packets.append(push.packet)
    }
    return packets
  }

  private mutating func sweep(_ now: Instant) {
    for (topic, entry) in topics {
      var kept = entry
      for kind in [\Entry.peers, \Entry.subscribers] {
        for (endpoint, since) in entry[keyPath: kind] where now - since >= limits.lasting {
          kept[keyPath: kind][endpoint] = nil
          forget(endpoint.host)
        }
      }
      topics[topic] = kept.peers.isEmpty && kept.subscribers.isEmpty ? nil : kept
    }
  }
}

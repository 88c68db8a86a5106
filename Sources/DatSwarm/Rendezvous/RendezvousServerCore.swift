internal import DatDNS
internal import HypercoreCrypto

/// The core of dns-discovery's server: who has announced what, and who subscribes to what.
///
/// It is synchronous, without sockets, a clock or randomness of its own. It stores and reports only
/// addresses that packets came from and whose senders have proven, with a token, that they receive there.
struct RendezvousServerCore {
  typealias Instant = ContinuousClock.Instant

  /// The limits on entries and rates.
  struct Limits {
    /// The lifetime of an announcement or a subscription; peers repeat theirs about once a minute.
    var lasting = Duration.seconds(180)
    /// Announcements and subscriptions in all: about 100 bytes each.
    var entries = 200_000
    /// The same for one address, whatever its topics.
    var entriesOfHost = 8192
    /// Announcements, and subscriptions, of one topic: in all; of one host, which may stand for a whole
    /// organisation; and of one socket, though a peer needs only one place.
    var topic = EndpointTable.Shares(total: 1024, host: 64, socket: 4)
    /// Packets of one host: a second, and in a burst. At some 50 µs a packet one host takes
    /// 3 % of a processor.
    var perSecond = 500
    var burst = 2000
    /// Answers to packets of one host without a valid token: a second, and in a burst. A hundred peers behind
    /// one address may come at a time. A host whose address others forge gets no more than 4 KB/s of them.
    var tokensPerSecond = 20
    var tokensBurst = 100
    /// Packets to subscribers that the announcements of one host cause: a second, and in a burst.
    var pushesPerSecond = 64
    var pushesBurst = 256
    /// The most hosts whose rates are remembered, about 100 bytes each.
    var hosts = 8192
    /// The most pushed packets that are not acknowledged yet.
    var pushes = 4096
    /// The most subscribers that are notified of one announcement. Source: dns-discovery.
    var pushesOfAnnouncement = 16
    /// The most different questions that are answered in one packet; peers ask one at a time.
    var questions = 4
  }

  /// A packet to send.
  struct Packet: Equatable {
    var bytes: [UInt8]
    var to: PeerAddress
  }

  /// The counts of past events and present entries.
  struct Statistics: Hashable {
    var topics = 0
    var entries = 0
    var received = 0
    var announced = 0
    var pushed = 0
    /// Packets that were not DNS messages.
    var malformed = 0
    /// Packets beyond the rate of their sender.
    var flooded = 0
    /// Unanswered packets without a valid token, beyond the rate of their host.
    var untold = 0
    /// Announcements and subscriptions whose token is wrong or too old.
    var unproven = 0
    /// Announcements and subscriptions for which there was no room.
    var full = 0
    /// Announcements and subscriptions that were evicted for another host's, or for their own host's newest.
    var evicted = 0
    /// Subscribers that were not notified of an announcement, since its host has caused too many packets.
    var unpushed = 0
  }

  typealias Endpoint = EndpointTable.Endpoint
  typealias Client = EndpointTable.Client

  private struct Entry {
    var peers = EndpointTable()
    var subscribers = EndpointTable()
  }

  private struct Push {
    var packet: Packet
    var again: Instant
    var left = 2
  }

  private let limits: Limits
  private var random: any RandomNumberGenerator & Sendable
  /// The current secret, and the previous one.
  private var secrets: [[UInt8]]
  private var rotateAt: Instant?
  private var sweepAt: Instant?
  private var topics: [Topic: Entry] = [:]
  private var entriesOfClient: [Client: Int] = [:]
  private var allowance: EntryAllowance
  private var rates: RateMemory<Client>
  private var tokenRates: RateMemory<Client>
  private var pushRates: RateMemory<Client>
  private var pushes: [UInt16: Push] = [:]
  private var lastPush: UInt16 = 0
  private(set) var statistics = Statistics()

  init(
    limits: Limits = Limits(),
    random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.limits = limits
    self.random = random
    allowance = EntryAllowance(total: limits.entries)
    rates = RateMemory(
      perSecond: limits.perSecond, burst: limits.burst, capacity: limits.hosts)
    tokenRates = RateMemory(
      perSecond: limits.tokensPerSecond, burst: limits.tokensBurst, capacity: limits.hosts)
    pushRates = RateMemory(
      perSecond: limits.pushesPerSecond, burst: limits.pushesBurst, capacity: limits.hosts)
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
    guard let host = IPAddress(sender.host), let port = UInt16(exactly: sender.port), port > 0
    else {
      statistics.malformed += 1
      return []
    }
    guard rates.take(Client(host, socket: port), now: now) else {
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
    guard hasToken(message, host) else { return giveToken(message, from, now).map { [$0] } ?? [] }
    var reply = DNSMessage(id: message.id, flags: DNSMessage.responseBit)
    // A question that is asked twice in a packet is answered once.
    for question in message.questions
    where reply.questions.count < limits.questions && !reply.questions.contains(question) {
      reply.questions.append(question)
    }
    for question in reply.questions {
      let count = DiscoveryMessages.maximumPeers / reply.questions.count
      reply.answers += answers(to: question, from, count, now)
    }
    var packets: [Packet] = []
    for record in (message.answers + message.additionals).prefix(8) {
      packets += take(record, from: from, now)
    }
    if let bytes = reply.encoded() { packets.insert(Packet(bytes: bytes, to: sender), at: 0) }
    return packets
  }

  /// Returns whether the sender has proven that it receives what is sent to its address.
  private func hasToken(_ message: DNSMessage, _ host: IPAddress) -> Bool {
    (message.answers + message.additionals).prefix(8).contains { record in
      guard case .text(let strings) = record.contents,
        let token = DiscoveryMessages.fields(strings)["token"]
      else { return false }
      return isValid(token, host)
    }
  }

  private func isValid(_ token: String, _ host: IPAddress) -> Bool {
    token.utf8.count == 44
      && secrets.contains {
        DiscoveryMessages.token($0, for: host.description).utf8.elementsEqual(token.utf8)
      }
  }

  /// Answers a packet whose sender may be forged: one token, no peers, in at most 200 bytes.
  private mutating func giveToken(_ message: DNSMessage, _ from: Endpoint, _ now: Instant)
    -> Packet?
  {
    for record in (message.answers + message.additionals).prefix(8) {
      if case .text(let strings) = record.contents,
        DiscoveryMessages.topic(of: record.name) != nil,
        DiscoveryMessages.fields(strings)["token"] != nil
      {
        statistics.unproven += 1
      }
    }
    guard tokenRates.take(Client(from.host, socket: from.port), now: now) else {
      statistics.untold += 1
      return nil
    }
    var reply = DNSMessage(id: message.id, flags: DNSMessage.responseBit)
    if let question = message.questions.first {
      reply.questions = [question]
      // No peers: neither as records nor in the text.
      if question.type == DNSRecord.textType { reply.answers = answers(to: question, from, 0, now) }
    }
    guard let bytes = reply.encoded(), bytes.count <= DiscoveryMessages.tokenPacketBytes else {
      return nil
    }
    return Packet(bytes: bytes, to: from.address)
  }

  private mutating func answers(
    to question: DNSQuestion, _ from: Endpoint, _ count: Int, _ now: Instant
  ) -> [DNSRecord] {
    let token = DiscoveryMessages.token(secrets[1], for: from.host.description)
    if question.name == DiscoveryMessages.domain {
      return question.type == DNSRecord.textType
        ? [DiscoveryMessages.whoami(question.name, from.address, token: token)] : []
    }
    guard question.name.labels.dropFirst() == DiscoveryMessages.domain.labels[...],
      let topic = DiscoveryMessages.topic(of: question.name)
    else { return [] }
    let peers = topics[topic].map { some(of: $0.peers, count, now) } ?? []
    return DiscoveryMessages.answers(
      to: question, with: peers.map(\.address), token: token, ownHost: nil)
  }

  /// Returns a random sample of the places that have not expired.
  private mutating func some(of table: EndpointTable, _ count: Int, _ now: Instant) -> [Endpoint] {
    let lasting = limits.lasting
    func sample(_ random: inout some RandomNumberGenerator) -> [Endpoint] {
      table.sample(count, now: now, lasting: lasting, using: &random)
    }
    return sample(&random)
  }

  /// Handles an announcement, its withdrawal, or a subscription.
  private mutating func take(_ record: DNSRecord, from: Endpoint, _ now: Instant) -> [Packet] {
    guard case .text(let strings) = record.contents,
      let topic = DiscoveryMessages.topic(of: record.name)
    else { return [] }
    let fields = DiscoveryMessages.fields(strings)
    guard let token = fields["token"], isValid(token, from.host) else {
      statistics.unproven += 1
      return []
    }
    var packets: [Packet] = []
    if let port = fields["announce"].flatMap({ UInt16($0) }) {
      let peer = Endpoint(host: from.host, port: port == 0 ? from.port : port)
      packets = announce(peer, from, topic, now)
    }
    if let port = fields["unannounce"].flatMap({ UInt16($0) }) {
      let peer = Endpoint(host: from.host, port: port == 0 ? from.port : port)
      if topics[topic]?.peers.remove(peer, from: from.port) == true {
        countRemoved(Client(from.host, socket: from.port))
      }
    }
    if fields["subscribe"] != nil {
      store(from, from, topic, now, \.subscribers)
    } else if topics[topic]?.subscribers.remove(from, from: from.port) == true {
      countRemoved(Client(from.host, socket: from.port))
    }
    if let entry = topics[topic], entry.peers.isEmpty, entry.subscribers.isEmpty {
      topics[topic] = nil
    }
    return packets
  }

  private mutating func announce(
    _ peer: Endpoint, _ from: Endpoint, _ topic: Topic, _ now: Instant
  ) -> [Packet] {
    guard store(peer, from, topic, now, \.peers) else { return [] }
    statistics.announced += 1
    var packets: [Packet] = []
    let subscribers =
      topics[topic].map { some(of: $0.subscribers, limits.pushesOfAnnouncement, now) } ?? []
    for subscriber in subscribers {
      guard pushes.count < limits.pushes,
        pushRates.take(Client(from.host, socket: from.port), now: now)
      else {
        statistics.unpushed += 1
        continue
      }
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

  /// Stores or renews an entry.
  ///
  /// - Returns: true if it is new.
  @discardableResult
  private mutating func store(
    _ endpoint: Endpoint, _ from: Endpoint, _ topic: Topic, _ now: Instant,
    _ kind: WritableKeyPath<Entry, EndpointTable>
  ) -> Bool {
    let client = Client(from.host, socket: from.port)
    guard
      statistics.entries < limits.entries
        && entriesOfClient[client, default: 0] < min(limits.entriesOfHost, allowance.value)
        || topics[topic]?[keyPath: kind].contains(endpoint, from: from.port) == true
    else {
      statistics.full += 1
      return false
    }
    let (outcome, evicted) = topics[topic, default: Entry()][keyPath: kind].store(
      endpoint, from: from.port, now: now, lasting: limits.lasting, shares: limits.topic)
    if let evicted {
      statistics.evicted += 1
      countRemoved(evicted)
    }
    switch outcome {
    case .renewed: return false
    case .renewedLate: return true
    case .full:
      statistics.full += 1
      return false
    case .new:
      entriesOfClient[client, default: 0] += 1
      statistics.entries += 1
      return true
    }
  }

  private mutating func countRemoved(_ client: Client, _ count: Int = 1) {
    let rest = entriesOfClient[client, default: 0] - count
    entriesOfClient[client] = rest > 0 ? rest : nil
    statistics.entries -= count
  }

  // MARK: Time

  /// The time between calls of ``tick(now:)``.
  static let tickInterval = Duration.seconds(1)

  /// Changes the secret every five minutes, drops expired entries every ten seconds, and repeats pushes that
  /// were not acknowledged.
  mutating func tick(now: Instant) -> [Packet] {
    if rotateAt == nil { rotateAt = now + .seconds(300) }
    if let due = rotateAt, due <= now {
      secrets = [secrets[1], newSecret()]
      rotateAt = now + .seconds(300)
    }
    if sweepAt.map({ $0 <= now }) ?? true {
      sweepAt = now + .seconds(10)
      var excess: [Client: Int] = [:]
      sweep(now, &excess)
      excess = allowance.update(entriesOfClient, count: statistics.entries)
      if !excess.isEmpty { sweep(now, &excess) }
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

  private mutating func sweep(_ now: Instant, _ excess: inout [Client: Int]) {
    for topic in Array(topics.keys) {
      for kind in [\Entry.peers, \Entry.subscribers] {
        guard var table = topics[topic]?[keyPath: kind] else { continue }
        topics[topic]?[keyPath: kind] = EndpointTable()
        let lost = table.sweep(now: now, lasting: limits.lasting, excess: &excess)
        topics[topic]?[keyPath: kind] = table
        for (client, count) in lost { countRemoved(client, count) }
      }
      if let entry = topics[topic], entry.peers.isEmpty, entry.subscribers.isEmpty {
        topics[topic] = nil
      }
    }
  }
}

internal import DatDNS
internal import HypercoreCrypto

/// The core of dns-discovery's client for one server: when to ask what, and what the answers mean.
///
/// It is synchronous, without sockets, a clock or randomness of its own.
struct RendezvousClientCore {
  typealias Instant = ContinuousClock.Instant

  enum Action: Equatable {
    case send([UInt8])
    case found(Finding)
  }

  private struct Joined {
    var port: Int?
    var next: Instant
    /// The number of questions so far, up to that of the first pauses.
    var asked = 0
  }

  private enum Question: Equatable {
    case probe
    case peers(Topic)
    case unannounce(Topic)
  }

  private struct Pending {
    var question: Question
    var bytes: [UInt8]
    var token: String?
    var again: Instant
    var sends = 1
  }

  /// The pauses between sends of one question; after the last it has failed. Source: dns-socket.
  private static let pauses: [Duration] = [500, 1000, 2000, 4000].map { .milliseconds($0) }
  /// The pauses after the first questions about a topic. An answer is a random sample, so if others fill the
  /// topic it may leave out the one peer that counts; a few samples soon after the start make up for that.
  private static let firstPauses: [Duration] = [1, 3, 10].map { .seconds($0) }
  /// The pauses between probes of a server that does not answer; the last one repeats.
  private static let probePauses: [Duration] = [1, 2, 5, 10, 20, 30].map { .seconds($0) }

  private let server: PeerAddress
  /// The time between questions about a topic, and between announcements. Source: discovery-channel.
  private let interval: Duration
  /// The silence after which the server is asked for a token, in one packet whatever the number of topics.
  /// Routers on the way keep the path open on which the server pushes. A changed token shows that the server
  /// may have restarted, and lost our announcements.
  private let heartbeat: Duration
  private var heardAt: Instant?
  private var topics: [Topic: Joined] = [:]
  private var leaving: [(topic: Topic, port: Int)] = []
  private var token: String?
  private var pending: [UInt16: Pending] = [:]
  private var lastID: UInt16
  private var probeAt: Instant?
  private var failedProbes = 0
  private var rate = TokenBucket(perSecond: 50, burst: 50)

  /// True if the server has answered lately.
  var isReachable: Bool { token != nil }

  init(
    server: PeerAddress, interval: Duration = .seconds(60), heartbeat: Duration = .seconds(5),
    firstID: UInt16
  ) {
    self.server = server
    self.interval = interval
    self.heartbeat = heartbeat
    lastID = firstID
  }

  // MARK: Topics

  mutating func join(_ topic: Topic, announcing port: Int?, now: Instant) {
    topics[topic] = Joined(port: port, next: now)
  }

  mutating func lookAgain(_ topic: Topic, now: Instant) { topics[topic]?.next = now }

  mutating func leave(_ topic: Topic, now: Instant) {
    guard let joined = topics.removeValue(forKey: topic), let port = joined.port else { return }
    pending = pending.filter { $0.value.question != .peers(topic) }
    if token != nil { leaving.append((topic, port)) }
  }

  // MARK: Time

  func deadline(now: Instant) -> Instant? {
    var instants = pending.values.map(\.again)
    if token == nil {
      if !topics.isEmpty, !isProbing { instants.append(probeAt ?? now) }
    } else {
      let free = rate.next ?? now
      if !leaving.isEmpty { instants.append(free) }
      if let next = topics.values.map(\.next).min() { instants.append(max(next, free)) }
      if !topics.isEmpty, !isProbing, let heardAt { instants.append(heardAt + heartbeat) }
    }
    return instants.min()
  }

  private var isProbing: Bool { pending.values.contains { $0.question == .probe } }

  mutating func tick(now: Instant) -> [Action] {
    var actions: [Action] = []
    for (id, question) in pending where question.again <= now {
      if question.sends > Self.pauses.count {
        pending[id] = nil
        failed(question.question, now)
        continue
      }
      pending[id]?.sends += 1
      pending[id]?.again =
        question.sends < Self.pauses.count
        ? now + Self.pauses[question.sends] : now + Self.pauses[Self.pauses.count - 1]
      actions.append(.send(question.bytes))
    }
    guard let token else {
      if !topics.isEmpty, !isProbing, probeAt.map({ $0 <= now }) ?? true { actions += probe(now) }
      return actions
    }
    if !topics.isEmpty, !isProbing, let heardAt, now - heardAt >= heartbeat {
      actions += probe(now)
    }
    while let (topic, port) = leaving.first, rate.take(now) {
      leaving.removeFirst()
      actions += ask(
        .unannounce(topic), [DiscoveryMessages.question(about: topic)],
        [("token", token), ("unannounce", "\(port)")], now)
    }
    let shortest = Duration.seconds(topics.count / 25)
    for (topic, joined) in topics where joined.next <= now {
      guard rate.take(now) else { break }
      let isEarly = joined.asked < Self.firstPauses.count
      let pause = isEarly ? min(Self.firstPauses[joined.asked], interval) : interval
      topics[topic]?.next = now + max(pause, shortest)
      if isEarly { topics[topic]?.asked += 1 }
      let port = joined.port.map { [("announce", "\($0)")] } ?? []
      actions += ask(
        .peers(topic), [DiscoveryMessages.question(about: topic)],
        [("subscribe", "true"), ("token", token)] + port, now)
    }
    return actions
  }

  /// Asks for a token. A server prefers clients that show one.
  private mutating func probe(_ now: Instant) -> [Action] {
    ask(
      .probe, [DNSQuestion(DiscoveryMessages.domain, type: DNSRecord.textType)],
      token.map { [("token", $0)] } ?? [], now)
  }

  private mutating func ask(
    _ question: Question, _ questions: [DNSQuestion], _ fields: [(String, String)], _ now: Instant
  ) -> [Action] {
    pending = pending.filter { $0.value.question != question }
    repeat { lastID &+= 1 } while lastID == 0 || pending[lastID] != nil
    let additionals = fields.isEmpty ? [] : [DiscoveryMessages.text(questions[0].name, fields)]
    var message = DNSMessage(
      id: lastID, flags: DNSMessage.recursionDesired, questions: questions,
      additionals: additionals)
    guard var bytes = message.encoded() else { return [] }
    let missing = DiscoveryMessages.tokenPacketBytes - bytes.count
    if missing > 0 {
      // A text record of the bare domain, which the reference's server skips.
      let empty = DNSRecord(DiscoveryMessages.domain, .text([]))
      message.additionals.append(empty)
      let record = (message.encoded()?.count ?? bytes.count) - bytes.count
      message.additionals[message.additionals.count - 1].contents =
        .text(DiscoveryMessages.padding(missing - record))
      bytes = message.encoded() ?? bytes
    }
    pending[lastID] = Pending(
      question: question, bytes: bytes, token: token, again: now + Self.pauses[0])
    return [.send(bytes)]
  }

  private mutating func failed(_ question: Question, _ now: Instant) {
    // The server is gone or has changed: start anew.
    token = nil
    leaving = []
    pending = pending.filter { $0.value.question == .probe }
    if question == .probe {
      probeAt = now + Self.probePauses[min(failedProbes, Self.probePauses.count - 1)]
      failedProbes += 1
    } else {
      probeAt = now
    }
    for topic in topics.keys { topics[topic]?.next = now }
  }

  // MARK: Packets

  mutating func receive(_ bytes: [UInt8], from sender: PeerAddress, now: Instant) -> [Action] {
    guard sender == server, let message = DNSMessage(decoding: bytes) else { return [] }
    if message.isResponse { return answered(message, now) }
    // The server pushes a new peer, and expects an acknowledgement.
    var actions = message.additionals.compactMap(pushed).map(Action.found)
    let reply = DNSMessage(
      id: message.id, flags: DNSMessage.responseBit, questions: message.questions)
    if let bytes = reply.encoded() { actions.append(.send(bytes)) }
    return actions
  }

  private func pushed(_ record: DNSRecord) -> Finding? {
    guard case .service(_, _, let port, let target) = record.contents,
      let topic = DiscoveryMessages.topic(of: record.name), topics[topic] != nil,
      let address = DiscoveryMessages.service(target, port, from: server)
    else { return nil }
    return Finding(topic: topic, addresses: [address], informant: server.host)
  }

  private mutating func answered(_ message: DNSMessage, _ now: Instant) -> [Action] {
    guard let asked = pending.removeValue(forKey: message.id),
      case .text(let strings)? = message.answers.first?.contents
    else { return [] }
    let fields = DiscoveryMessages.fields(strings)
    guard let fresh = fields["token"] else { return [] }
    failedProbes = 0
    heardAt = now
    if let token, token != fresh {
      for topic in topics.keys { topics[topic]?.next = now }
    }
    token = fresh
    guard case .peers(let topic) = asked.question, topics[topic] != nil else {
      return tick(now: now)
    }
    // It was sent with a token that may have expired.
    if asked.token != fresh { topics[topic]?.next = now }
    let addresses =
      (fields["peers"].map { DiscoveryMessages.peers(reading: $0, from: server.host) } ?? [])
      + (fields["peers6"].map { DiscoveryMessages.peers6(reading: $0) } ?? [])
    var actions: [Action] = []
    if !addresses.isEmpty {
      actions.append(
        .found(Finding(topic: topic, addresses: addresses, informant: server.host)))
    }
    return actions + tick(now: now)
  }
}

internal import DatFleet
internal import DatSwarm
internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol
internal import Logging

/// A connection with another member.
struct FleetLink {
  let number: Int
  /// What the other program calls itself on its connections; random, and the same on all of them.
  let program: [UInt8]
  /// When the connection began.
  let since: UInt64
  var session: FleetSession
  /// Messages as bytes, which one task sends in their order.
  let outbox: AsyncStream<[UInt8]>.Continuation
  /// The bytes in the outbox.
  var queued = 0
  /// Digests that came while the outbox was not empty.
  var owed: [UInt64]?
  /// Entries that are to be sent.
  var entries: [PublicKey: FleetEntry] = [:]
}

/// A comparison of lists: the entries that one member sends because this host has asked it.
struct FleetPull {
  let number: Int
  let since: UInt64
  /// What was news of it, and how much: of much the entries are not kept.
  var news: [FleetEntry] = []
  var count = 0
}

/// Connections with other members.
extension FleetHost {
  /// The name of the extension of the protocol by which members talk.
  static let extensionName = "dat/fleet"
  /// The news of a comparison that are passed on entry by entry; of more, others are notified, and compare lists.
  static let maximumPassedOn = 1000
  /// The time for which entries are collected before they are sent.
  private static let flushPause = Duration.milliseconds(50)
  /// The seconds after which a member is disconnected that is no neighbour and was not needed.
  private static let neededSeconds: UInt64 = 600

  // MARK: Dialling

  /// Dials the neighbours, and whoever is needed beside them.
  func dial() async {
    let members = plan.membership.names
    needed = needed.filter { members.contains($0.key) && now - $0.value <= Self.neededSeconds }
    let names = FleetNeighbours.names(of: name, among: members).union(needed.keys)
    var wanted: [String: PeerAddress] = [:]
    for other in names where other != name { wanted[other] = addresses[other] }
    let present = dialled
    dialled = wanted
    for (name, address) in present where wanted[name] != address {
      await swarm.disconnect(from: address, about: topic)
    }
    for (name, address) in wanted where present[name] != address {
      await swarm.connect(to: address, about: topic)
    }
  }

  /// Returns the number of a connection with a member.
  func link(with name: String) -> Int? {
    links.values.filter { $0.session.member == name }.map(\.number).min()
  }

  /// The names that more than one program gives, and has given for a while: a program that was started again is no
  /// second one.
  var sharedNames: [String] {
    var programs: [String: Set<[UInt8]>] = [:]
    for link in links.values where now - link.since >= max(plan.options.interval, 1) {
      if let member = link.session.member { programs[member, default: []].insert(link.program) }
    }
    if let twinSeen, now - twinSeen < 120 { programs[name] = [[0], [1]] }
    return programs.filter { $0.value.count > 1 }.keys.sorted()
  }

  // MARK: One connection

  /// Makes the stream of a connection.
  func stream(for peer: SwarmPeer) async throws -> ReplicationStream {
    var options = ReplicationOptions.live
    options.extensions = [Self.extensionName]
    (options.download, options.upload) = (false, false)
    let stream = try await feed.replicate(options)
    // Before the first byte comes, so that no message is missed.
    early[peer.number] = await stream.extensionMessages()
    Task { [weak self] in
      try? await stream.finished()
      await self?.forget(peer.number)
    }
    return stream
  }

  private func forget(_ number: Int) { early[number] = nil }

  /// Talks to a member until the connection ends.
  func meet(_ stream: ReplicationStream, _ peer: SwarmPeer) async {
    guard !isClosed, let messages = early.removeValue(forKey: peer.number) else { return }
    let number = peer.number
    let program = await stream.handshake()?.id ?? []
    let (outgoing, outbox) = AsyncStream.makeStream(of: [UInt8].self)
    let session = FleetSession(
      fleet: options.secret.key, name: name, greeting: randomBytes(FleetSession.greetingSize))
    links[number] = FleetLink(
      number: number, program: program, since: now, session: session, outbox: outbox)
    let sending = Task { [weak self] in
      for await bytes in outgoing {
        do {
          try await stream.send(extension: Self.extensionName, payload: bytes)
        } catch { return }
        await self?.sent(bytes.count, on: number)
      }
    }
    queue(session.greeting, on: number)
    for await message in messages where message.name == Self.extensionName {
      do throws(FleetSession.Refusal) {
        try await receive(message.payload, on: number)
      } catch {
        logger.warning(
          "A connection of the fleet was refused: \(error.reason)",
          metadata: ["address": "\(peer.address)"])
        metrics.countRefusal()
        await stream.close(error)
        break
      }
    }
    outbox.finish()
    sending.cancel()
    ended(number)
  }

  private func ended(_ number: Int) {
    links[number] = nil
    questions = questions.filter { $0.value.link != number }
    pulls.removeAll { $0 == number }
    if pull?.number == number { endPull() }
    recordMembers()
  }

  private func queue(_ bytes: [UInt8], on number: Int) {
    guard let link = links[number] else { return }
    links[number]?.queued += bytes.count
    link.outbox.yield(bytes)
  }

  private func sent(_ count: Int, on number: Int) {
    metrics.count(sent: count)
    guard let link = links[number] else { return }
    links[number]?.queued -= count
    guard link.queued == count, let digests = link.owed else { return }
    links[number]?.owed = nil
    answer(digests, on: number)
  }

  /// Sends a message to a member.
  func send(_ message: FleetMessage, on number: Int) {
    guard let bytes = links[number]?.session.seal(message) else { return }
    queue(bytes, on: number)
  }

  private func receive(_ bytes: [UInt8], on number: Int) async throws(FleetSession.Refusal) {
    metrics.count(received: bytes.count)
    guard links[number] != nil, let events = try links[number]?.session.receive(bytes) else {
      return
    }
    for event in events {
      switch event {
      case .reply(let bytes): queue(bytes, on: number)
      case .member(let other): try met(other, on: number)
      case .message(let message): await take(message, on: number)
      }
    }
  }

  private func met(_ other: String, on number: Int) throws(FleetSession.Refusal) {
    guard other != name else {
      twinSeen = now
      throw FleetSession.Refusal(reason: "Another host has the name of this one: \(name).")
    }
    recordMembers()
    queuePull(from: number)
    for ask in waiting.removeValue(forKey: other) ?? [] { self.ask(ask) }
  }

  private func take(_ message: FleetMessage, on number: Int) async {
    switch message {
    // The session takes it itself.
    case .member: break
    case .question(let question):
      let answer = await reply(to: question)
      send(.answer(id: question.id, answer), on: number)
    case .answer(let id, let answer): take(answer, id, on: number)
    case .digests(let digests):
      // One answer at a time, so that whoever does not read is not sent more and more.
      if links[number]?.queued == 0 {
        answer(digests, on: number)
      } else {
        links[number]?.owed = digests
      }
    case .entries(let entries): take(entries, on: number)
    case .changed: queuePull(from: number)
    }
  }

  // MARK: Comparing lists

  private func answer(_ digests: [UInt64], on number: Int) {
    for message in list.messages(for: digests) { send(message, on: number) }
    send(.entries([]), on: number)
  }

  private func take(_ entries: [FleetEntry], on number: Int) {
    guard !entries.isEmpty else {
      if pull?.number == number { endPull() }
      return
    }
    for entry in entries {
      // What the other side has just sent it need not be sent.
      guard let own = links[number]?.entries[entry.key], own.stamp <= entry.stamp else { continue }
      links[number]?.entries[entry.key] = nil
    }
    let news = merge(entries)
    if pull?.number == number {
      pull?.count += news.count
      let room = Self.maximumPassedOn - (pull?.news.count ?? 0)
      pull?.news += news.prefix(max(room, 0))
    } else {
      push(news, except: number)
    }
  }

  /// Asks a member for what its list has and this one lacks, as soon as no other is asked.
  func queuePull(from number: Int) {
    if !pulls.contains(number) { pulls.append(number) }
    nextPull()
  }

  private func nextPull() {
    guard pull == nil, !isClosed else { return }
    while !pulls.isEmpty {
      let number = pulls.removeFirst()
      guard links[number]?.session.member != nil else { continue }
      pull = FleetPull(number: number, since: now)
      send(.digests(list.digests), on: number)
      return
    }
  }

  /// Ends a comparison, and passes on what was news.
  func endPull() {
    guard let pull else { return }
    self.pull = nil
    if pull.count <= Self.maximumPassedOn {
      push(pull.news, except: pull.number)
    } else {
      for link in links.values where link.session.member != nil && link.number != pull.number {
        send(.changed, on: link.number)
      }
    }
    nextPull()
  }

  /// Sends entries to all connected members but one.
  func push(_ entries: [FleetEntry], except number: Int?) {
    guard !entries.isEmpty else { return }
    for link in links.values where link.session.member != nil && link.number != number {
      for entry in entries { links[link.number]?.entries[entry.key] = entry }
    }
    guard !isFlushing else { return }
    isFlushing = true
    Task {
      try? await Task.sleep(for: Self.flushPause)
      isFlushing = false
      flush()
    }
  }

  private func flush() {
    for link in links.values where !link.entries.isEmpty {
      links[link.number]?.entries = [:]
      let entries = Array(link.entries.values)
      for start in stride(from: 0, to: entries.count, by: FleetMessage.maximumEntries) {
        let end = min(start + FleetMessage.maximumEntries, entries.count)
        send(.entries(Array(entries[start..<end])), on: link.number)
      }
    }
  }
}

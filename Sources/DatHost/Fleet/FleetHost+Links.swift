internal import DatFleet
internal import DatSwarm
internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol
internal import Logging

/// Connections with other members.
extension FleetHost {
  /// The time for which entries are collected before they are sent.
  private static let flushPause = Duration.milliseconds(50)

  // MARK: Dialling

  /// Dials the neighbours, and those that are needed beside them.
  func dial() async {
    await swarm.apply(contacts.dial(plan.membership.names, own: name, now: now))
  }

  /// The names that more than one program gives; see ``FleetLinks/sharedNames(own:after:now:)``.
  var sharedNames: [String] {
    links.sharedNames(own: name, after: max(plan.options.interval, 1), now: now)
  }

  // MARK: One connection

  /// Makes the stream of a connection.
  func stream(for peer: SwarmPeer) async throws -> ReplicationStream {
    // The messages are kept before the first byte comes, so that none is missed.
    let (stream, messages) = try await swarm.stream()
    links.keep(messages, of: peer.number)
    Task { [weak self] in
      try? await stream.finished()
      await self?.removeMessages(of: peer.number)
    }
    return stream
  }

  private func removeMessages(of number: Int) { links.removeMessages(of: number) }

  /// Talks to a member until the connection ends.
  func meet(_ stream: ReplicationStream, _ peer: SwarmPeer) async {
    guard !isClosed, let messages = links.removeMessages(of: peer.number) else { return }
    let number = peer.number
    let program = await stream.handshake()?.id ?? []
    let (outgoing, outbox) = AsyncStream.makeStream(of: [UInt8].self)
    let session = FleetSession(
      fleet: options.secret.key, name: name, greeting: randomBytes(FleetSession.greetingSize))
    links.add(number, program: program, session: session, outbox: outbox, now: now)
    let sending = Task { [weak self, swarm] in
      for await bytes in outgoing {
        do { try await swarm.send(bytes, on: stream) } catch { return }
        await self?.sent(bytes.count, on: number)
      }
    }
    links.queue(session.greeting, on: number)
    for await message in messages where swarm.isFleetMessage(message) {
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
    questions.remove(on: number)
    if links.remove(number) { endPull() }
    recordMembers()
  }

  private func sent(_ count: Int, on number: Int) {
    metrics.count(sent: count)
    if let digests = links.sent(count, on: number) { answer(digests, on: number) }
  }

  private func receive(_ bytes: [UInt8], on number: Int) async throws(FleetSession.Refusal) {
    metrics.count(received: bytes.count)
    for event in try links.receive(bytes, on: number) {
      switch event {
      case .reply(let bytes): links.queue(bytes, on: number)
      case .member(let other): try met(other, on: number)
      case .message(let message): await handle(message, on: number)
      }
    }
  }

  private func met(_ other: String, on number: Int) throws(FleetSession.Refusal) {
    guard other != name else {
      links.noteTwin(now: now)
      throw FleetSession.Refusal(reason: "Another host has the name of this one: \(name).")
    }
    recordMembers()
    queuePull(from: number)
    for ask in questions.removeWaiting(for: other) { self.ask(ask) }
  }

  private func handle(_ message: FleetMessage, on number: Int) async {
    switch message {
    // The session handles it itself.
    case .member: break
    case .question(let question):
      let answer = await reply(to: question)
      links.send(.answer(id: question.id, answer), on: number)
    case .answer(let id, let answer): handle(answer, id, on: number)
    case .digests(let digests):
      if links.mayAnswer(digests, on: number) { answer(digests, on: number) }
    case .entries(let entries): handle(entries, on: number)
    case .changed: queuePull(from: number)
    }
  }

  // MARK: Comparing lists

  private func answer(_ digests: [UInt64], on number: Int) {
    for message in keys.list.messages(for: digests) { links.send(message, on: number) }
    links.send(.entries([]), on: number)
  }

  private func handle(_ entries: [FleetEntry], on number: Int) {
    guard !entries.isEmpty else {
      if links.isPulling(from: number) { endPull() }
      return
    }
    links.removeKnown(entries, on: number)
    let news = merge(entries)
    if links.passOn(news, from: number) { flushSoon() }
  }

  /// Asks a member for what its list has and this one lacks, as soon as no other is asked.
  func queuePull(from number: Int) {
    links.queuePull(from: number)
    nextPull()
  }

  private func nextPull() {
    guard !isClosed, let number = links.beginPull(now: now) else { return }
    links.send(.digests(keys.list.digests), on: number)
  }

  /// Ends a comparison, and passes on what was news.
  func endPull() {
    if links.endPull() { flushSoon() }
    nextPull()
  }

  /// Sends entries to all connected members.
  func push(_ entries: [FleetEntry]) {
    if links.collect(entries, except: nil) { flushSoon() }
  }

  private func flushSoon() {
    Task {
      try? await Task.sleep(for: Self.flushPause)
      flush()
    }
  }

  private func flush() {
    for (number, entries) in links.removeCollected() {
      for start in stride(from: 0, to: entries.count, by: FleetMessage.maximumEntries) {
        let end = min(start + FleetMessage.maximumEntries, entries.count)
        links.send(.entries(Array(entries[start..<end])), on: number)
      }
    }
  }
}

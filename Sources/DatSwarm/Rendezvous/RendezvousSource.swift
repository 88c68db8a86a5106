internal import HypercoreCrypto
internal import Metrics
internal import NIOCore

/// A source that finds peers through servers of the user's choice: ``RendezvousServer`` or dns-discovery's own.
///
/// A server is given the topic and this side's port, and sees its address. It reports other peers as
/// they come. One that can't be reached is tried again, with pauses up to half a minute.
public actor RendezvousSource: PeerSource {
  public nonisolated let origin = PeerOrigin.rendezvous
  public nonisolated let findings: AsyncStream<Finding>
  public nonisolated let troubles: AsyncStream<String>
  private let troubled: AsyncStream<String>.Continuation
  private let found: AsyncStream<Finding>.Continuation

  private struct Client {
    var core: RendezvousClientCore
    var server: PeerAddress
    /// The time since which it has not answered; nil while it answers.
    var unansweredSince: ContinuousClock.Instant?
    var silenceWasTold = false

    /// Returns whether it has been silent for longer than a few lost packets would explain.
    func isSilent(at now: ContinuousClock.Instant) -> Bool {
      unansweredSince.map { now - $0 >= .seconds(5) } ?? false
    }
  }

  private struct Joined {
    var port: Int?
  }

  private let names: [PeerAddress]
  private let heartbeat: Duration
  private var topics: [Topic: Joined] = [:]
  /// The clients by server address as given; there is none before a name was looked up.
  private var clients: [PeerAddress: Client] = [:]
  /// The names that could not be used at the last attempt, each with the reason.
  private var failures: [PeerAddress: String] = [:]
  /// A socket for IPv4, and one for IPv6 if a server has such an address.
  private var channels: [Bool: any Channel] = [:]
  private let packets: AsyncStream<([UInt8], PeerAddress)>
  private let arrived: AsyncStream<([UInt8], PeerAddress)>.Continuation
  private var tasks: [Task<Void, Never>] = []
  /// The timer for whatever is due next.
  private var timer: (due: ContinuousClock.Instant, task: Task<Void, Never>)?
  private var isClosed = false
  private let reachable = Gauge(label: "dat_rendezvous_servers")
  /// Packets that came from none of the servers.
  private let strange = Counter(label: "dat_rendezvous_strange_packets")

  /// - Parameters:
  ///   - servers: names or numeric addresses.
  ///   - heartbeat: the silence after which a server is asked whether it is still there and the same.
  public init(servers: [PeerAddress], heartbeat: Duration = .seconds(5)) {
    names = servers
    self.heartbeat = heartbeat
    (findings, found) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1024))
    (troubles, troubled) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(16))
    (packets, arrived) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1024))
  }

  deinit {
    for task in tasks { task.cancel() }
    timer?.task.cancel()
    for channel in channels.values { channel.close(promise: nil) }
    found.finish()
    troubled.finish()
    arrived.finish()
  }

  /// The servers that answer now, by their address as given.
  public var reachableServers: [PeerAddress] {
    clients.filter { $0.value.core.isReachable }.map(\.key)
  }

  /// The servers that can't be used now, each with the reason: a name without an address, an address that
  /// this machine can't send to, a server that does not answer.
  public var standingTroubles: [String] {
    names.compactMap { name in
      if let failure = failures[name] { return failure }
      guard let client = clients[name], client.isSilent(at: .now) else { return nil }
      return "The rendezvous server \(name) does not answer; it is asked again."
    }
  }

  public func join(_ topic: Topic, announcing port: Int?) async {
    guard !isClosed else { return }
    topics[topic] = Joined(port: port)
    start()
    for name in clients.keys {
      clients[name]?.core.join(topic, announcing: port, now: .now)
    }
    turn()
  }

  public func leave(_ topic: Topic) {
    topics[topic] = nil
    for name in clients.keys { clients[name]?.core.leave(topic, now: .now) }
    turn()
  }

  public func lookAgain(_ topic: Topic) {
    for name in clients.keys { clients[name]?.core.lookAgain(topic, now: .now) }
    turn()
  }

  public func close() async {
    guard !isClosed else { return }
    for topic in topics.keys { leave(topic) }
    // Sent once; if it is lost, the entry expires on the server.
    isClosed = true
    for task in tasks { task.cancel() }
    timer?.task.cancel()
    for channel in channels.values { channel.close(promise: nil) }
    found.finish()
    troubled.finish()
    arrived.finish()
  }

  // MARK: Turns

  private func start() {
    guard tasks.isEmpty else { return }
    let packets = packets
    tasks = [
      Task { [weak self] in
        for await (bytes, sender) in packets { await self?.receive(bytes, sender) }
      },
      Task { [weak self] in
        while !Task.isCancelled {
          guard let self, await !self.isOpen() else { return }
          try? await Task.sleep(for: .seconds(5))
        }
      },
    ]
  }

  /// Opens the sockets and looks up the servers' names.
  ///
  /// - Returns: true if nothing is left to do.
  private func isOpen() async -> Bool {
    for name in names where clients[name] == nil {
      do {
        let host = try await UDP.resolve(name.host)
        try await open(isIPv6: host.isIPv6)
        guard !isClosed else { return true }
        let server = PeerAddress(host: host.description, port: name.port)
        var core = RendezvousClientCore(
          server: server, heartbeat: heartbeat, firstID: UInt16.random(in: .min ... .max))
        for (topic, joined) in topics { core.join(topic, announcing: joined.port, now: .now) }
        clients[name] = Client(core: core, server: server)
        failures[name] = nil
      } catch {
        failed(name, error)
      }
    }
    if isClosed { return true }
    turn()
    return clients.count == Set(names).count
  }

  private func open(isIPv6: Bool) async throws(SwarmError) {
    guard channels[isIPv6] == nil else { return }
    let channel: any Channel
    do {
      channel = try await UDP.open(host: isIPv6 ? "::" : "0.0.0.0", port: 0) { [arrived] in
        arrived.yield(($0, $1))
      }
    } catch {
      throw SwarmError(
        .unreachable, "This machine has no \(isIPv6 ? "IPv6" : "IPv4") to reach it by.",
        cause: error)
    }
    if isClosed || channels[isIPv6] != nil {
      channel.close(promise: nil)
    } else {
      channels[isIPv6] = channel
    }
  }

  /// Notes that a server's name can't be used, and reports each reason once.
  private func failed(_ name: PeerAddress, _ error: any Error) {
    let trouble = "The rendezvous server \(name) can't be used yet: \(error)"
    guard failures[name] != trouble else { return }
    failures[name] = trouble
    troubled.yield(trouble)
  }

  private func receive(_ bytes: [UInt8], _ sender: PeerAddress) {
    guard clients.values.contains(where: { $0.server == sender }) else {
      strange.increment()
      return
    }
    for name in clients.keys where clients[name]?.server == sender {
      if let actions = clients[name]?.core.receive(bytes, from: sender, now: .now) {
        carryOut(actions, sender)
      }
    }
    turn()
  }

  private func turn() {
    guard !isClosed else { return }
    let now = ContinuousClock.now
    var due: ContinuousClock.Instant?
    for (name, client) in clients {
      if let actions = clients[name]?.core.tick(now: now) { carryOut(actions, client.server) }
      let next = clients[name]?.core.deadline(now: now)
      due = [due, next].compactMap(\.self).min()
      lookForSilence(name, now)
    }
    reachable.record(clients.values.count { $0.core.isReachable })
    schedule(due)
  }

  private func schedule(_ due: ContinuousClock.Instant?) {
    guard due != timer?.due else { return }
    timer?.task.cancel()
    timer = due.map { due in
      let task = Task { [weak self] in
        do { try await Task.sleep(until: due, clock: .continuous) } catch { return }
        await self?.rang()
      }
      return (due, task)
    }
  }

  private func rang() {
    timer = nil
    turn()
  }

  /// Reports a server that has not answered for a while.
  private func lookForSilence(_ name: PeerAddress, _ now: ContinuousClock.Instant) {
    guard let client = clients[name] else { return }
    if client.core.isReachable || topics.isEmpty {
      clients[name]?.unansweredSince = nil
      clients[name]?.silenceWasTold = false
      return
    }
    if client.unansweredSince == nil { clients[name]?.unansweredSince = now }
    guard client.isSilent(at: now), !client.silenceWasTold else { return }
    clients[name]?.silenceWasTold = true
    troubled.yield("The rendezvous server \(name) does not answer; it is asked again.")
  }

  private func carryOut(_ actions: [RendezvousClientCore.Action], _ server: PeerAddress) {
    for action in actions {
      switch action {
      case .send(let bytes):
        if let channel = channels[server.host.contains(":")] {
          UDP.send(bytes, to: server, by: channel)
        }
      case .found(let finding): found.yield(finding)
      }
    }
  }
}

internal import HypercoreCrypto
internal import Metrics
internal import NIOCore

/// Finds peers through servers of the user's choice, ``RendezvousServer`` or dns-discovery's own.
///
/// A server is told the topic, the port we listen on, and learns our address; and it tells of others as
/// they come. One that can't be reached is tried again, with pauses up to half a minute.
public actor RendezvousSource: PeerSource {
  public nonisolated let origin = PeerOrigin.rendezvous
  public nonisolated let findings: AsyncStream<Finding>
  private let found: AsyncStream<Finding>.Continuation

  private struct Client {
    var core: RendezvousClientCore
    var server: PeerAddress
  }

  private struct Joined {
    var port: Int?
  }

  private let names: [PeerAddress]
  private let heartbeat: Duration
  private var topics: [Topic: Joined] = [:]
  /// By the address as it was given; none before its name was looked up.
  private var clients: [PeerAddress: Client] = [:]
  private var channel: (any Channel)?
  private let packets: AsyncStream<([UInt8], PeerAddress)>
  private let arrived: AsyncStream<([UInt8], PeerAddress)>.Continuation
  private var tasks: [Task<Void, Never>] = []
  private var timer: Task<Void, Never>?
  private var isClosed = false
  private let reachable = Gauge(label: "dat_rendezvous_servers")
  /// Packets that came from none of the servers.
  private let strange = Counter(label: "dat_rendezvous_strange_packets")

  /// - Parameters:
  ///   - servers: with names or IPv4 addresses.
  ///   - heartbeat: after how long of silence a server is asked whether it is still there and the same.
  public init(servers: [PeerAddress], heartbeat: Duration = .seconds(5)) {
    names = servers
    self.heartbeat = heartbeat
    (findings, found) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1024))
    (packets, arrived) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1024))
  }

  deinit {
    for task in tasks { task.cancel() }
    timer?.cancel()
    channel?.close(promise: nil)
    found.finish()
    arrived.finish()
  }

  /// The servers that answer now, as they were given.
  public var reachableServers: [PeerAddress] {
    clients.filter { $0.value.core.isReachable }.map(\.key)
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
    // Said once; it runs out on the server if that is lost.
    isClosed = true
    for task in tasks { task.cancel() }
    timer?.cancel()
    channel?.close(promise: nil)
    found.finish()
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

  /// Opens the socket and looks the servers' names up.
  ///
  /// - Returns: whether there is nothing left to do.
  private func isOpen() async -> Bool {
    if channel == nil {
      let channel = try? await UDP.open(host: "0.0.0.0", port: 0) { [arrived] in
        arrived.yield(($0, $1))
      }
      if isClosed { channel?.close(promise: nil) } else { self.channel = channel }
    }
    for name in names where clients[name] == nil {
      guard let host = await UDP.resolve(name.host), !isClosed else { continue }
      let server = PeerAddress(host: host, port: name.port)
      var core = RendezvousClientCore(
        server: server, heartbeat: heartbeat,
        firstID: UInt16.random(in: .min ... .max))
      for (topic, joined) in topics { core.join(topic, announcing: joined.port, now: .now) }
      clients[name] = Client(core: core, server: server)
    }
    turn()
    return channel != nil && clients.count == Set(names).count
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
    timer?.cancel()
    guard !isClosed, channel != nil else { return }
    let now = ContinuousClock.now
    var due: ContinuousClock.Instant?
    for (name, client) in clients {
      if let actions = clients[name]?.core.tick(now: now) { carryOut(actions, client.server) }
      let next = clients[name]?.core.deadline(now: now)
      due = [due, next].compactMap(\.self).min()
    }
    reachable.record(clients.values.count { $0.core.isReachable })
    guard let due else { return }
    timer = Task { [weak self] in
      do { try await Task.sleep(until: due, clock: .continuous) } catch { return }
      await self?.turn()
    }
  }

  private func carryOut(_ actions: [RendezvousClientCore.Action], _ server: PeerAddress) {
    for action in actions {
      switch action {
      case .send(let bytes):
        if let channel { UDP.send(bytes, to: server, by: channel) }
      case .found(let finding): found.yield(finding)
      }
    }
  }
}

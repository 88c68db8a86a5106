#if DHT
  public import DatSwarm
  internal import Foundation
  internal import HypercoreCrypto
  public import Logging

  /// A source that finds peers all over the internet, through the BitTorrent mainline DHT.
  ///
  /// ```swift
  /// var options = MainlineDHT.Options()
  /// options.stateFile = "room/dht"
  /// let dht = try MainlineDHT(options)
  /// ```
  ///
  /// The topic is the info hash, as in the Dat programs of 2018. Announcing reveals this machine's address to
  /// everybody who asks the network for that hash. The findings are unchecked claims of strangers: a `Swarm`
  /// leaves out private addresses among them.
  ///
  /// It is available only if the package is built with the trait `DHT`, which needs libtorrent.
  public actor MainlineDHT: PeerSource {
    /// The options of a node.
    public struct Options: Sendable {
      /// The local IPv4 address to send from.
      public var host = "0.0.0.0"
      /// The UDP port; 0 for any.
      public var port = 0
      /// Well-known nodes, which are asked for others: those of the big BitTorrent programs, to
      /// which Dat's programs fell back.
      public var bootstrap = [
        PeerAddress(host: "router.bittorrent.com", port: 6881),
        PeerAddress(host: "router.utorrent.com", port: 6881),
        PeerAddress(host: "dht.transmissionbt.com", port: 6881),
      ]
      /// True if the router is asked, by UPnP and NAT-PMP, to let connections in.
      public var mapsPorts = false
      /// The file that keeps the routing table between runs; nil for none.
      public var stateFile: String?
      /// The pauses between the first lookups of a topic, while the node is still learning the network; then
      /// ``interval``.
      public var firstPauses: [Duration] = [2, 5, 15, 60].map { .seconds($0) }
      /// The range of the random pauses between later lookups, in milliseconds, as in discovery-channel.
      public var interval: ClosedRange<Int> = 600_000...900_000
      /// The shortest time between two lookups, so that many topics don't flood the network.
      public var spacing = Duration.milliseconds(50)
      /// True if the network is one machine, for tests: all its nodes then have one address.
      public var isTestNetwork = false

      /// The defaults.
      public init() {}
    }

    public nonisolated let origin = PeerOrigin.dht
    public nonisolated let findings: AsyncStream<Finding>

    private let continuation: AsyncStream<Finding>.Continuation
    private let options: Options
    private let logger: Logger
    private var node: DHTNode?
    private var topics: [Topic: Joined] = [:]
    private var mappedPort: Int?
    private var askedPorts: Set<Int> = []
    private var lastTurn = ContinuousClock.now
    private var reader: Task<Void, Never>?
    private var saver: Task<Void, Never>?

    private struct Joined {
      var port: Int?
      var lookups: Task<Void, Never>?
    }

    /// The most bytes of a state file; a larger one was not written here.
    private static let stateLimit = 1 << 20
    private static let saveInterval = Duration.seconds(600)

    /// Starts a node.
    ///
    /// - Throws: `SwarmError` if it could not be started.
    public init(
      _ options: Options = Options(), logger: Logger = Logger(label: "dat.dht")
    ) throws(SwarmError) {
      self.options = options
      self.logger = logger
      (findings, continuation) = AsyncStream.makeStream(
        of: Finding.self, bufferingPolicy: .bufferingNewest(256))
      node = try DHTNode(options, state: Self.loadState(options.stateFile))
    }

    deinit {
      reader?.cancel()
      saver?.cancel()
      for topic in topics.values { topic.lookups?.cancel() }
      continuation.finish()
      // Stopping waits for threads and routers.
      if let node { DispatchQueue.global().async { _ = node } }
    }

    // MARK: State

    /// The UDP port in use; 0 if closed.
    public var port: Int { node?.port ?? 0 }

    /// The number of nodes in the routing table.
    public var nodeCount: Int { node?.nodeCount ?? 0 }

    /// Adds another node, by its numeric IPv4 address.
    public func addNode(_ address: PeerAddress) { node?.add(address) }

    // MARK: Topics

    public func join(_ topic: Topic, announcing port: Int?) {
      guard let node else { return }
      start()
      if options.mapsPorts, let port, askedPorts.insert(port).inserted { node.map(port: port) }
      topics[topic, default: Joined()].port = port
      topics[topic]?.lookups?.cancel()
      topics[topic]?.lookups = Task { [weak self, options] in
        var round = 0
        while !Task.isCancelled {
          guard let turn = await self?.nextTurn() else { return }
          try? await Task.sleep(until: turn, clock: .continuous)
          guard !Task.isCancelled, await self?.look(for: topic) == true else { return }
          let pause =
            round < options.firstPauses.count
            ? options.firstPauses[round] : .milliseconds(Int.random(in: options.interval))
          round += 1
          try? await Task.sleep(for: pause)
        }
      }
    }

    public func leave(_ topic: Topic) {
      topics.removeValue(forKey: topic)?.lookups?.cancel()
    }

    /// Leaves everything, saves the routing table, and stops the node.
    public func close() async {
      guard let node else { return }
      for topic in Array(topics.keys) { leave(topic) }
      saver?.cancel()
      reader?.cancel()
      save()
      self.node = nil
      continuation.finish()
      await reader?.value
      let last = LastReference(node)
      await withCheckedContinuation { done in
        // Stopping waits for threads and routers, which would block a thread of the pool.
        DispatchQueue.global().async {
          last.release()
          done.resume()
        }
      }
    }

    /// Returns the time at which the next lookup may be made.
    private func nextTurn() -> ContinuousClock.Instant {
      let turn = max(.now, lastTurn + options.spacing)
      lastTurn = turn
      return turn
    }

    /// - Returns: true if the topic is still wanted.
    private func look(for topic: Topic) -> Bool {
      guard let node, let joined = topics[topic] else { return false }
      if let port = joined.port { node.announce(topic, port: mappedPort ?? port) }
      node.getPeers(topic)
      return true
    }

    // MARK: Events

    private func start() {
      guard reader == nil, let node else { return }
      let wakeups = node.wakeups
      reader = Task { [weak self] in
        for await _ in wakeups { await self?.takeEvents() }
      }
      saver = Task { [weak self] in
        while (try? await Task.sleep(for: Self.saveInterval)) != nil { await self?.save() }
      }
      takeEvents()
    }

    private func takeEvents() {
      var found: [Topic: [PeerAddress]] = [:]
      while let event = node?.nextEvent() {
        switch event {
        case .peer(let topic, let address):
          guard topics[topic] != nil else { continue }
          if found[topic]?.contains(address) != true { found[topic, default: []].append(address) }
        case .mapped(let port):
          mappedPort = port
          logger.info("the router forwards a port", metadata: ["port": "\(port)"])
        case .problem(let text):
          logger.warning("DHT: \(text)")
        }
      }
      for (topic, addresses) in found {
        continuation.yield(Finding(topic: topic, addresses: addresses))
      }
    }

    // MARK: Keeping the routing table

    private static func loadState(_ path: String?) -> [UInt8] {
      guard let path, let handle = FileHandle(forReadingAtPath: path) else { return [] }
      defer { try? handle.close() }
      let bytes = try? handle.read(upToCount: stateLimit + 1)
      guard let bytes, bytes.count <= stateLimit else { return [] }
      return Array(bytes)
    }

    private func save() {
      guard let path = options.stateFile, let state = node?.state(), !state.isEmpty else { return }
      do {
        try Data(state).write(to: URL(fileURLWithPath: path), options: .atomic)
        // It contains the addresses of others.
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
      } catch {
        logger.warning("The DHT's routing table could not be saved: \(error)")
      }
    }
  }

  /// The last reference to a node, to be released elsewhere.
  private final class LastReference: @unchecked Sendable {
    // Unchecked: made by one task, and then touched only by the one closure that releases it.
    private var node: DHTNode?
    init(_ node: DHTNode) { self.node = node }
    func release() { node = nil }
  }
#endif

#if DHT
  public import DatSwarm
  internal import Foundation
  internal import HypercoreCrypto
  public import Logging

  /// Finds peers all over the internet, through the BitTorrent mainline DHT.
  ///
  /// ```swift
  /// var options = MainlineDHT.Options()
  /// options.stateFile = "room/dht"
  /// let dht = try MainlineDHT(options)
  /// ```
  ///
  /// The topic is the info hash, as it is with the Dat programs of 2018. Announcing shows one's address
  /// to everybody who asks the network for that hash. What it finds are the claims of strangers, as they
  /// are: a `Swarm` leaves out private addresses that come from here.
  ///
  /// Only where the package is built with the trait `DHT`, which takes libtorrent.
  public actor MainlineDHT: PeerSource {
    /// How a node is run.
    public struct Options: Sendable {
      /// The local IPv4 address to speak from.
      public var host = "0.0.0.0"
      /// The UDP port; 0 for any.
      public var port = 0
      /// Nodes that everybody knows, asked for others. Those of the big BitTorrent programs, which
      /// Dat's own fell back to.
      public var bootstrap = [
        PeerAddress(host: "router.bittorrent.com", port: 6881),
        PeerAddress(host: "router.utorrent.com", port: 6881),
        PeerAddress(host: "dht.transmissionbt.com", port: 6881),
      ]
      /// Whether the router is asked, by UPnP and NAT-PMP, to let connections in.
      public var mapsPorts = false
      /// Where the routing table is kept between runs; nil for nowhere.
      public var stateFile: String?
      /// The pauses between the first lookups of a topic, while the node is still getting to know the
      /// network; then ``interval``.
      public var firstPauses: [Duration] = [2, 5, 15, 60].map { .seconds($0) }
      /// The pauses between later ones, a random one each, in milliseconds; as in discovery-channel.
      public var interval: ClosedRange<Int> = 600_000...900_000
      /// At least so long between two lookups, whatever the topics: who has many of them is no flood.
      public var spacing = Duration.milliseconds(50)
      /// Whether the network is one machine, for tests: all its nodes then have one address.
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

    /// A state file larger than this is none of ours.
    private static let stateLimit = 1 << 20
    private static let saveInterval = Duration.seconds(600)

    /// Starts a node.
    ///
    /// - Throws: `SwarmError` where it could not be started.
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

    /// The UDP port in use; 0 when closed.
    public var port: Int { node?.port ?? 0 }

    /// How many nodes the routing table has.
    public var nodeCount: Int { node?.nodeCount ?? 0 }

    /// Makes another node known, by its numeric IPv4 address.
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
        // Stopping waits for threads and routers, which is nothing for a thread of the pool.
        DispatchQueue.global().async {
          last.release()
          done.resume()
        }
      }
    }

    /// When the next lookup may be made.
    private func nextTurn() -> ContinuousClock.Instant {
      let turn = max(.now, lastTurn + options.spacing)
      lastTurn = turn
      return turn
    }

    /// - Returns: whether the topic is still wanted.
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
        // It has the addresses of others.
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
      } catch {
        logger.warning("The DHT's routing table could not be saved: \(error)")
      }
    }
  }

  /// The last reference to a node, to be let go of elsewhere.
  private final class LastReference: @unchecked Sendable {
    // Unchecked: made by one task, and then only touched by the one closure that releases it.
    private var node: DHTNode?
    init(_ node: DHTNode) { self.node = node }
    func release() { node = nil }
  }
#endif

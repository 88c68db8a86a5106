#if WebRTC
  public import DatSignal
  public import DatSwarm
  public import HypercoreCrypto

  /// A transport to peers in browsers, and to native ones that TCP doesn't reach: it finds them through signal
  /// hubs, and connects through WebRTC's data channels.
  ///
  /// ```swift
  /// let hub = try HubAddress(parsing: "wss://hub.example.org")
  /// let swarm = Swarm(sources: [LANSource()], transports: [WebRTCTransport(hubs: [hub])])
  /// try await swarm.join(feed)
  /// ```
  ///
  /// A topic is an application at the hubs, named by the discovery key: whoever knows that can connect, and
  /// learns the addresses that this side offers (``WebRTCOptions``). A hub carries the descriptions of
  /// connections. A hub that replaces the fingerprints in them can get in between two peers; it then sees what
  /// a router sees of a TCP connection: ciphertext, unless it has the room's key.
  ///
  /// Stands for webrtc-swarm with signalhub or signalhubws.
  public final class WebRTCTransport: PeerTransport {
    /// The ways in which the transport finds and connects.
    public struct Options: Sendable {
      /// The ways in which this side is reached.
      public var webRTC = WebRTCOptions()
      /// The ways in which hubs are used.
      public var hub = SignalHub.Options()
      /// The bounds of each topic.
      var limits = SignalAgent.Limits()

      /// Connections of a topic at a time. At most a quarter of them may still be in the handshake, and at most
      /// half may be behind relays.
      public var maximumConnections: Int {
        get { limits.total }
        set {
          limits.total = max(newValue, 4)
          limits.pending = max(limits.total / 4, 2)
        }
      }

      /// The defaults.
      public init() {}
    }

    public let origin = PeerOrigin.webrtc
    public let events: AsyncStream<PeerTransportEvent>
    private let happening: AsyncStream<PeerTransportEvent>.Continuation
    private let hubs: [HubAddress]
    private let options: Options
    private let rooms = Rooms()

    @WebRTCActor
    private final class Rooms {
      var byKey: [DiscoveryKey: SignalRoom] = [:]
      /// Rooms that were left, as long as they may have connections.
      var left: [SignalRoom] = []
      var isClosed = false
      let servers = ServerTroubles()
      nonisolated init() {}
    }

    /// Makes a transport that does nothing before a topic is joined.
    ///
    /// - Parameters:
    ///   - hubs: the hubs at which peers meet; all are used at once.
    ///   - options: the options of the transport.
    public init(hubs: [HubAddress], options: Options = Options()) {
      self.hubs = hubs
      self.options = options
      (events, happening) = AsyncStream.makeStream()
    }

    public func join(_ key: DiscoveryKey) async { await open(key) }

    @WebRTCActor
    private func open(_ key: DiscoveryKey) {
      guard !rooms.isClosed, rooms.byKey[key] == nil, !hubs.isEmpty else { return }
      rooms.byKey[key] = SignalRoom(
        key, hubs: hubs, options: options, servers: rooms.servers, events: happening)
    }

    public func leave(_ key: DiscoveryKey) async { await abandon(key) }

    @WebRTCActor
    private func abandon(_ key: DiscoveryKey) async {
      guard let room = rooms.byKey.removeValue(forKey: key) else { return }
      rooms.left = rooms.left.filter(\.isInUse) + [room]
      await room.leave()
    }

    public func close() async { await closeAll() }

    @WebRTCActor
    private func closeAll() async {
      rooms.isClosed = true
      let all = Array(rooms.byKey.values) + rooms.left
      (rooms.byKey, rooms.left) = ([:], [])
      for room in all { await room.close() }
      happening.finish()
    }

    public var standingTroubles: [String] { get async { await listTroubles() } }

    /// One sentence for each hub, though every topic has a connection of its own there, and each server.
    @WebRTCActor
    private func listTroubles() -> [String] {
      (rooms.byKey.values.map(\.standingTroubles).max { $0.count < $1.count } ?? [])
        + rooms.servers.standing
    }
  }
#endif

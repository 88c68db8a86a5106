extension Swarm {
  /// The limits on connections and attempts, and the hosts that are permitted.
  public struct Options: Sendable {
    /// Inbound connections at a time on each listening port. More are closed at once.
    public var maximumInbound = 64
    /// Inbound connections at a time from one address, or from one IPv6 network of 64 bits; nil for an eighth
    /// of ``maximumInbound``, and at least 8. So one host can't take all places, and a household behind one
    /// address has enough. If all places are taken, a connection from an address with fewer evicts the one
    /// that has been idle longest of the address with the most.
    public var maximumPerAddress: Int?
    /// The same for loopback, where tunnels to this machine end; nil for no limit of its own.
    public var maximumPerLoopback: Int?
    /// Numeric addresses of trusted proxies and tunnels, each of which stands for many peers.
    public var trustedProxies: Set<String> = []
    /// The same as ``maximumPerAddress`` for each of those; nil for no limit of its own.
    public var maximumPerProxy: Int?
    /// Inbound connections from one address that have not completed their handshake; loopback is exempt.
    public var maximumHalfOpen = 8
    /// Outbound connections to found peers, for each topic. Peers pass on what they get, so a few are
    /// enough for any number of peers. Given addresses are not counted.
    public var maximumOutbound = 16
    /// Outbound attempts at a time, for all topics together.
    public var maximumDialing = 16
    /// Outbound attempts a second, for all topics together, and the most in a burst.
    public var dialsPerSecond = 20
    /// Addresses kept for each topic. More are dropped, and may be found again.
    public var maximumCandidates = 128
    /// Addresses other than its own that one machine may name within ten minutes: it can't make us connect to
    /// more. For a rendezvous server and the DHT, whose purpose is to name others, the limit is four times
    /// ``maximumCandidates`` for each topic.
    public var maximumNamed = 16
    /// Addresses of one host kept for each topic: several programs may run on a machine. The one that failed
    /// most, or was found longest ago, is evicted for the newest. Loopback, where many peers of a machine
    /// meet, is exempt.
    public var maximumPerHost = 4
    /// New addresses of one host accepted within ten minutes; loopback is exempt.
    public var maximumNewPerHost = 16
    /// The time after which an address is tried again that was set aside because another connection seems to
    /// lead to the same peer. Nothing proves that, so a false claim keeps the address away for no longer.
    public var seemingDuplicatePause: Duration = .seconds(600)
    /// The time limit of one attempt.
    public var connectTimeout: Duration = .seconds(3)
    /// The time limit of one attempt at a given address.
    public var givenConnectTimeout: Duration = .seconds(10)
    /// The time within which a peer that connected has to name its feed.
    public var handshakeTimeout: Duration = .seconds(5)
    /// The pauses before a found peer is tried again; after the last the address is forgotten until it is
    /// found again. Source: discovery-swarm.
    public var pauses: [Duration] = [1, 1, 5, 15].map { .seconds($0) }
    /// The pauses before a given address is tried again; the last one repeats.
    public var givenPauses: [Duration] = [1, 1, 5, 15, 30, 60].map { .seconds($0) }
    /// True if loopback addresses that other machines name are dialled.
    public var dialsLoopback = false
    /// The only hosts, as numeric addresses, with which connections are permitted; nil for all.
    public var allowed: Set<String>?
    /// Hosts, as numeric addresses, with which no connections are permitted.
    public var denied: Set<String> = []
    /// Offences after which a host, loopback excepted, is barred for 1 s: connections in which it did what no
    /// working peer does. Each further one doubles the time, up to ten minutes. Twenty quiet minutes clear the
    /// record.
    public var maximumOffences = 3
    /// Returns a tap for a new connection, which gets a copy of all of its bytes; nil for no tap. By default
    /// there is none.
    public var tap: (@Sendable (SwarmPeer) -> (any ConnectionTap)?)?

    /// The defaults.
    public init() {}
  }
}

extension Swarm {
  /// How many connections, how fast, and with whom.
  public struct Options: Sendable {
    /// Connections that others opened, at a time, on each listening port. More are closed at once.
    public var maximumInbound = 64
    /// Connections of one address, or of one IPv6 network of 64 bits, at a time; nil for an eighth of
    /// ``maximumInbound``, and at least 8: one host can't take all places, and a household behind one
    /// address has enough. Where all places are taken, the connection that has been idle longest, of the
    /// address with most, makes room for that of an address with fewer.
    public var maximumPerAddress: Int?
    /// The same for loopback, where tunnels to this machine end; nil for as many as there are.
    public var maximumPerLoopback: Int?
    /// Numeric addresses of proxies and tunnels that are trusted: behind each are many peers.
    public var trustedProxies: Set<String> = []
    /// The same as ``maximumPerAddress`` for those; nil for as many as there are.
    public var maximumPerProxy: Int?
    /// Connections of one address that have not completed their handshake, loopback excepted.
    public var maximumHalfOpen = 8
    /// Connections that we opened to peers that were found, for each topic. Peers pass on what they
    /// get, so a few are enough for any number of peers. Addresses that were given are not counted.
    public var maximumOutbound = 16
    /// Connections being opened at a time, for all topics together.
    public var maximumDialing = 16
    /// Tries to connect in a second, for all topics together, and how many may come at once.
    public var dialsPerSecond = 20
    /// Addresses kept for each topic. More are dropped, and known again when they are found again.
    public var maximumCandidates = 128
    /// How many addresses other than its own one machine may name within ten minutes: nobody can make
    /// us connect to more than these. A rendezvous server and the DHT, which name others by trade, may
    /// name so many a topic as four times ``maximumCandidates`` says.
    public var maximumNamed = 16
    /// Addresses of one host that are kept for each topic: several programs may run on a machine. The one
    /// that failed most, or was found longest ago, makes room for the newest. Loopback, where many peers
    /// of a machine meet, has all there are.
    public var maximumPerHost = 4
    /// New addresses of one host, loopback excepted, that are taken within ten minutes.
    public var maximumNewPerHost = 16
    /// After how long an address is tried again of which another connection seemed to lead to the same
    /// peer, which nothing has shown: a peer that only claimed to be the same can't keep it away for longer.
    public var seemingDuplicatePause: Duration = .seconds(600)
    /// For one try to connect.
    public var connectTimeout: Duration = .seconds(3)
    /// The same for addresses that were given.
    public var givenConnectTimeout: Duration = .seconds(10)
    /// How long a peer that connected may take to say which feed it is about.
    public var handshakeTimeout: Duration = .seconds(5)
    /// The pauses before a peer that was found is tried again; after the last the address is forgotten
    /// until it is found again. Source: discovery-swarm.
    public var pauses: [Duration] = [1, 1, 5, 15].map { .seconds($0) }
    /// The pauses before a given address is tried again; the last one repeats.
    public var givenPauses: [Duration] = [1, 1, 5, 15, 30, 60].map { .seconds($0) }
    /// Whether loopback addresses are dialled that peers beyond this machine name.
    public var dialsLoopback = false
    /// Where not nil, the only hosts, as numeric addresses, with which there are connections.
    public var allowed: Set<String>?
    /// Hosts, as numeric addresses, with which there are no connections.
    public var denied: Set<String> = []
    /// Connections in which one host, loopback excepted, did what no working peer does, with which it is
    /// refused for 1 s; each further one doubles that, up to ten minutes. Twenty quiet minutes are
    /// forgiven.
    public var maximumOffences = 3

    /// The defaults.
    public init() {}
  }
}

internal import ArgumentParser
internal import DatHost
internal import DatSwarm
internal import Foundation

/// `dat host run DIR [KEY…]`, or just `dat host DIR [KEY…]`.
struct HostRunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Host the keys of a folder until told to end.",
    discussion: """
      A KEY is 64 hex digits or a dat:// link; room:KEY, db:KEY, feed:KEY or archive:KEY where the kind is known. \
      With --key-file or - as a KEY they are read from a file or standard input, one a line. \
      Otherwise it is found out: from the first block whether it is a feed or a database, and a database \
      with messages in it is a room. Until its first message a new room has to be named as one, for its newcomers \
      to be let in.

      A host needs a file descriptor for each key, one for each connection, and about 200 more. With \
      --fleet several hosts share the keys, and each holds those that fall to it. The hosts are those that a \
      directory names: SRV records, as Consul and Kubernetes publish them, or a file with a name a line and an \
      address after it. A key that is added on one of them is added on all.

      EXAMPLES
        dat host run /var/lib/dat room:4c1f..e9
        dat host run /var/lib/dat --key-file keys.txt --metrics 9100
        dat host run /var/lib/dat room:4c1f..e9 --signal-listen 127.0.0.1:3300
        dat host run /var/lib/dat --fleet srv:_dat._tcp.hosts.example.org --fleet-key fleet.key --self a.example.org
      """)

  @Argument(help: "The folder of the host.", completion: .directory)
  var dir: String

  @Argument(help: "Keys to host, beside those of the folder.")
  var keys: [String] = []

  @OptionGroup var keyFile: KeyFile

  @Option(help: "The name that rooms see.")
  var name = "host"

  @Option(
    help: ArgumentHelp(
      "Accept peers here; port 0 takes any free one. Without it all addresses at Dat's port, 3282.",
      valueName: "host:port"))
  var listen: [String] = []

  @Option(
    help: ArgumentHelp("Stay connected to this peer for every key.", valueName: "host:port"))
  var connect: [String] = []

  @OptionGroup(title: "Finding peers") var discovery: DiscoveryOptions

  @OptionGroup(title: "Peers in browsers") var hubs: HubOptions

  @Option(
    help: ArgumentHelp(
      "Run a signal hub here as well, see `dat signal`, and meet peers at it; port 0 takes any free one.",
      valueName: "host:port"))
  var signalListen: String?

  @OptionGroup(title: "Connections of others") var limits: ConnectionLimits

  @Option(
    help: ArgumentHelp(
      "Who may write in rooms: open lets in everybody who has the key, none nobody, as far as it is up "
        + "to this host.", valueName: "open|none"))
  var authorize = HostAuthorization.open

  @OptionGroup(title: "Disk") var disk: DiskOptions

  @Option(
    help: ArgumentHelp(
      "Fetch at most this much of all keys together; by default as much as the disk has, less the reserve.",
      valueName: "size"))
  var quota: ByteSize?

  @Option(
    help: ArgumentHelp(
      "Serve metrics for Prometheus at 127.0.0.1, port PORT, path /metrics; 0 takes any free port.",
      valueName: "port"))
  var metrics: Int?

  @OptionGroup(title: "A fleet of hosts") var fleet: FleetOptionGroup

  @Option(help: ArgumentHelp("The log level: debug, info, warning or error.", valueName: "level"))
  var log = HostLogLevel.info

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  func validate() throws {
    try FolderLook.checkName(dir, example: "dat host FOLDER KEY hosts it.")
    try UserName.check(name)
    if let metrics, !(0...65_535).contains(metrics) {
      throw ValidationError("--metrics takes a port, 0 to 65535.")
    }
  }

  func run() async throws {
    let output = Output(json: json)
    do {
      try FolderLook(dir).check(for: .host)
      let keys = try await keyFile.readAll(self.keys)
      var options = ReplicaHost.Options()
      options.name = name
      options.authorization = authorize.policy
      options.peers = try connect.map { try PeerAddress(parsing: $0) }
      options.fleet = try await fleet.options()
      options.disk = disk.limits(or: options.disk)
      options.quota = quota.flatMap { $0.bytes == 0 ? nil : $0.bytes }
      let sources = try discovery.sources(
        hasAddresses: !listen.isEmpty || !connect.isEmpty, folder: dir, mayAsk: false)
      let service = HostService(
        folder: dir, keys: try keys.map { try HostedKey(parsing: $0) }, options: options,
        listen: try listen.map { try ListenAddress(parsing: $0) },
        swarmOptions: limits.swarmOptions(usual: 4096), sources: sources, hubs: hubs,
        hubAddress: try signalListen.map { try ListenAddress(parsing: $0) },
        isVerbose: discovery.verbose,
        metricsPort: metrics, logLevel: log.level, output: output)
      try await service.run()
    } catch {
      throw output.ending(with: error, isEvent: true)
    }
  }
}

/// The newcomers that a host lets in.
enum HostAuthorization: String, ExpressibleByArgument, CaseIterable {
  case open
  case none
}

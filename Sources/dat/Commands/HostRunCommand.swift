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
      A KEY is 64 hex digits or a dat:// link; room:KEY, db:KEY or feed:KEY where the kind is known. \
      Otherwise it is found out: from the first block whether it is a feed or a database, and a database \
      with messages in it is a room. Until its first message a new room has to be named as one, for its newcomers \
      to be let in.

      A host needs a file descriptor for each key, one for each connection, and about 200 more. With \
      --fleet several hosts share the keys: give each the same list of hosts and the same keys, and each \
      holds those that fall to it.
      """)

  @Argument(help: "The folder of the host.", completion: .directory)
  var dir: String

  @Argument(help: "Keys to host, beside those of the folder.")
  var keys: [String] = []

  @Option(help: "The name that rooms see.")
  var name = "host"

  @Option(
    help: ArgumentHelp(
      "Accept peers here; port 0 takes any free one. Without it all addresses at Dat's port, 3282.",
      valueName: "host:port"))
  var listen: [String] = []

  @Option(
    help: ArgumentHelp("Stay connected to this peer about every key.", valueName: "host:port"))
  var connect: [String] = []

  @OptionGroup(title: "Finding peers") var discovery: DiscoveryOptions

  @Option(
    help: ArgumentHelp(
      "Who may write in rooms: open lets in everybody who has the key, none nobody, as far as it is up "
        + "to this host.", valueName: "open|none"))
  var authorize = HostAuthorization.open

  @Option(help: ArgumentHelp("Connections that others may open at a time.", valueName: "number"))
  var maxConnections = 4096

  @OptionGroup(title: "Disk") var disk: DiskOptions

  @Option(
    help: ArgumentHelp(
      "Fetch so much of all keys together; without it, as much as the disk has but for the reserve.",
      valueName: "size"))
  var quota: ByteSize?

  @Option(
    help: ArgumentHelp(
      "Tell Prometheus at 127.0.0.1, port PORT, path /metrics; 0 takes any free port.",
      valueName: "port"))
  var metrics: Int?

  @Option(
    help: ArgumentHelp("The hosts that share the keys, a name a line.", valueName: "file"))
  var fleet: String?

  @Option(
    name: .customLong("self"),
    help: ArgumentHelp("This host's name in the fleet.", valueName: "name"))
  var selfName: String?

  @Option(help: ArgumentHelp("How many hosts of the fleet hold each key.", valueName: "number"))
  var copies = 1

  @Option(help: ArgumentHelp("What to log: debug, info, warning or error.", valueName: "level"))
  var log = HostLogLevel.info

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  func validate() throws {
    if name.utf8.count > 200 { throw ValidationError("A name can have 200 bytes at most.") }
    guard (1...1_000_000).contains(maxConnections) else {
      throw ValidationError("--max-connections takes a number from 1 to 1000000.")
    }
    if let metrics, !(0...65_535).contains(metrics) {
      throw ValidationError("--metrics takes a port, 0 to 65535.")
    }
    guard (fleet == nil) == (selfName == nil) else {
      throw ValidationError("--fleet FILE and --self NAME go together.")
    }
    guard copies >= 1 else { throw ValidationError("--copies takes a number from 1.") }
  }

  func run() async throws {
    let output = Output(json: json)
    do {
      var options = ReplicaHost.Options()
      options.name = name
      options.authorization = authorize.policy
      options.peers = try connect.map { try PeerAddress(parsing: $0) }
      options.fleet = try readFleet()
      options.disk = disk.limits(or: options.disk)
      options.quota = quota.flatMap { $0.bytes == 0 ? nil : $0.bytes }
      let sources = try discovery.sources(
        hasAddresses: !listen.isEmpty || !connect.isEmpty, folder: dir, mayAsk: false)
      let service = HostService(
        folder: dir, keys: try keys.map { try HostedKey(parsing: $0) }, options: options,
        listen: try listen.map { try ListenAddress(parsing: $0) },
        maximumInbound: maxConnections, sources: sources, isVerbose: discovery.verbose,
        metricsPort: metrics, logLevel: log.level, output: output)
      try await service.run()
    } catch {
      output.problem(Problem.sentence(for: error))
      throw ExitCode(1)
    }
  }

  private func readFleet() throws -> (fleet: Fleet, name: String, copies: Int)? {
    guard let path = fleet, let selfName else { return nil }
    guard let data = FileManager.default.contents(atPath: path), data.count < 1 << 20,
      let text = String(data: data, encoding: .utf8)
    else { throw ValidationError("The fleet's file \(SafeText.line(path)) can't be read.") }
    let fleet = try Fleet(parsing: text)
    guard fleet.hosts.contains(selfName) else {
      throw ValidationError(
        "The fleet's file \(SafeText.line(path)) names no host \"\(SafeText.line(selfName))\".")
    }
    return (fleet, selfName, copies)
  }
}

/// Whom a host lets in.
enum HostAuthorization: String, ExpressibleByArgument, CaseIterable {
  case open
  case none
}

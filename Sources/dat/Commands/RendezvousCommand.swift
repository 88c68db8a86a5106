internal import ArgumentParser
internal import DatCoding
internal import DatSwarm

/// `dat rendezvous`: a server at which peers find each other.
struct RendezvousCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rendezvous",
    abstract: "Run a server at which peers find each other, until interrupted.",
    discussion: """
      Peers that name it with --rendezvous tell it the topics they are about and their addresses, and \
      learn of each other. It knows no keys, and what peers say to each other does not pass through it. \
      It speaks dns-discovery's protocol over UDP, IPv4 and IPv6, so peers of 2018 can use it as well.

      EXAMPLES
        dat rendezvous
        dat rendezvous --listen 0.0.0.0:5300
        dat chat ~/room KEY --name ana --rendezvous rendezvous.example.org:5300
      """)

  @Option(
    help: ArgumentHelp(
      "Take packets here; port 0 takes any free one. Without it at port 5300 of all addresses.",
      valueName: "host:port"))
  var listen: String?

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  func run() async throws {
    let output = Output(json: json)
    do {
      try DescriptorLimit.check(isOnline: true)
      let address = try listen.map { try ListenAddress(parsing: $0) }
      // First, so that even an early signal ends it in order.
      let interruptions = Interruption.requests()
      let server = try await Self.server(at: address)
      if json {
        output.object([
          "event": "listening", "host": .string(server.address.host),
          "port": .integer(Int64(server.address.port)),
        ])
      } else {
        output.line("listening on \(server.address)")
      }
      for await _ in interruptions { break }
      let statistics = await server.statistics
      await server.close()
      if json {
        output.object([
          "event": "closed", "topics": .integer(Int64(statistics.topics)),
          "entries": .integer(Int64(statistics.entries)),
          "packets": .integer(Int64(statistics.received)),
          "announced": .integer(Int64(statistics.announced)),
          "refused": .integer(Int64(statistics.refused)),
        ])
      } else {
        output.line(
          "\(statistics.received) packets, \(statistics.announced) announcements, "
            + "\(statistics.refused) refused")
      }
    } catch {
      throw output.ending(with: error, isEvent: true)
    }
  }

  /// Makes the server; by default for both kinds of addresses, as far as the machine has both.
  private static func server(at address: ListenAddress?) async throws(SwarmError)
    -> RendezvousServer
  {
    if let address { return try await RendezvousServer(host: address.host, port: address.port) }
    do {
      return try await RendezvousServer(host: "::", port: 5300)
    } catch {
      guard error.code != .addressInUse else { throw error }
      return try await RendezvousServer(host: "0.0.0.0", port: 5300)
    }
  }
}

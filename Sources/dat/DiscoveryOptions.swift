internal import ArgumentParser
internal import DatSwarm

/// Where to look for the peers of a room, beyond the addresses that were given.
struct DiscoveryOptions: ParsableArguments {
  @Flag(
    inversion: .prefixedNo,
    help:
      "Find peers on the local network. The default, unless --listen or --connect says where they are."
  )
  var lan: Bool?

  @Option(
    help: ArgumentHelp(
      "Of the local network use this interface only; may be repeated.", valueName: "name"))
  var interface: [String] = []

  @Option(
    help: ArgumentHelp(
      "Find peers through this server, see `dat rendezvous`; may be repeated.",
      valueName: "host:port"))
  var rendezvous: [String] = []

  @Flag(help: "Show what is found, tried and refused.")
  var verbose = false

  /// The sources that were asked for.
  ///
  /// - Parameter hasAddresses: whether the user said where peers are.
  func sources(hasAddresses: Bool) throws -> [any PeerSource] {
    var sources: [any PeerSource] = []
    if lan ?? !hasAddresses {
      var options = LANSource.Options()
      if !interface.isEmpty { options.interfaces = Set(interface) }
      sources.append(LANSource(options: options))
    }
    if !rendezvous.isEmpty {
      sources.append(
        RendezvousSource(servers: try rendezvous.map { try PeerAddress(parsing: $0) }))
    }
    return sources
  }
}

internal import ArgumentParser
internal import DatSwarm

/// The limits on inbound connections, in all and by address.
struct ConnectionLimits: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Connections that others may open at a time: 64 for a room, 4096 for a host.",
      valueName: "number"))
  var maxConnections: Int?

  @Option(
    help: ArgumentHelp(
      "The same for one address, or one IPv6 network of 64 bits: an eighth, and at least 8.",
      valueName: "number"))
  var maxPerAddress: Int?

  @Option(
    help: ArgumentHelp(
      "The same for this machine, where tunnels end: as many as there are.", valueName: "number"))
  var maxPerLoopback: Int?

  @Option(
    help: ArgumentHelp(
      "A numeric address of a proxy or tunnel with many peers behind it; may be repeated.",
      valueName: "address"))
  var trustProxy: [String] = []

  @Option(
    help: ArgumentHelp(
      "Connections of each such proxy: as many as there are.", valueName: "number"))
  var maxPerProxy: Int?

  func validate() throws {
    for (name, number) in [
      ("--max-connections", maxConnections), ("--max-per-address", maxPerAddress),
      ("--max-per-loopback", maxPerLoopback), ("--max-per-proxy", maxPerProxy),
    ] {
      guard let number, !(1...1_000_000).contains(number) else { continue }
      throw ValidationError("\(name) takes a number from 1 to 1000000.")
    }
    for address in trustProxy where !PeerAddress(host: address, port: 1).isNumeric {
      throw ValidationError(
        "--trust-proxy takes a numeric address, such as 192.0.2.7 or 2001:db8::7.")
    }
  }

  /// - Parameter usual: the number of inbound connections if the user gives none.
  func swarmOptions(usual: Int = Swarm.Options().maximumInbound) -> Swarm.Options {
    var options = Swarm.Options()
    options.maximumInbound = maxConnections ?? usual
    options.maximumPerAddress = maxPerAddress
    options.maximumPerLoopback = maxPerLoopback
    options.trustedProxies = Set(trustProxy)
    options.maximumPerProxy = maxPerProxy
    return options
  }
}

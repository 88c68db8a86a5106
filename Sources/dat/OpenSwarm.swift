internal import DatSwarm

/// A swarm that listens at given addresses, and reports its events.
struct OpenSwarm {
  let swarm: Swarm
  private let reporting: Task<Void, Never>

  /// - Throws: `SwarmError` if an address can't be used.
  init(
    listen: [ListenAddress], sources: [any PeerSource], transports: [any PeerTransport] = [],
    options: Swarm.Options = Swarm.Options(), output: Output, isVerbose: Bool
  ) async throws {
    try DescriptorLimit.check(isOnline: true)
    let swarm = Swarm(options: options, sources: sources, transports: transports)
    let report = SwarmReport(output: output, isVerbose: isVerbose)
    let events = await swarm.events()
    reporting = Task { await report.follow(events) }
    self.swarm = swarm
    for address in listen { try await swarm.listen(host: address.host, port: address.port) }
    if listen.isEmpty, !sources.isEmpty {
      _ = try await swarm.listen(preferring: Swarm.datPorts)
    }
  }

  /// Ends all connections, without reporting their ends.
  func close() async {
    reporting.cancel()
    await swarm.close()
  }
}

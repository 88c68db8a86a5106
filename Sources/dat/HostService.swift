internal import ArgumentParser
internal import DatCoding
internal import DatHost
internal import DatMetrics
internal import DatSignal
internal import DatSwarm
internal import Foundation
internal import Logging
internal import Metrics
internal import Saga
internal import ServiceLifecycle

/// One run of `dat host`: the host, its swarm, its control socket and its page of metrics, started in order
/// and ended in reverse.
struct HostService {
  let folder: String
  let keys: [HostedKey]
  let options: ReplicaHost.Options
  let listen: [ListenAddress]
  let swarmOptions: Swarm.Options
  let sources: [any PeerSource]
  let hubs: HubOptions
  /// The address to run a hub at; nil for none.
  let hubAddress: ListenAddress?
  /// True to report what is found, tried and refused.
  let isVerbose: Bool
  let metricsPort: Int?
  let logLevel: Logger.Level
  let output: Output

  /// Returns when a signal has ended it.
  func run() async throws {
    // Before anything is opened: a host that lacks some resource must still end in order.
    let interruptions = Interruption.requests()
    LoggingSystem.bootstrap { SafeLogHandler(label: $0) }
    let metrics = PrometheusMetrics()
    MetricsSystem.bootstrap(metrics)
    var logger = Logger(label: "dat.host")
    logger.logLevel = logLevel
    try DescriptorLimit.checkHost()
    let ending = HostEnding()
    let running = Task { [logger] in try await run(metrics, ending, logger) }
    let waiting = Task {
      for await _ in interruptions {
        if await !ending.ask() { running.cancel() }
      }
    }
    StandardStreams.whenLost { Task { if await !ending.ask() { running.cancel() } } }
    defer { waiting.cancel() }
    do { try await running.value } catch is CancellationError {}
  }

  private func run(
    _ metrics: PrometheusMetrics, _ ending: HostEnding, _ logger: Logger
  ) async throws {
    let budget = DescriptorBudget.raised()
    var swarmOptions = swarmOptions
    swarmOptions.maximumInbound = min(swarmOptions.maximumInbound, budget.connections)
    var options = options
    options.maximumOpen = min(options.maximumOpen ?? .max, budget.keys)
    logger.info(
      "file descriptors",
      metadata: [
        "limit": "\(budget.limit)", "keys": "\(budget.keys)",
        "connections": "\(swarmOptions.maximumInbound)",
      ])
    let hub = try await openHub()
    let own = try hub.map {
      try HubAddress(parsing: HubListening($0, at: hubAddress?.host ?? "").url(sockets: true))
    }
    let swarm = Swarm(
      options: swarmOptions, sources: sources,
      transports: try await hubs.transports(listen: listen, own: own))
    do {
      // The port first, since it is announced with each key.
      try await open(swarm)
      // Nobody would learn that it is running, so nothing is created for it.
      if StandardStreams.isLost { throw CancellationError() }
      let reporting = await report(swarm, logger)
      defer { reporting.cancel() }
      let host = try await ReplicaHost.open(
        folder: folder, options: options, swarm: swarm, logger: logger)
      do {
        for key in keys {
          try Task.checkCancellation()
          try await host.add(key)
        }
        try Task.checkCancellation()
        try await serve(host, swarm, hub, metrics, ending, logger)
      } catch {
        await host.close()
        throw error
      }
    } catch {
      await swarm.close()
      throw error
    }
  }

  /// Reports the events of the swarm, or logs what keeps it from finding peers.
  private func report(_ swarm: Swarm, _ logger: Logger) async -> Task<Void, Never> {
    let events = await swarm.events()
    return Task { [output, isVerbose] in
      if isVerbose {
        await SwarmReport(output: output, isVerbose: true).follow(events)
        return
      }
      for await event in events {
        if case .trouble(_, let reason) = event { logger.warning("\(reason)") }
      }
    }
  }

  /// Runs a hub, if one is wanted.
  private func openHub() async throws -> SignalServer? {
    guard let hubAddress else { return nil }
    var options = SignalServer.Options()
    (options.host, options.port) = (hubAddress.host, hubAddress.port)
    let server = try await SignalServer(options)
    announce("signal", PeerAddress(host: hubAddress.host, port: server.port))
    return server
  }

  private func open(_ swarm: Swarm) async throws {
    if listen.isEmpty {
      announce("listening", try await swarm.listen(preferring: Swarm.datPorts))
    }
    for address in listen {
      announce("listening", try await swarm.listen(host: address.host, port: address.port))
    }
  }

  private func serve(
    _ host: ReplicaHost, _ swarm: Swarm, _ hub: SignalServer?, _ metrics: PrometheusMetrics,
    _ ending: HostEnding, _ logger: Logger
  ) async throws {
    let control = try await HostControl(host, version: Version.number, logger: logger)
    var services: [any Service] = [
      HostLifetime(host: host, swarm: swarm), ControlLifetime(control: control),
    ]
    if let hub { services.append(HubLifetime(hub: hub)) }
    if let metricsPort {
      let page = MetricsPage(
        metrics, port: metricsPort, logger: logger,
        onReady: { [output] port in
          Self.announce("metrics", PeerAddress(host: "127.0.0.1", port: port), output)
        },
        refresh: { await host.recordMetrics() })
      services.append(MetricsLifetime(page: page, port: metricsPort))
    }
    if output.json {
      output.object(["event": "ready", "folder": .string(host.path)])
    } else {
      output.line(
        output.dim(
          "hosting \(Amount.count(UInt64(await host.status().count), "key")) in \(host.path)"))
    }
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: services.map { .init(service: $0) }, logger: logger))
    await ending.begin(group)
    try await group.run()
  }

  private func announce(_ what: String, _ address: PeerAddress) {
    Self.announce(what, address, output)
  }

  private static func announce(_ what: String, _ address: PeerAddress, _ output: Output) {
    guard !output.json else {
      return output.object([
        "event": .string(what), "host": .string(address.host),
        "port": .integer(Int64(address.port)),
      ])
    }
    let sentence =
      switch what {
      case "metrics": "metrics at http://\(address)/metrics"
      case "signal": "signal hub at ws://\(address)"
      default: "\(what) on \(address)"
      }
    output.line(output.dim(sentence))
  }
}

/// The orderly end of a host, once there is something to end.
private actor HostEnding {
  private var group: ServiceGroup?
  private var isAsked = false

  /// Notes the services that are about to run.
  func begin(_ group: ServiceGroup) async {
    self.group = group
    if isAsked { await group.triggerGracefulShutdown() }
  }

  /// Asks them to end.
  ///
  /// - Returns: false before there are any.
  func ask() async -> Bool {
    isAsked = true
    guard let group else { return false }
    await group.triggerGracefulShutdown()
    return true
  }
}

/// The host and its connections, until they are asked to end.
private struct HostLifetime: Service {
  let host: ReplicaHost
  let swarm: Swarm

  func run() async throws {
    // Cancelled or asked: either way everything is closed.
    try? await gracefulShutdown()
    await host.close()
    await swarm.close()
  }
}

private struct HubLifetime: Service {
  let hub: SignalServer

  func run() async throws {
    try await cancelWhenGracefulShutdown { try await hub.run() }
  }
}

private struct ControlLifetime: Service {
  let control: HostControl

  func run() async throws {
    do {
      try await cancelWhenGracefulShutdown { try await control.run() }
    } catch is CancellationError {
      // It was asked to end, which is not a failure.
    }
  }
}

private struct MetricsLifetime: Service {
  let page: MetricsPage
  let port: Int

  func run() async throws {
    do {
      try await page.run()
    } catch is CancellationError {
    } catch {
      throw SwarmError("The page of metrics can't be served at port \(port)", error)
    }
  }
}

/// A handler that writes log lines to standard error, with nothing in them that could control a terminal.
struct SafeLogHandler: LogHandler {
  let label: String
  var logLevel = Logger.Level.info
  var metadata = Logger.Metadata()

  init(label: String) { self.label = label }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let all = metadata.merging(event.metadata ?? [:]) { $1 }
    let facts = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    let time = Date.now.formatted(.iso8601)
    let text = SafeText.line("\(event.message)\(facts)")
    StandardStreams.complain("\(time) \(event.level) \(label): \(text)\n")
  }
}

/// A level of the log, as an option.
enum HostLogLevel: String, ExpressibleByArgument, CaseIterable {
  case debug, info, warning, error

  var level: Logger.Level {
    switch self {
    case .debug: .debug
    case .info: .info
    case .warning: .warning
    case .error: .error
    }
  }
}

extension HostAuthorization {
  var policy: AuthorizationPolicy {
    switch self {
    case .open: .open
    case .none: .decide { _ in false }
    }
  }
}

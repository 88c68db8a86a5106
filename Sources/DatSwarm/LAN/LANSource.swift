internal import HypercoreCrypto
internal import Metrics
internal import NIOCore

/// A source that finds peers on the local network by dns-discovery's multicast, on every interface that
/// supports it.
///
/// Interfaces that come and go are noticed within five seconds. If there is no other interface, the loopback
/// one is used, so that peers of one machine find each other.
public actor LANSource: PeerSource {
  /// The choice of interfaces.
  public struct Options: Sendable {
    /// The names of the only interfaces to use, such as `eth0`; nil for all that support multicast.
    public var interfaces: Set<String>?

    /// The defaults.
    public init() {}
  }

  public nonisolated let origin = PeerOrigin.lan
  public nonisolated let findings: AsyncStream<Finding>
  public nonisolated let troubles: AsyncStream<String>
  private let troubled: AsyncStream<String>.Continuation
  /// The faults of interfaces at the last look.
  public private(set) var standingTroubles: [String] = []
  private let found: AsyncStream<Finding>.Continuation
  private let options: Options
  private var core: LANCore
  private var ports: [String: LANPort] = [:]
  private var ownHosts: Set<String> = []
  private let packets: AsyncStream<LANPort.Packet>
  private let arrived: AsyncStream<LANPort.Packet>.Continuation
  private var tasks: [Task<Void, Never>] = []
  /// The timer for whatever is due next.
  private var timer: (due: ContinuousClock.Instant, task: Task<Void, Never>)?
  private var isClosed = false
  private let received = Counter(label: "dat_lan_packets", dimensions: [("direction", "in")])
  private let sent = Counter(label: "dat_lan_packets", dimensions: [("direction", "out")])

  private let dropped = Dictionary(
    uniqueKeysWithValues: LANCore.Drop.allCases.map {
      ($0, Counter(label: "dat_lan_dropped", dimensions: [("cause", $0.rawValue)]))
    })

  /// Makes a source that uses the network once a topic is joined.
  public init(options: Options = Options()) {
    self.options = options
    (findings, found) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1024))
    (troubles, troubled) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(16))
    (packets, arrived) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1024))
    core = LANCore(secret: secretBytes())
  }

  deinit {
    for task in tasks { task.cancel() }
    timer?.task.cancel()
    for port in ports.values { port.close() }
    found.finish()
    troubled.finish()
  }

  /// The interfaces in use, by name and address.
  public var interfaces: [String] { ports.keys.sorted() }

  public func join(_ topic: Topic, announcing port: Int?) async {
    guard !isClosed else { return }
    await start()
    core.join(topic, announcing: port, now: .now)
    turn()
  }

  public func leave(_ topic: Topic) { core.leave(topic) }

  public func lookAgain(_ topic: Topic) {
    core.lookAgain(topic, now: .now)
    turn()
  }

  public func close() async {
    isClosed = true
    for task in tasks { task.cancel() }
    timer?.task.cancel()
    for port in ports.values { port.close() }
    ports = [:]
    found.finish()
    troubled.finish()
  }

  // MARK: Turns

  private func start() async {
    guard tasks.isEmpty else { return }
    let packets = packets
    tasks = [
      Task { [weak self] in
        for await packet in packets { await self?.receive(packet) }
      },
      Task { [weak self] in
        while !Task.isCancelled {
          try? await Task.sleep(for: .seconds(5))
          guard let self else { return }
          await self.lookAtInterfaces()
        }
      },
    ]
    await lookAtInterfaces()
  }

  private func receive(_ packet: LANPort.Packet) {
    received.increment()
    carryOut(
      core.receive(
        packet.bytes, from: packet.sender, on: packet.interface, ownHosts: ownHosts, now: .now))
    for (cause, count) in core.takeDrops() { dropped[cause]?.increment(by: count) }
  }

  private func turn() {
    guard !isClosed else { return }
    carryOut(core.tick(now: .now))
    schedule(core.deadline)
  }

  private func schedule(_ due: ContinuousClock.Instant?) {
    guard due != timer?.due else { return }
    timer?.task.cancel()
    timer = due.map { due in
      let task = Task { [weak self] in
        do { try await Task.sleep(until: due, clock: .continuous) } catch { return }
        await self?.rang()
      }
      return (due, task)
    }
  }

  private func rang() {
    timer = nil
    turn()
  }

  private func carryOut(_ actions: [LANCore.Action]) {
    for action in actions {
      switch action {
      case .ask(let bytes):
        for port in ports.values { send(bytes, by: port, to: LANCore.port) }
      case .answer(let bytes, let interface, let port):
        if let from = ports[interface] { send(bytes, by: from, to: port) }
      case .found(let finding): found.yield(finding)
      }
    }
  }

  private func send(_ bytes: [UInt8], by port: LANPort, to number: Int) {
    sent.increment()
    port.send(bytes, to: number)
  }

  // MARK: Interfaces

  /// Opens ports on new interfaces, and closes those of interfaces that are gone.
  private func lookAtInterfaces() async {
    guard !isClosed, let devices = try? System.enumerateDevices() else { return }
    ownHosts = Set(devices.compactMap { $0.address?.ipAddress })
    let usable = Self.usable(devices, options.interfaces)
    for (name, port) in ports where usable[name] == nil || !port.isOpen {
      port.close()
      ports[name] = nil
    }
    var hasNew = false
    var problems = Self.problems(devices, options.interfaces, usable)
    for (name, device) in usable where ports[name] == nil {
      let port: LANPort
      do {
        port = try await LANPort.open(name, device, { [arrived] in arrived.yield($0) })
      } catch {
        problems.append("The interface \(name) can't be used for the local network: \(error).")
        continue
      }
      // A concurrent look may have opened it meanwhile.
      if isClosed || ports[name] != nil {
        port.close()
        continue
      }
      ports[name] = port
      hasNew = true
    }
    for problem in problems where !standingTroubles.contains(problem) { troubled.yield(problem) }
    standingTroubles = problems
    if hasNew {
      core.lookAgain(now: .now)
      turn()
    }
  }

  /// Explains why interfaces that were asked for can't be used.
  private static func problems(
    _ devices: [NIONetworkDevice], _ wanted: Set<String>?, _ usable: [String: NIONetworkDevice]
  ) -> [String] {
    guard let wanted else {
      return usable.isEmpty
        ? [
          "No interface of this machine can be used for the local network; it is looked for again."
        ]
        : []
    }
    let used = Set(usable.values.map(\.name))
    return wanted.subtracting(used).sorted().map { name in
      devices.contains { $0.name == name }
        ? "The interface \(name) has no IPv4 address for multicast; it is looked at again."
        : "This machine has no interface \(name) now; it is looked for again."
    }
  }

  /// Returns one IPv4 address of every wanted interface.
  static func usable(_ devices: [NIONetworkDevice], _ wanted: Set<String>?)
    -> [String: NIONetworkDevice]
  {
    var usable: [String: NIONetworkDevice] = [:]
    var loopback: [String: NIONetworkDevice] = [:]
    var names: Set<String> = []
    for device in devices where wanted?.contains(device.name) ?? true {
      guard let host = device.address?.ipAddress, IPv4(host) != nil,
        names.insert(device.name).inserted
      else { continue }
      let name = "\(device.name) \(host)"
      if host.hasPrefix("127.") {
        loopback[name] = device
      } else if device.multicastSupported {
        usable[name] = device
      }
    }
    return usable.isEmpty || wanted != nil ? usable.merging(loopback) { $1 } : usable
  }
}

/// Returns 32 bytes from the system's generator, for tokens.
func secretBytes() -> [UInt8] {
  var generator = SystemRandomNumberGenerator()
  return (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
}

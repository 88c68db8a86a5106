internal import Foundation

/// Machines for a test: network namespaces on a bridge, which no packet leaves.
///
/// They are made by `ip`, and removed with the last reference.
public final class NetworkNamespaces: Sendable {
  private let prefix: String
  private let count: Int
  /// The namespace of the bridge; it has an address of its own.
  public let hub: String

  /// The reason why this machine can't make any; nil if it can.
  public static let obstacle: String? = {
    guard geteuid() == 0 else { return "needs root, to make network namespaces" }
    guard ip != nil else { return "needs the command ip (Debian's iproute2)" }
    let name = "dat-\(getpid())-probe"
    guard run(["netns", "add", name]) else { return "the system allows no network namespaces" }
    defer { run(["netns", "del", name]) }
    guard run(["-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1"]),
      run(["-n", name, "link", "add", "b0", "type", "bridge"])
    else { return "the system allows no veth pairs or bridges" }
    return nil
  }()

  private static let ip = ["/sbin/ip", "/usr/sbin/ip", "/bin/ip", "/usr/bin/ip"]
    .first { FileManager.default.isExecutableFile(atPath: $0) }

  /// Makes this many machines, each with one interface on the bridge.
  public init(_ count: Int) throws {
    prefix = "dat-\(getpid())-\(UInt16.random(in: .min ... .max))"
    self.count = count
    hub = prefix + "-hub"
    try Self.must(["netns", "add", hub])
    try Self.must(["-n", hub, "link", "add", "br0", "type", "bridge"])
    try Self.must(["-n", hub, "addr", "add", "10.77.0.254/24", "dev", "br0"])
    try Self.must(["-n", hub, "link", "set", "br0", "up"])
    for number in 0..<count {
      let name = name(of: number)
      try Self.must(["netns", "add", name])
      try Self.must([
        "-n", hub, "link", "add", "p\(number)", "type", "veth", "peer", "name", "eth0", "netns",
        name,
      ])
      try Self.must(["-n", hub, "link", "set", "p\(number)", "master", "br0", "up"])
      try Self.must(["-n", name, "addr", "add", "\(address(of: number))/24", "dev", "eth0"])
      try Self.must(["-n", name, "link", "set", "eth0", "up"])
      try Self.must(["-n", name, "link", "set", "lo", "up"])
    }
  }

  deinit {
    for number in 0..<count { Self.run(["netns", "del", name(of: number)]) }
    Self.run(["netns", "del", hub])
  }

  /// The hub's address.
  public var hubAddress: String { "10.77.0.254" }

  /// A machine's address.
  public func address(of number: Int) -> String { "10.77.0.\(number + 1)" }

  private func name(of number: Int) -> String { "\(prefix)-\(number)" }

  /// Unplugs a machine's cable, or plugs it in.
  public func setCable(of number: Int, plugged: Bool) throws {
    try Self.must(["-n", hub, "link", "set", "p\(number)", plugged ? "up" : "down"])
  }

  /// Starts the built command on a machine; nil for the hub.
  public func start(_ arguments: [String], on number: Int?) async throws -> DatProcess {
    let machine = number.map(name(of:)) ?? hub
    return try await DatProcess(
      ["netns", "exec", machine, DatProcess.executable.path] + arguments,
      executable: URL(fileURLWithPath: Self.ip ?? "ip"))
  }

  /// Starts another program on a machine.
  public func start(program: String, _ arguments: [String], on number: Int) async throws
    -> DatProcess
  {
    try await DatProcess(
      ["netns", "exec", name(of: number), program] + arguments,
      executable: URL(fileURLWithPath: Self.ip ?? "ip"))
  }

  /// Gives a machine a default route, which ends at the hub: browsers use it to find their addresses.
  public func setRoute(of number: Int) throws {
    try Self.must(["-n", name(of: number), "route", "add", "default", "via", hubAddress])
  }

  private struct Failure: Error { let command: [String] }

  private static func must(_ arguments: [String]) throws {
    guard run(arguments) else { throw Failure(command: arguments) }
  }

  @discardableResult
  private static func run(_ arguments: [String]) -> Bool {
    guard let ip else { return false }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: ip)
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}

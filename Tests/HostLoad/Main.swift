import DatSwarm
import Foundation
import HyperDB
import HypercoreCrypto
import RandomAccessStorage
import Saga

/// Loads a host with rooms of three writers, two of them connected and the host itself, and tells what it
/// takes.
///
///     dat-host-load DAT ROOMS
///
/// DAT is the command to measure. Everything stays on loopback and in a folder that is removed.
@main
struct HostLoad {
  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 3, let rooms = Int(arguments[2]), rooms > 0 else {
      print("usage: dat-host-load DAT ROOMS")
      exit(2)
    }
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    let folder = FileManager.default.temporaryDirectory.path + "/dat-host-load-\(getpid())"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var load = HostLoad(dat: arguments[1], folder: folder)
    try await load.run(rooms: rooms)
  }

  let dat: String
  let folder: String
  private var pairs: [(ana: Saga, bea: Saga)] = []
  /// Whose peers never meet those of the other but through the host.
  private let swarms: [Swarm]

  init(dat: String, folder: String) {
    self.dat = dat
    self.folder = folder
    var options = Swarm.Options()
    options.maximumDialing = 64
    options.dialsPerSecond = 2000
    swarms = [Swarm(options: options), Swarm(options: options)]
  }

  private mutating func run(rooms: Int) async throws {
    let clock = ContinuousClock()
    let start = clock.now
    for _ in 0..<rooms {
      let ana = try await Saga.open(storage: MemoryStorage(), username: "ana")
      try await ana.writeMessage("hello from ana")
      let bea = try await Saga.open(storage: MemoryStorage(), key: ana.key, username: "bea")
      pairs.append((ana, bea))
    }
    let list = pairs.map { "room:\($0.ana.key.hex)\n" }.joined()
    try Data(list.utf8).write(to: URL(fileURLWithPath: folder + "/keys"))
    let host = try HostUnderLoad(dat: dat, folder: folder, rooms: rooms)
    defer { host.end() }
    show("\(rooms) rooms opened", clock.now - start)
    show("host started, nobody there", host)

    let joining = clock.now
    for (ana, bea) in pairs {
      await join(ana, swarms[0], host.address)
      await join(bea, swarms[1], host.address)
    }
    for (_, bea) in pairs {
      while await !bea.db.isLocalAuthorized { try await Task.sleep(for: .milliseconds(5)) }
      try await bea.writeMessage("hello from bea")
    }
    for (ana, _) in pairs {
      for await event in ana.events() {
        if case .message(let message) = event, message.text == "hello from bea" { break }
      }
    }
    show("every room has three writers, and both messages at both ends", clock.now - joining)
    let connections = await swarms[0].peers.count + swarms[1].peers.count
    show("\(connections) connections", host)
    let before = host.cpuSeconds
    try await Task.sleep(for: .seconds(10))
    show("ten idle seconds later", host)
    print(String(format: "  idle CPU: %.1f %% of one core", (host.cpuSeconds - before) * 10))
  }

  private func join(_ saga: Saga, _ swarm: Swarm, _ address: PeerAddress) async {
    await swarm.join(saga.db.discoveryKey) { _ in
      try await saga.replicate()
    } meet: { stream, _ in
      try? await saga.connect(stream)
    }
    await swarm.connect(to: address, about: saga.db.discoveryKey)
  }

  private func show(_ what: String, _ duration: Duration) {
    print(
      "\(what): \(duration.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1))))"
    )
  }

  private func show(_ what: String, _ host: HostUnderLoad) {
    let memory = host.memory
    print(
      "\(what): \(memory.now / 1024) MB resident, \(memory.peak / 1024) MB at most, "
        + "\(host.descriptorCount) descriptors")
  }
}

/// The host as a process, looked at from outside.
final class HostUnderLoad {
  private let process = Process()
  private let output = Pipe()
  let address: PeerAddress

  init(dat: String, folder: String, rooms: Int) throws {
    process.executableURL = URL(fileURLWithPath: dat)
    process.arguments = [
      "host", folder, "--json", "--listen", "127.0.0.1:0", "--log", "warning",
      // Twice as many as are made.
      "--max-connections", "\(4 * rooms)", "--max-per-loopback", "\(4 * rooms)",
    ]
    process.standardOutput = output
    try process.run()
    var text = ""
    while !text.contains(#""ready""#) {
      let data = output.fileHandleForReading.availableData
      guard !data.isEmpty else { throw Failed(text: text) }
      text += String(decoding: data, as: UTF8.self)
    }
    let line = text.split(separator: "\n").first { $0.contains(#""listening""#) } ?? ""
    let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    address = PeerAddress(host: "127.0.0.1", port: object?["port"] as? Int ?? 0)
  }

  struct Failed: Error { let text: String }

  private func proc(_ name: String) -> String {
    (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/\(name)", encoding: .utf8))
      ?? ""
  }

  /// In KiB.
  var memory: (now: Int, peak: Int) {
    func field(_ name: String) -> Int {
      let line = proc("status").split(separator: "\n").first { $0.hasPrefix(name) } ?? ""
      return Int(line.filter(\.isNumber)) ?? 0
    }
    return (field("VmRSS"), field("VmHWM"))
  }

  var descriptorCount: Int {
    (try? FileManager.default.contentsOfDirectory(
      atPath: "/proc/\(process.processIdentifier)/fd"
    ).count) ?? 0
  }

  var cpuSeconds: Double {
    let fields = proc("stat").split(separator: ")").last?.split(separator: " ") ?? []
    guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
      return 0
    }
    return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  func end() {
    process.terminate()
    process.waitUntilExit()
  }
}

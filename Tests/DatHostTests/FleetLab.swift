import DatSwarm
import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import Testing

@testable import DatHost

/// Several hosts of a fleet on loopback, with a file as their directory.
actor FleetLab {
  /// One host while it runs.
  struct Member {
    let swarm: Swarm
    let host: ReplicaHost
    let address: PeerAddress
  }

  let folder: TemporaryFolder
  let secret: FleetSecret
  private(set) var members: [String: Member] = [:]
  /// Changes the options of each host before it starts.
  private let change: @Sendable (inout ReplicaHost.FleetOptions) -> Void

  init(_ change: @escaping @Sendable (inout ReplicaHost.FleetOptions) -> Void = { _ in }) throws {
    folder = try TemporaryFolder()
    secret = try FleetSecret(reading: FleetSecret.random().utf8)
    self.change = change
  }

  nonisolated var directory: String { folder.path + "/hosts.txt" }
  nonisolated func path(_ name: String) -> String { "\(folder.path)/\(name)" }

  /// Starts a host, and names it in the directory with those that run.
  @discardableResult
  func start(_ name: String, secret: FleetSecret? = nil, as givenName: String? = nil) async throws
    -> Member
  {
    var swarmOptions = Swarm.Options()
    swarmOptions.maximumInbound = 1000
    let swarm = Swarm(options: swarmOptions)
    let address = try await swarm.listen(host: "127.0.0.1", port: 0)
    var fleet = ReplicaHost.FleetOptions(
      directory: .file(directory), name: givenName ?? name, secret: secret ?? self.secret)
    fleet.grace = .seconds(1)
    fleet.look = .milliseconds(100)
    fleet.interval = .seconds(1)
    change(&fleet)
    var options = ReplicaHost.Options()
    options.fleet = fleet
    let host = try await ReplicaHost.open(folder: path(name), options: options, swarm: swarm)
    members[name] = Member(swarm: swarm, host: host, address: address)
    try write()
    return Member(swarm: swarm, host: host, address: address)
  }

  /// Ends a host. The directory names it until it is written anew.
  func stop(_ name: String) async {
    guard let member = members.removeValue(forKey: name) else { return }
    await member.host.close()
    await member.swarm.close()
  }

  /// Writes the directory with the hosts that run, or some of them.
  func write(_ names: Set<String>? = nil) throws {
    let lines = members.filter { names?.contains($0.key) ?? true }
      .map { "\($0.key) \($0.value.address)\n" }
    try Data(lines.sorted().joined().utf8).write(
      to: URL(fileURLWithPath: directory), options: .atomic)
  }

  func close() async {
    for name in members.keys { await stop(name) }
  }

  func host(_ name: String) throws -> ReplicaHost { try #require(members[name]).host }

  // MARK: Waiting

  /// Returns the hosts that serve a key and have as many blocks.
  func holders(of key: PublicKey, stored: UInt64) async -> Set<String> {
    var holders: Set<String> = []
    for (name, member) in members {
      let status = await member.host.status().first { $0.key == key }
      if status?.state == .hosting, status?.stored == stored { holders.insert(name) }
    }
    return holders
  }

  /// Returns the hosts that have a key in any state.
  func knowing(_ key: PublicKey) async -> Set<String> {
    var names: Set<String> = []
    for (name, member) in members {
      if await member.host.status().contains(where: { $0.key == key }) { names.insert(name) }
    }
    return names
  }

  nonisolated func isStored(_ key: PublicKey, by name: String) -> Bool {
    FileManager.default.fileExists(
      atPath: "\(path(name))/replicas/\(key.discoveryKey.hex)")
  }

  /// Waits until a host's report is as it is to be.
  @discardableResult
  func waitUntil(_ name: String, _ isRight: (HostReport) -> Bool) async throws -> HostReport {
    while true {
      let report = try await host(name).report()
      if isRight(report) { return report }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  /// Waits until each host is connected with all others.
  func untilConnected() async throws {
    for name in members.keys {
      try await waitUntil(name) {
        $0.fleet?.connected == members.count - 1 && $0.fleet?.members == members.count
      }
    }
  }

  /// Makes a feed of a few blocks, and lets a host fetch it.
  func fill(_ keyOn: String, blocks: Int = 5) async throws -> PublicKey {
    let feed = try await Feed.inMemory()
    for number in 0..<blocks { try await feed.append(Array("block \(number)".utf8)) }
    let key = try #require(feed.key)
    try await host(keyOn).add(HostedKey(kind: .feed, key: key))
    let owners = Fleet(hosts: Array(members.keys)).owners(of: key.discoveryKey, copies: 2)
    let swarm = Swarm()
    await swarm.join(key.discoveryKey) { _ in try await feed.replicate(.live) }
    let first = try #require(owners.first.flatMap { members[$0] })
    await swarm.connect(to: first.address, about: key.discoveryKey)
    while await holders(of: key, stored: UInt64(blocks)) != Set(owners) {
      try await Task.sleep(for: .milliseconds(20))
    }
    await swarm.close()
    try await feed.close()
    return key
  }
}

/// Waits until something holds.
func until(_ isRight: () async throws -> Bool) async throws {
  while try await !isRight() { try await Task.sleep(for: .milliseconds(20)) }
}

import DatHost
import DatSwarm
import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import Saga

/// A host on loopback, and peers that know nobody else.
struct HostWorld {
  let folder: TemporaryFolder
  let swarm: Swarm
  let host: ReplicaHost
  let address: PeerAddress

  init(options: ReplicaHost.Options = ReplicaHost.Options(), folder: TemporaryFolder? = nil)
    async throws
  {
    self.folder = try folder ?? TemporaryFolder()
    swarm = Swarm()
    address = try await swarm.listen(host: "127.0.0.1", port: 0)
    host = try await ReplicaHost.open(
      folder: self.folder.path + "/host", options: options, swarm: swarm)
  }

  func close() async {
    await host.close()
    await swarm.close()
  }

  /// Connects a room with the host, until the swarm is closed.
  func connect(_ saga: Saga) async -> Swarm {
    let swarm = Swarm()
    await swarm.join(saga.db.discoveryKey) { _ in
      try await saga.replicate()
    } meet: { stream, _ in
      try? await saga.connect(stream)
    }
    await swarm.connect(to: address, about: saga.db.discoveryKey)
    return swarm
  }

  func connect(_ feed: Feed) async -> Swarm {
    let swarm = Swarm()
    guard let key = feed.discoveryKey else { return swarm }
    await swarm.join(key) { _ in try await feed.replicate(.live) }
    await swarm.connect(to: address, about: key)
    return swarm
  }

  func connect(_ database: HyperDB) async -> Swarm {
    let swarm = Swarm()
    await swarm.join(database.discoveryKey) { _ in try await database.replicate(.live) }
    await swarm.connect(to: address, about: database.discoveryKey)
    return swarm
  }

  /// Waits until the host shows a key as it is to be.
  func waitUntil(_ key: PublicKey, _ isRight: (HostedStatus) -> Bool) async throws -> HostedStatus {
    while true {
      if let status = await host.status().first(where: { $0.key == key }), isRight(status) {
        return status
      }
      try await Task.sleep(for: .milliseconds(5))
    }
  }
}

/// Waits for an event of a room.
func waits(_ saga: Saga, for isRight: @escaping @Sendable (SagaEvent) -> Bool) async {
  for await event in saga.events() where isRight(event) { return }
}

/// Waits until a room may be written, which is told only once.
func waitsToWrite(_ saga: Saga) async throws {
  while await !saga.db.isLocalAuthorized { try await Task.sleep(for: .milliseconds(5)) }
}

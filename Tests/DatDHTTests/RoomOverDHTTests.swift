#if DHT
  import DatDHT
  import DatSwarm
  import DatTesting
  import HyperDB
  import HypercoreCrypto
  import RandomAccessStorage
  import Saga
  import Testing

  @Suite(.timeLimit(.minutes(1))) struct RoomOverDHTTests {
    @Test func `two people with nothing but a room's key meet through the DHT`() async throws {
      let network = try await TestNetwork()
      let ana = try await Saga.open(storage: MemoryStorage(), username: "ana")
      let bea = try await Saga.open(storage: MemoryStorage(), key: ana.key, username: "bea")
      try await ana.writeMessage("found you")
      var swarms: [Swarm] = []
      for (saga, node) in [(ana, network.nodes[2]), (bea, network.nodes[7])] {
        var options = Swarm.Options()
        options.dialsLoopback = true
        let swarm = Swarm(options: options, sources: [node])
        try await swarm.listen(host: "127.0.0.1", port: 0)
        await swarm.join(saga.db.discoveryKey) { _ in
          try await saga.replicate()
        } meet: { stream, _ in
          try? await saga.connect(stream)
        }
        swarms.append(swarm)
      }
      for await event in bea.events() {
        if case .message(let message) = event, message.text == "found you" { break }
      }
      while await !bea.db.isLocalAuthorized { try await Task.sleep(for: .milliseconds(5)) }
      for swarm in swarms { await swarm.close() }
      await ana.close()
      await bea.close()
      await network.close()
    }
  }
#endif

#if DHT
  import DatDHT
  import DatSwarm
  import DatTesting
  import Foundation
  import HypercoreCrypto
  import Testing

  private func randomTopic() -> Topic {
    Topic(KeyPair.generate().publicKey.discoveryKey)
  }

  @Suite(.serialized) struct MainlineDHTTests {
    @Test func `of ten nodes one finds what another announced, and only that`() async throws {
      let network = try await TestNetwork()
      let (topic, other) = (randomTopic(), randomTopic())
      await network.nodes[2].join(topic, announcing: 4242)
      await network.nodes[3].join(other, announcing: 4343)
      await network.nodes[7].join(topic, announcing: nil)
      var findings = network.nodes[7].findings.makeAsyncIterator()
      let finding = try #require(await findings.next())
      #expect(finding.topic == topic)
      #expect(finding.addresses == [PeerAddress(host: "127.0.0.1", port: 4242)])
      #expect(network.nodes[7].origin == .dht)
      await network.close()
      while let more = await findings.next() { #expect(more == finding) }
    }

    @Test func `the routing table is there again after a restart`() async throws {
      let folder = try TemporaryFolder()
      let network = try await TestNetwork()
      var options = TestNetwork.options()
      options.stateFile = folder.path + "/dht"
      let topic = randomTopic()
      await network.nodes[0].join(topic, announcing: 4242)

      let first = try MainlineDHT(options)
      for node in network.nodes {
        await first.addNode(PeerAddress(host: "127.0.0.1", port: await node.port))
      }
      await first.join(topic, announcing: nil)
      for await _ in first.findings { break }
      #expect(await first.nodeCount > 0)
      await first.close()
      #expect(await first.nodeCount == 0)

      let second = try MainlineDHT(options)
      await second.join(topic, announcing: nil)
      var findings = second.findings.makeAsyncIterator()
      #expect(await findings.next()?.topic == topic)
      await second.close()
      await network.close()
    }

    @Test(arguments: ["", "garbage", "d9:dht stateli1eee", String(repeating: "l", count: 2 << 20)])
    func `a state file that can't be read is left aside`(content: String) async throws {
      let folder = try TemporaryFolder()
      var options = TestNetwork.options()
      options.stateFile = folder.path + "/dht"
      try Data(content.utf8).write(to: URL(fileURLWithPath: folder.path + "/dht"))
      let node = try MainlineDHT(options)
      #expect(await node.port > 0)
      await node.close()
    }

    @Test func `closing twice, and joining afterwards, does nothing`() async throws {
      let node = try MainlineDHT(TestNetwork.options())
      await node.close()
      await node.close()
      await node.join(randomTopic(), announcing: 1)
      #expect(await node.port == 0)
      for await _ in node.findings { Issue.record("nothing was to be found") }
    }
  }
#endif

#if DHT
  import DatDHT
  import DatSwarm

  /// Ten nodes on loopback that know each other, and nobody else.
  struct TestNetwork {
    let nodes: [MainlineDHT]

    static func options() -> MainlineDHT.Options {
      var options = MainlineDHT.Options()
      options.host = "127.0.0.1"
      options.bootstrap = []
      options.isTestNetwork = true
      options.firstPauses = []
      options.interval = 100...100
      return options
    }

    init(count: Int = 10) async throws {
      nodes = try (0..<count).map { _ in try MainlineDHT(Self.options()) }
      for node in nodes {
        for other in nodes where other !== node {
          await node.addNode(PeerAddress(host: "127.0.0.1", port: await other.port))
        }
      }
    }

    func close() async {
      for node in nodes { await node.close() }
    }
  }
#endif

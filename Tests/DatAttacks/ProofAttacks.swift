internal import DatTesting
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol

extension Attack {
  /// A victim that has the first blocks of a feed and requests the others from the attacker.
  private static let reader = FeedScene.Options(count: 64, has: 0..<48)

  /// Answers the victim's first Request for a block that it lacks with the right answer as changed
  /// by `forge`.
  private static func answering(
    _ scene: FeedScene, _ what: String, claiming count: UInt64 = 64,
    _ forge: @escaping @Sendable (inout DataMessage) -> [UInt8]?
  ) async throws {
    let attacker = try await scene.attacker()
    let writer = scene.writer
    let wanted = try await blocking { () -> UInt64 in
      attacker.send(Raw.frame(0, 3, Body.numbers((1, 0), (2, count))))
      var wanted: UInt64?
      try attacker.hear("Request (\(what))") { message in
        guard case .request(let request) = message, wanted == nil else { return wanted != nil }
        wanted = request.index
        return true
      }
      return wanted ?? 0
    }
    try require(wanted >= 48, "block \(wanted) was asked for, which is there")
    var data = DataMessage(index: wanted)
    if wanted < 64 {
      let proof = try await writer.proof(of: wanted)
      data.value = FeedScene.block(wanted, size: 16)
      data.nodes = proof.nodes
      data.signature = proof.signature
    }
    let raw = forge(&data)
    let message = data
    try await blocking {
      attacker.send(
        Raw.frame(
          0, 9,
          raw
            ?? Body.data(
              message.index, value: message.value, nodes: message.nodes,
              signature: message.signature)))
      try attacker.expectClosed(what)
    }
    try require(try await !scene.victimOffers(wanted), "\(what): block \(wanted) was stored")
    try await scene.checkHonest("after \(what)")
  }

  static let proofs: [Attack] = [
    feed(14, "wrong bytes, hashes, sizes, indexes, signatures", reader) { scene in
      try await answering(scene, "other bytes") {
        $0.value = [UInt8](repeating: 0x21, count: 16)
        return nil
      }
      try await answering(scene, "a wrong hash") {
        $0.nodes[0].hash = TreeHash.leaf([1])
        return nil
      }
      try await answering(scene, "a wrong size") {
        $0.nodes[0].size += 1
        return nil
      }
      try await answering(scene, "node 2^52") {
        $0.nodes[0].index = 1 << 52
        return nil
      }
      try await answering(scene, "a hash of 3 bytes") { data in
        Body.data(data.index, value: data.value)
          + Raw.field(3, Body.numbers((1, 0)) + Raw.field(2, [1, 2, 3]) + Body.numbers((3, 16)))
      }
      try await answering(scene, "a short signature") { data in
        Body.data(data.index, value: data.value, nodes: data.nodes) + Raw.field(4, [1, 2, 3])
      }
    },
    feed(14, "another key's signature, no signature", reader) { scene in
      let other = KeyPair.generate()
      for signed in [true, false] {
        // A block beyond the end, proven by roots that nobody signed.
        try await answering(
          scene, signed ? "another key's signature" : "no signature", claiming: 1 << 12
        ) { data in
          data.value = [UInt8](repeating: 0x21, count: 16)
          data.nodes = []
          data.signature = signed ? other.secretKey.sign([1]) : nil
          return nil
        }
      }
    },
    feed(
      41, "a block that hangs free beside signed roots", .init(count: 64, has: 1..<48), node: false
    ) { scene in
      // The proof of block 1 gives the hash of block 0. The attacker sends only the signed roots,
      // and other bytes.
      let attacker = try await scene.attacker()
      let roots = try await scene.writer.rootHashes()
      guard let signature = try await scene.writer.signature(covering: 63)?.signature else {
        throw AttackFailure("the writer has no signature")
      }
      try await blocking {
        attacker.send(Raw.frame(0, 3, Body.numbers((1, 0), (2, 64))))
        try attacker.hear("Request for block 0") {
          if case .request(let request) = $0 { request.index == 0 } else { false }
        }
        attacker.send(
          Raw.frame(
            0, 9,
            Body.data(
              0, value: [UInt8](repeating: 0x21, count: 16), nodes: roots, signature: signature)))
        try attacker.expectClosed("a forged block")
      }
      try require(try await !scene.victimOffers(0), "a forged block was stored")
      // A hash-only answer whose first node is another leaf.
      let second = try await scene.attacker()
      let proof = try await scene.writer.proof(of: 50)
      try await blocking {
        second.send(Raw.frame(0, 3, Body.numbers((1, 50), (2, 1))))
        try second.hear("Request for block 50") {
          if case .request(let request) = $0 { request.index == 50 } else { false }
        }
        second.send(
          Raw.frame(0, 9, Body.data(50, nodes: proof.nodes, signature: proof.signature)))
        try second.expectClosed("another leaf")
      }
      try require(try await !scene.victimOffers(50), "a block without bytes was stored")
    },
    feed(15, "a second history, signed with the feed's own key", reader, node: false) { scene in
      // The writer's key signs other blocks: every proof below leads to other roots.
      let fork = try await Feed.inMemory(options: Feed.Options(keyPair: scene.pair, isNew: true))
      try await fork.append((0..<64).map { Array("another \($0)      ".utf8.prefix(16)) })
      // Reported when the connection is over, so the attacker leaves at the end of this.
      let wanted = try await { () async throws -> UInt64 in
        let attacker = try await scene.attacker()
        let index = try await blocking { () -> UInt64 in
          attacker.send(Raw.frame(0, 3, Body.numbers((1, 48), (2, 16))))
          var wanted: UInt64?
          try attacker.hear("Request") { message in
            guard case .request(let request) = message, wanted == nil else { return wanted != nil }
            wanted = request.index
            return true
          }
          return wanted ?? 0
        }
        let proof = try await fork.proof(of: index)
        let block = try await fork.get(index)
        try await blocking {
          attacker.send(
            Raw.frame(
              0, 9,
              Body.data(index, value: block, nodes: proof.nodes, signature: proof.signature)))
          attacker.listen(seconds: 1)
        }
        return index
      }()
      try require(try await !scene.victimOffers(wanted), "a block of another history was stored")
      try await scene.checkHonest("after the fork")
      let process = scene.victim.process
      try await within("word of the two histories") {
        while await !process.errorText.contains("two histories") {
          try Task.checkCancellation()
          try await Task.sleep(for: .milliseconds(20))
        }
      }
    },
  ]
}

internal import DatTesting
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol

// The writer of a feed meets another history of its own feed, and peers that only claim to have one.

extension Attack {
  static let forks: [Attack] = [
    feed(63, "a copy of the folder that was written, too", node: false) { scene in
      let copy = try await copy(of: scene, common: 60, length: 64)
      let proof = try await copy.hashProof(of: 63)
      let attacker = try await scene.attacker()
      try await blocking {
        try answer(attacker, proof.nodes, proof.signature)
        try attacker.expectOpen("a peer that has the other history")
      }
      let process = scene.victim.process
      try await within("word of the two histories") {
        while await !process.errorText.contains("dat rekey") {
          try Task.checkCancellation()
          try await Task.sleep(for: .milliseconds(20))
        }
      }
    },
    feed(63, "roots of another history that the key did not sign", node: false) { scene in
      let stranger = try await Feed.inMemory()
      try await stranger.append((0..<64).map { [UInt8($0)] })
      let foreign = try await stranger.hashProof(of: 63)
      let own = try await scene.writer.hashProof(of: 63)
      for (nodes, signature) in [
        (foreign.nodes, foreign.signature), (foreign.nodes, own.signature),
        (
          own.nodes.map { Node(index: $0.index, hash: TreeHash.leaf([1]), size: $0.size) },
          own.signature
        ),
      ] {
        let attacker = try await scene.attacker()
        try await blocking {
          try answer(attacker, nodes, signature)
          try attacker.expectClosed("a made-up history")
        }
      }
      try require(
        await !scene.victim.process.errorText.contains("two histories"), "it believed in a fork")
    },
    feed(63, "a claim to have more, over and over", node: false) { scene in
      let attacker = try await scene.attacker()
      try await blocking {
        for number in 0..<20_000 as Range<UInt64> {
          attacker.send(Raw.frame(0, 3, Body.numbers((1, 10 + number))))
        }
        attacker.listen(seconds: 0.5)
      }
      try await scene.checkHonest("while a peer claims to have more")
    },
  ]

  /// Answers the victim's question for its peer's roots.
  private static func answer(
    _ attacker: Attacker, _ nodes: [Node], _ signature: Signature?
  ) throws {
    attacker.send(Raw.frame(0, 3, Body.numbers((1, 63))))
    try attacker.hear("question for the roots") { message in
      if case .request(let request) = message { request.index == 63 && request.hash } else { false }
    }
    attacker.send(Raw.frame(0, 9, Body.data(63, nodes: nodes, signature: signature)))
  }

  /// The same feed with other blocks from `common` on.
  private static func copy(
    of scene: FeedScene, common: UInt64, length: UInt64
  ) async throws -> Feed {
    let copy = try await Feed.inMemory(options: Feed.Options(keyPair: scene.pair, isNew: true))
    for block in 0..<length {
      try await copy.append(
        block < common ? FeedScene.block(block, size: scene.options.size) : [UInt8(block)])
    }
    return copy
  }
}

extension Feed {
  /// The answer to a Request with `hash` and no digest.
  fileprivate func hashProof(of block: UInt64) async throws -> Proof {
    var proof = try await proof(of: block)
    let value = try await get(block)
    proof.nodes.insert(
      Node(index: 2 * block, hash: TreeHash.leaf(value), size: UInt64(value.count)), at: 0)
    return proof
  }
}

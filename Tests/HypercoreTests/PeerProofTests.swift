import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

@testable import Hypercore

/// The facts that a peer can prove about itself on a connection, and messages that prove nothing.
@Suite(.timeLimit(.minutes(1))) struct PeerProofTests {
  private let feed = DiscoveryKey(bytes: [UInt8](repeating: 9, count: 32))!
  private let pair = KeyPair.generate()

  private func nonces() -> (ConnectionNonces, ConnectionNonces) {
    let (one, other) = (Nonce.random(), Nonce.random())
    return (
      ConnectionNonces(own: one, remote: other), ConnectionNonces(own: other, remote: one)
    )
  }

  @Test func `a signature holds for its connection, feed, direction and user data alone`() throws {
    let (mine, theirs) = nonces()
    guard case .key(let key, let signature) = PeerProof.key(pair, feed, mine, userData: [1, 2])
    else { return }
    func verifies(
      _ nonces: ConnectionNonces, _ name: DiscoveryKey? = nil, _ data: [UInt8]? = [1, 2],
      _ claimed: PublicKey? = nil
    ) -> Bool {
      PeerProof.verifies(
        claimed ?? key, signature, name ?? feed, nonces, userData: data)
    }
    #expect(verifies(theirs))
    #expect(!verifies(mine), "sent back")
    #expect(!verifies(nonces().1), "passed on to another connection, or played again")
    #expect(!verifies(theirs, pair.publicKey.discoveryKey))
    #expect(!verifies(theirs, nil, [1, 3]))
    #expect(!verifies(theirs, nil, nil))
    #expect(!verifies(theirs, nil, [1, 2], KeyPair.generate().publicKey))
    // A signature of a feed's tree is not a proof, and a proof is not a signature of a tree.
    let tree = pair.secretKey.sign(TreeHash.leaf([1]))
    #expect(!PeerProof.verifies(key, tree, feed, theirs, userData: [1, 2]))
  }

  @Test func `a mark holds for its two connections, and not sent back`() {
    let (a, theirA) = nonces()
    let (b, theirB) = nonces()
    let mark = PeerProof.sentMark(of: a, on: b)
    #expect(PeerProof.expectedMark(of: theirA, on: theirB) == mark)
    #expect(PeerProof.expectedMark(of: a, on: b) != mark, "sent back")
    #expect(PeerProof.expectedMark(of: theirB, on: theirA) != mark)
    #expect(PeerProof.expectedMark(of: theirA, on: nonces().1) != mark)
  }

  @Test func `what is no proof is skipped`() {
    for bytes in [[], [0], [1], [UInt8](repeating: 1, count: 32), [UInt8](repeating: 2, count: 98)]
    {
      #expect(PeerProof(bytes) == nil)
    }
    var random = SeededRandom(seed: 5)
    for _ in 0..<1000 { _ = PeerProof(random.bytes(Int.random(in: 0...200, using: &random))) }
    for proof in [PeerProof.mark(TreeHash.leaf([1])), .key(pair.publicKey, Signature())] {
      #expect(PeerProof(proof.payload) == proof)
    }
  }

  private func streams(
    _ change: (inout ReplicationOptions, inout ReplicationOptions) -> Void
  ) async throws -> (ReplicationStream, ReplicationStream) {
    let feed = try await Feed.inMemory()
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    var (mine, theirs) = (ReplicationOptions.live, ReplicationOptions.live)
    change(&mine, &theirs)
    return (try await feed.replicate(mine), try await copy.replicate(theirs))
  }

  @Test func `a peer shows the key that it holds, over a connection`() async throws {
    let (one, other) = try await streams { mine, _ in
      mine.identity = pair
      mine.userData = Array("hello".utf8)
    }
    let joined = Task { await join(one, other) }
    _ = await other.handshake()
    #expect(await other.canProve)
    #expect(await other.provenKey(within: .seconds(60)) == pair.publicKey)
    #expect(await other.provenKey == pair.publicKey)
    await one.close()
    await other.close()
    await joined.value
    // The other side had nothing to prove.
    #expect(await one.provenKey(within: .seconds(60)) == nil)
  }

  @Test func `a peer of the reference is not waited for`() async throws {
    let (one, other) = try await streams { mine, _ in mine.proves = false }
    let joined = Task { await join(one, other) }
    _ = await other.handshake()
    _ = await one.handshake()
    #expect(await !other.canProve)
    #expect(await !one.canProve)
    #expect(await other.provenKey(within: .seconds(600)) == nil)
    await one.close()
    await joined.value
  }

  @Test func `no more messages are read than a working peer sends, and none reaches the user`()
    async throws
  {
    let (one, other) = try await streams { mine, _ in mine.identity = pair }
    let messages = await other.extensionMessages()
    let joined = Task { await join(one, other) }
    _ = await one.handshake()
    _ = await other.handshake()
    #expect(await other.provenKey(within: .seconds(60)) == pair.publicKey)
    for number in 0..<100 as Range<UInt8> {
      try await one.send(
        extension: PeerProof.extensionName,
        payload: PeerProof.mark(TreeHash.leaf([number])).payload)
    }
    await one.close()
    await joined.value
    #expect(await other.proofs.marks.count == PeerProof.limit - 1)
    for await _ in messages { Issue.record("the user was told") }
  }

  @Test func `waiting for the end of a connection is left when the task is cancelled`() async throws
  {
    let (one, other) = try await streams { _, _ in }
    let joined = Task { await join(one, other) }
    _ = await one.handshake()
    let waiting = Task { try await one.finished() }
    let second = Task { try await one.finished() }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    // The connection, and other tasks that wait for the key, go on.
    #expect(await one.closeReason == nil)
    await one.close()
    await other.close()
    await joined.value
    try await second.value
    try await one.finished()
  }
}

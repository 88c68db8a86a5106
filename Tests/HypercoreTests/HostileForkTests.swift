import DatTesting
import Foundation
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

@testable import Hypercore

/// Questions and evidence about forks, in the hands of a hostile peer: they allow nothing that it could not
/// do anyway.
@Suite(.timeLimit(.minutes(1))) struct HostileForkTests {
  /// A victim that has ten blocks of a feed, and a peer whose messages the test decides.
  private final class Scene {
    let core: FeedCore
    let replicator: Replicator
    let session: ReplicationSession
    let connection: Connection
    let channel: ChannelID
    let disk = TrackingStorage()
    var now = ContinuousClock.now
    var heard: [Message] = []
    var reason: FeedError?
    var isClosed = false
    private let files = MemoryStorage()

    init(isOwned: Bool = true, knowsForks: Bool = true) throws {
      let pair = keyPair(1)
      let writer = try FeedCore.open(in: files, options: FeedOptions(keyPair: pair))
      try writer.append((0..<10).map { [$0] })
      try writer.close()
      if !isOwned { try files.storage(named: "secret_key").truncate(to: 0) }
      core = try FeedCore.open(in: files)
      replicator = Replicator(core: core, random: SeededRandom(seed: 1))
      var random = SeededRandom(seed: 3)
      func options() -> Connection.Options {
        var options = Connection.Options.random(using: &random)
        options.live = true
        options.timeout = nil
        if knowsForks { options.extensions = [ForkEvidence.extensionName] }
        return options
      }
      session = ReplicationSession(
        connection: Connection(options: options(), now: now), expectedFeeds: 1, now: now)
      connection = Connection(options: options(), now: now)
      try session.open(replicator, download: !isOwned)
      channel = try connection.open(pair.publicKey)
      session.hooks.onClose = { [unowned self] error in
        isClosed = true
        reason = error as? FeedError
      }
      try exchange()
    }

    var questions: Int {
      heard.reduce(0) { count, message in
        if case .request(let request) = message, request.hash { count + 1 } else { count }
      }
    }

    func say(_ message: Message) throws {
      try connection.send(message, on: channel)
      try exchange()
    }

    func say(evidence: [UInt8]) throws {
      try connection.sendExtension(
        ForkEvidence.extensionName, payload: evidence, on: channel)
      try exchange()
    }

    func exchange() throws {
      while true {
        let bytes = connection.takeOutput()
        if !bytes.isEmpty { session.receive(bytes, now: now) }
        guard let output = session.takeOutput(now: now), !output.isEmpty else { return }
        try connection.receive(output, now: now)
        while let event = try connection.nextEvent() {
          if case .message(_, let message) = event { heard.append(message) }
        }
      }
    }

    func pass(_ duration: Duration) throws {
      now += duration
      session.tick(now: now)
      try exchange()
    }
  }

  /// A history of the same key, with other blocks from `common` on.
  private func other(_ common: Int, _ length: Int) throws -> FeedCore {
    let core = try FeedCore.open(in: MemoryStorage(), options: FeedOptions(keyPair: keyPair(1)))
    for block in 0..<length {
      let value = block < common ? block : 100 + block
      try core.append([[UInt8(truncatingIfNeeded: value)]])
    }
    return core
  }

  private func roots(_ core: FeedCore, _ index: UInt64) throws -> DataMessage {
    let proof = try core.proof(index, hash: true)
    return DataMessage(index: index, nodes: proof.nodes, signature: proof.signature)
  }

  private func evidence() throws -> ForkEvidence {
    let one = try other(10, 10)
    let data = try roots(try other(4, 12), 9)
    let error = #expect(throws: FeedError.self) {
      try one.compare(9, nodes: data.nodes, signature: data.signature)
    }
    return try #require(error?.fork)
  }

  @Test func `a peer that announces for ever is asked a few times`() throws {
    let scene = try Scene()
    for number in 0..<1000 as Range<UInt64> {
      try scene.say(.have(start: number))
      try scene.say(.unhave(start: 9))
      try scene.pass(.seconds(6))
    }
    #expect(scene.questions <= ReplicationLimits.comparisons)
    #expect(!scene.isClosed)
    try scene.core.append([[1]])
  }

  @Test func `a peer that answers every time is asked once for each announcement`() throws {
    let scene = try Scene()
    let same = try other(10, 10)
    for _ in 0..<100 {
      let before = scene.questions
      try scene.say(.have(start: 5, length: 100))
      guard scene.questions > before else { continue }
      try scene.say(.data(try roots(same, 9)))
    }
    #expect(scene.questions <= 100 && !scene.isClosed)
    #expect(scene.core.length == 10 && scene.core.isWritable)
  }

  @Test(arguments: [true, false])
  func `roots that the key did not sign are refused, and nothing is stored`(isOwned: Bool) throws {
    let stranger = try FeedCore.open(in: MemoryStorage(), options: FeedOptions(keyPair: keyPair(2)))
    try stranger.append((0..<12).map { [50 + $0] })
    var answers = [try roots(stranger, 9)]
    // The right signature over other nodes, and each node changed.
    let sound = try roots(try other(10, 10), 9)
    for place in sound.nodes.indices {
      var wrong = sound
      wrong.nodes[place].hash = TreeHash.leaf([1])
      answers.append(wrong)
      wrong = sound
      wrong.nodes[place].size = .max >> 11
      answers.append(wrong)
      wrong = sound
      wrong.nodes[place].index ^= 64
      answers.append(wrong)
    }
    answers.append(
      DataMessage(index: 9, nodes: sound.nodes, signature: try roots(try other(4, 12), 9).signature)
    )
    for answer in answers {
      let scene = try Scene(isOwned: isOwned)
      try scene.say(.have(start: 9))
      #expect(scene.questions == 1)
      try scene.say(.data(answer))
      #expect(scene.core.forkEvidence == nil && scene.core.length == 10)
      #expect(try scene.core.audit().invalid == 0)
      if scene.isClosed {
        #expect(scene.reason?.isOffence == true, "\(String(describing: scene.reason))")
      }
      // Surplus nodes are not a fault; anything else is.
      #expect(
        scene.isClosed || answer.nodes.count != sound.nodes.count
          || answer.signature == sound.signature)
    }
  }

  @Test
  func `of a peer that may answer in any order only the next block is asked before its roots`()
    throws
  {
    let longer = try other(10, 20)
    for isSame in [true, false] {
      let scene = try Scene(isOwned: false, knowsForks: false)
      func requests() -> [Request] {
        scene.heard.compactMap { if case .request(let request) = $0 { request } else { nil } }
      }
      try scene.say(.have(start: 0, length: 20))
      #expect(requests().map(\.index) == [9, 10])
      #expect(requests().map(\.hash) == [true, false])
      try scene.say(.data(try roots(isSame ? longer : other(4, 20), 9)))
      // A length comes with a block alone.
      #expect(scene.core.length == 10)
      #expect((scene.core.forkEvidence == nil) == isSame)
      let more = requests().contains { !$0.hash && $0.index > 10 }
      #expect(more == isSame)
    }
    // The next block itself proves as much.
    let scene = try Scene(isOwned: false, knowsForks: false)
    try scene.say(.have(start: 0, length: 20))
    let proof = try longer.proof(10)
    try scene.say(
      .data(
        DataMessage(
          index: 10, value: try longer.block(at: 10), nodes: proof.nodes,
          signature: proof.signature)))
    #expect(scene.core.length == 20 && !scene.isClosed)
    let more = scene.heard.contains {
      if case .request(let request) = $0 { request.index > 10 } else { false }
    }
    #expect(more)
  }

  @Test func `an answer to a question that was not asked is none`() throws {
    let scene = try Scene()
    try scene.say(.data(try roots(try other(4, 12), 9)))
    #expect(scene.core.forkEvidence == nil && !scene.isClosed)
  }

  @Test(arguments: [true, false])
  func `evidence that proves nothing is the peer's fault`(isOwned: Bool) throws {
    let sound = try evidence()
    var wrong = (0..<5).map { _ in sound }
    wrong[0].theirs.signature = keyPair(2).secretKey.sign([1])
    wrong[1].theirs = try #require(sound.ours)
    wrong[1].theirProof = sound.ourProof
    wrong[2].key = keyPair(2).publicKey
    wrong[3].ours = nil
    wrong[4].theirProof = sound.ourProof
    wrong[4].theirs.roots = try #require(sound.ours).roots
    var payloads = try wrong.map { try $0.fileBytes() }
    payloads += [[], Array("{}".utf8), [UInt8](repeating: UInt8(ascii: "["), count: 200_000)]
    payloads.append([UInt8](repeating: 32, count: 1 << 20))
    // An honest feed at two lengths.
    let (short, long) = (try other(10, 6), try other(10, 10))
    var lengths = sound
    lengths.block = 5
    lengths.ours = SignedRoots(
      length: 10, roots: long.roots, signature: try #require(try roots(long, 9).signature))
    lengths.ourProof = try long.proof(5, hash: true).nodes
    lengths.theirs = SignedRoots(
      length: 6, roots: short.roots, signature: try #require(try roots(short, 5).signature))
    lengths.theirProof = try short.proof(5, hash: true).nodes
    #expect(!lengths.isProven)
    payloads.append(try lengths.fileBytes())
    for payload in payloads {
      let scene = try Scene(isOwned: isOwned)
      try scene.say(evidence: payload)
      #expect(scene.isClosed && scene.reason?.isOffence == true)
      #expect(scene.replicator.forkEvidence == nil)
    }
  }

  @Test func `a writer that is shown a proof stops, a reader notes it and reads on`() throws {
    let proof = try evidence()
    let writer = try Scene()
    try writer.say(evidence: try proof.fileBytes())
    #expect(writer.core.forkEvidence == proof && !writer.core.isWritable && !writer.isClosed)
    let reader = try Scene(isOwned: false)
    var wasTold = false
    reader.replicator.onEvent = { if case .forked = $0 { wasTold = true } }
    for _ in 0..<3 { try reader.say(evidence: try proof.fileBytes()) }
    #expect(wasTold && !reader.isClosed && reader.core.forkEvidence == nil)
    #expect(reader.replicator.forkEvidence == proof && reader.core.stopReason == nil)
  }

  @Test func `evidence takes little room, however long the feed`() throws {
    let (one, two) = (try other(1000, 1000), try other(511, 1500))
    let data = try roots(two, 999)
    let error = #expect(throws: FeedError.self) {
      try one.compare(999, nodes: data.nodes, signature: data.signature)
    }
    #expect(try #require(error?.fork).fileBytes().count < 32 << 10)
  }

  @Test func `a peer that contradicts again and again is to blame in the end`() throws {
    let scene = try Scene(isOwned: false)
    let peer = try #require(scene.replicator.peers.first)
    peer.comparison.hasToldNodes = true
    let error = FeedError.rejected("wrong")
    let faults = (0..<20).map { _ in peer.fault(of: error, at: 3) }
    #expect(faults.filter { !$0.isOffence }.count == ReplicationLimits.doubts)
    #expect(faults.last?.isOffence == true)
  }
}

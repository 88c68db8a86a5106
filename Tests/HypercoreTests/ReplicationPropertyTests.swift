import DatTesting
import Hypercore
import HypercoreProtocol
import Testing

/// Properties that hold whatever happens to a feed and its replicas. `SEEDS=n` tries more seeds, `SEED=n`
/// one.
@Suite(.timeLimit(.minutes(10))) struct ReplicationPropertyTests {
  @Test func `whatever happened, every replica ends with the writer's blocks`() async {
    await forEachSeed(standard: 500) { seed in
      var random = SeededRandom(seed: seed)
      let readers = Int.random(in: 1...4, using: &random)
      let steps = (0..<Int.random(in: 3...25, using: &random)).map { _ in
        FeedStep.random(using: &random)
      }
      try check(seed: seed, steps) { steps in
        let world = try FeedWorld(seed: seed, readers: readers)
        try world.run(steps)
        try world.heal()
      }
    }
  }

  @Test func `with any number of peers and relays every block is sent once to each reader`() async {
    await forEachSeed(standard: 150) { seed in
      var random = SeededRandom(seed: seed)
      let readers = Int.random(in: 1...4, using: &random)
      let steps = (0..<Int.random(in: 1...15, using: &random)).map { _ in
        FeedStep.random(using: &random)
      }.filter(\.isPeaceful)
      try check(seed: seed, steps) { steps in
        let world = try FeedWorld(seed: seed, readers: readers, sparse: 0)
        try world.run(steps)
        for number in 1...readers { try world.connect(number, number / 2) }
        try world.simulation.settle()
        try world.expectEverywhere()
        for replica in world.replicas.dropFirst() {
          guard replica.stores == world.writer.core.length else {
            throw FeedWorld.Broken("\(replica.name) stored \(replica.stores) blocks")
          }
        }
        let uploads = world.replicas.reduce(0) { $0 + $1.uploads }
        let length = world.writer.core.length
        guard uploads == UInt64(readers) * length else {
          throw FeedWorld.Broken("\(readers) readers of \(length) blocks took \(uploads) uploads")
        }
      }
    }
  }

  @Test func `sessions that aren't live end by themselves, with what either side had`() async {
    await forEachSeed(standard: 150) { seed in
      var random = SeededRandom(seed: seed)
      let readers = Int.random(in: 1...4, using: &random)
      let before = (0..<Int.random(in: 0...12, using: &random)).map { _ in
        FeedStep.random(using: &random)
      }
      let pairs = (0..<Int.random(in: 1...6, using: &random)).map { _ in
        FeedStep.connect(
          Int.random(in: 0...readers, using: &random), Int.random(in: 0...readers, using: &random),
          breaksAfter: nil)
      }
      try check(seed: seed, before + pairs) { steps in
        let world = try FeedWorld(seed: seed, readers: readers, sparse: 0)
        let split = max(steps.count - pairs.count, 0)
        try world.run(Array(steps[..<split]))
        try world.disconnectAll()
        try world.exchangeOnce(Array(steps[split...]))
      }
    }
  }

  @Test func `answers may come in any order, as those of Node peers do`() async {
    await forEachSeed(standard: 100) { seed in
      var random = SeededRandom(seed: seed)
      let count = Int.random(in: 1...60, using: &random)
      let peer = try HostilePeer(sparse: false, count: count)
      try peer.say(.have(start: 0, length: UInt64(count)))
      let remoteTree = RemoteTree()
      var answered = 0
      while true {
        let new = peer.heard.compactMap {
          if case .request(let request) = $0 { request } else { nil }
        }.dropFirst(answered)
        if new.isEmpty { break }
        answered += new.count
        // Proofs are made in the order of the requests; blocks come as the disk delivers them.
        let answers = try new.map { request in
          let proof = try peer.writer.proof(
            request.index, digest: request.nodes, remoteTree: remoteTree)
          return Message.data(
            DataMessage(
              index: request.index, value: peer.blocks[Int(request.index)], nodes: proof.nodes,
              signature: proof.signature))
        }
        for answer in answers.shuffled(using: &random) { try peer.say(answer) }
      }
      guard !peer.isClosed, peer.victim.has(0..<UInt64(count)), answered == count else {
        throw FeedWorld.Broken(
          "\(peer.victim.downloaded()) of \(count) blocks after \(answered) requests: "
            + "\(peer.reason?.reason ?? "open")")
      }
    }
  }

  @Test func `a peer that falls silent is given up, and others are asked instead`() async {
    await forEachSeed(standard: 60) { seed in
      let world = try FeedWorld(seed: seed, readers: 2, sparse: 0)
      try world.append((0..<40).map { _ in 30 })
      // Reader 1 has everything; then the writer's connection to reader 2 goes dead in the middle.
      try world.connect(0, 1)
      try world.simulation.settle()
      var conditions = Simulation.Conditions()
      conditions.delay = 1000...5000
      let dead = try world.connect(0, 2, conditions)
      for _ in 0..<Int(seed % 40) {
        world.simulation.step(until: world.simulation.now + .seconds(1))
      }
      dead?.link?.conditions.delay = 3_600_000_000...3_600_000_001
      try world.connect(1, 2)
      world.simulation.run(for: .seconds(120))
      try world.verify(world.replicas[2], isComplete: true)
    }
  }
}

extension FeedStep {
  /// True if nothing is lost by this step, so that nothing has to be sent again.
  fileprivate var isPeaceful: Bool {
    switch self {
    case .append, .wait, .get, .download: true
    case .connect(_, _, let breaksAfter): breaksAfter == nil
    case .clear, .disconnect, .crash: false
    }
  }
}

/// Runs a property for one seed after another, so that tests that wait for something get their turn; stops
/// after a few failures.
func forEachSeed(standard: Int, _ body: (UInt64) throws -> Void) async {
  var failures = 0
  for seed in testSeeds(standard: standard) where failures < 5 {
    do {
      try body(seed)
    } catch {
      failures += 1
      Issue.record("SEED=\(seed): \(error)")
    }
    await Task.yield()
  }
}

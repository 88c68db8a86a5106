import DatTesting
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hypercore

@Suite struct PuttingTests {
  private func replica(
    of pair: KeyPair = keyPair(1), in storage: any StorageProvider = MemoryStorage()
  ) throws -> FeedCore {
    try FeedCore.open(in: storage, options: FeedOptions(key: pair.publicKey))
  }

  @Test(arguments: testSeeds(standard: 30))
  func `blocks fetched in any order make the writer's files`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let source = MemoryStorage()
    let writer = try makeFeed(Int.random(in: 1...150, using: &random), in: source, random: &random)
    let copy = MemoryStorage()
    let reader = try replica(in: copy)
    let remote = random.chance(0.5) ? RemoteTree() : nil
    let isBatched = random.chance(0.5)
    for block in (0..<writer.length).shuffled(using: &random) {
      if isBatched, random.chance(0.3) { reader.beginBatch() }
      if random.chance(0.2) { try fetch(block, from: writer, into: reader, hash: true) }
      let result = try fetch(block, from: writer, into: reader, remote: remote)
      #expect(result.outcome == .stored)
      #expect(try reader.block(at: block) == writer.block(at: block))
      if isBatched, random.chance(0.3) { try reader.commitBatch() }
    }
    try reader.commitBatch()
    for block in 0..<writer.length {
      #expect(try reader.block(at: block) == writer.block(at: block))
    }
    #expect(reader.length == writer.length)
    #expect(reader.byteLength == writer.byteLength)
    #expect(reader.roots == writer.roots)
    #expect(try reader.audit() == (writer.length, 0))
    for name in ["tree", "data", "bitfield", "key"] {
      #expect(try bytes(of: name, in: copy) == bytes(of: name, in: source), "\(name)")
    }
    try reader.close()
    let again = try FeedCore.open(in: copy)
    #expect(again.report.isHealthy)
    #expect(again.length == writer.length)
  }

  @Test(arguments: testSeeds(standard: 30))
  func `sparse replicas serve each other what they have`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let pair = keyPair(3)
    var feeds = [try makeFeed(10, pair: pair, random: &random)]
    for _ in 0..<3 { feeds.append(try replica(of: pair)) }
    var remotes: [Int: RemoteTree] = [:]
    for _ in 0..<250 {
      if random.chance(0.1) { try feeds[0].append([random.bytes(5), random.bytes(0)]) }
      let server = Int.random(in: 0..<4, using: &random)
      let client = Int.random(in: 1..<4, using: &random)
      let start = UInt64.random(in: 0..<feeds[0].length, using: &random)
      guard server != client, let block = feeds[server].nextStored(from: start, below: .max) else {
        continue
      }
      let remote = remotes[server * 4 + client, default: RemoteTree()]
      remotes[server * 4 + client] = remote
      try fetch(
        block, from: feeds[server], into: feeds[client], remote: remote, hash: random.chance(0.2))
      if feeds[client].has(block) {
        #expect(try feeds[client].block(at: block) == feeds[0].block(at: block))
      }
    }
    for feed in feeds {
      #expect(try feed.audit().invalid == 0)
      for slot in 0..<feed.length {
        guard let signature = try feed.signatures.signature(at: slot) else { continue }
        #expect(try feed.verify(signature, at: slot))
      }
      for byte in stride(from: UInt64(1), to: feed.byteLength, by: 7) {
        guard case .found(let block, let offset) = try feed.seek(toByte: byte) else { continue }
        #expect(try feeds[0].seek(toByte: byte) == .found(block: block, offset: offset))
      }
    }
  }

  @Test(arguments: testSeeds(standard: 12))
  func `an answer that was tampered with is refused and stores nothing`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let writer = try makeFeed(Int.random(in: 2...60, using: &random), random: &random)
    let storage = MemoryStorage()
    let reader = try replica(in: storage)
    let known = UInt64.random(in: 0..<writer.length, using: &random)
    if random.chance(0.7) { try fetch(known, from: writer, into: reader) }
    let before = try snapshot(storage)
    let length = reader.length
    for _ in 0..<60 {
      let block = UInt64.random(in: 0..<writer.length, using: &random)
      let hash = random.chance(0.3)
      // A known hash is not requested; another size for it changes nothing.
      if reader.has(block) || (hash && reader.bits.hasNode(2 * block)) { continue }
      var proof = try writer.proof(block, digest: reader.digest(block), hash: hash)
      var value = hash ? nil : try writer.block(at: block)
      var index = block
      let place = proof.nodes.indices.randomElement(using: &random)
      switch Int.random(in: 0..<8, using: &random) {
      case 0:
        guard value != nil else { continue }
        value = (value ?? []) + [1]
      case 1:
        guard let place else { continue }
        proof.nodes[place].hash.withUnsafeMutableBytes { $0[3] ^= 4 }
      case 2:
        // If only a sum is proven, a single size can't be wrong.
        guard let place else { continue }
        proof.nodes[place].size &+= random.chance(0.5) ? 1 : .max
      case 3:
        guard let place else { continue }
        proof.nodes[place].index = UInt64.random(in: 0 ... .max, using: &random)
      case 4:
        index = block ^ UInt64.random(in: 1...7, using: &random)
        if reader.has(index) { continue }
        if value != nil, try index < writer.length && writer.block(at: index) == value { continue }
      case 5:
        guard proof.signature != nil else { continue }
        proof.signature = keyPair(9).secretKey.sign(writer.treeHash)
      case 6:
        guard proof.signature != nil else { continue }
        proof.signature = nil
      default:
        guard let place else { continue }
        proof.nodes.remove(at: place)
      }
      let error = #expect(throws: FeedError.self) {
        try reader.put(index, value: value, nodes: proof.nodes, signature: proof.signature)
      }
      #expect(error?.code == .proofRejected || error?.code == .proofIncomplete)
    }
    try reader.commitBatch()
    #expect(try snapshot(storage) == before)
    #expect(reader.length == length)
    #expect(reader.downloaded() <= 1)
  }

  @Test func `a block that hangs free of the signed roots is refused`() throws {
    var random = SeededRandom(seed: 1)
    let writer = try FeedCore.open(in: MemoryStorage(), options: FeedOptions(keyPair: keyPair(1)))
    try writer.append((0..<4).map { _ in random.bytes(8) })
    let storage = MemoryStorage()
    let reader = try replica(in: storage)
    try fetch(1, from: writer, into: reader)
    let before = try snapshot(storage)
    let root = try writer.node(at: 3)
    let signature = try #require(try writer.signature(covering: 3)).signature
    for nodes in [[root], [], [try writer.node(at: 2), root], [try writer.node(at: 5), root]] {
      let error = #expect(throws: FeedError.self) {
        try reader.put(0, value: random.bytes(8), nodes: nodes, signature: signature)
      }
      #expect(error?.code == .proofRejected || error?.code == .proofIncomplete)
      // The same with a reader that knows nothing.
      let empty = try replica()
      #expect(throws: FeedError.self) {
        try empty.put(0, value: random.bytes(8), nodes: nodes, signature: signature)
      }
      #expect(empty.length == 0)
    }
    #expect(try snapshot(storage) == before)
  }

  @Test func `a hash-only answer has to start with the block's own leaf`() throws {
    var random = SeededRandom(seed: 2)
    let writer = try makeFeed(8, random: &random)
    let storage = MemoryStorage()
    let reader = try replica(in: storage)
    let before = try snapshot(storage)
    let proof = try writer.proof(3, hash: true)
    for block in [UInt64(2), 4, 0, FeedLimits.maximumLength, .max] {
      #expect(throws: FeedError.self) {
        try reader.put(block, value: nil, nodes: proof.nodes, signature: proof.signature)
      }
    }
    #expect(throws: FeedError.self) { try reader.put(0, value: nil, nodes: []) }
    #expect(try snapshot(storage) == before)
    try reader.put(3, value: nil, nodes: proof.nodes, signature: proof.signature)
    #expect(reader.length == 8)
    #expect(reader.downloaded() == 0)
  }

  @Test func `a node beyond what a feed can have is rejected, whatever else the proof says`() throws
  {
    var random = SeededRandom(seed: 4)
    let writer = try makeFeed(8, random: &random)
    let proof = try writer.proof(0)
    let limit = 2 * FeedLimits.maximumLength
    for index in [limit, limit + 1, FlatTree.maximumIndex, .max - 1, .max] {
      let reader = try replica()
      let far = Node(index: index, hash: proof.nodes[0].hash, size: 1)
      let error = #expect(throws: FeedError.self) {
        try reader.put(
          0, value: writer.block(at: 0), nodes: proof.nodes + [far], signature: proof.signature)
      }
      #expect(error?.code == .proofRejected)
      #expect(error?.reason == "Node \(index) is beyond what a feed can have.")
      #expect(reader.length == 0)
    }
  }

  @Test func `sizes that a hash-only answer gets wrong are set right by the block`() throws {
    var random = SeededRandom(seed: 3)
    let writer = try FeedCore.open(in: MemoryStorage(), options: FeedOptions(keyPair: keyPair(1)))
    try writer.append((0..<8).map { _ in random.bytes(10) })
    for first in [UInt64(2), 3] {
      let reader = try replica()
      var proof = try writer.proof(2, hash: true)
      proof.nodes[0].size += 3
      proof.nodes[1].size -= 3
      try reader.put(2, value: nil, nodes: proof.nodes, signature: proof.signature)
      try fetch(4, from: writer, into: reader)
      try fetch(first, from: writer, into: reader)
      try fetch(first ^ 1, from: writer, into: reader)
      for block in [UInt64(2), 3, 4] {
        #expect(try reader.block(at: block) == writer.block(at: block))
      }
    }
  }

  @Test func `a size that a hash-only answer gets wrong is set right by signed roots`() throws {
    let writer = try FeedCore.open(in: MemoryStorage(), options: FeedOptions(keyPair: keyPair(1)))
    try writer.append((0..<9).map { [UInt8](repeating: $0, count: 10) })
    let short = try writer.proof(0)
    #expect(short.nodes.map(\.index) == [2, 5, 11, 16])
    try writer.append((9..<16).map { [UInt8](repeating: $0, count: 10) })
    let reader = try replica()
    var proof = try writer.proof(8, hash: true)
    proof.nodes[0].size += 3
    proof.nodes[1].size -= 3
    try reader.put(8, value: nil, nodes: proof.nodes, signature: proof.signature)
    #expect(try reader.node(at: 16).size == 13)
    // Nodes that were lost let an answer lead to the roots of a length at which that leaf is one.
    for node in [7, 23] as [UInt64] { reader.bits.setAside(node: node) }
    try reader.put(0, value: writer.block(at: 0), nodes: short.nodes, signature: short.signature)
    #expect(try reader.node(at: 16).size == 10)
    #expect(try reader.node(at: 18).size == 10)
    #expect(try reader.verify(#require(short.signature), at: 8))
  }

  @Test func `what was put in a batch is written when the feed is closed`() throws {
    var random = SeededRandom(seed: 7)
    let writer = try makeFeed(10, random: &random)
    let storage = MemoryStorage()
    let reader = try replica(in: storage)
    var changes: [FeedChange] = []
    reader.onChange = { changes.append($0) }
    reader.beginBatch()
    for block in 2..<5 as Range<UInt64> { try fetch(block, from: writer, into: reader) }
    #expect(try bytes(of: "data", in: storage).isEmpty)
    try reader.close()
    #expect(changes == [.grew(to: 10), .stored([2..<5])])
    let again = try FeedCore.open(in: storage)
    #expect(again.report.isHealthy)
    #expect(again.has(2..<5))
    for block in 2..<5 as Range<UInt64> {
      #expect(try again.block(at: block) == writer.block(at: block))
    }
  }

  @Test func `answers to requests sent ahead are verified by what came before them`() throws {
    var random = SeededRandom(seed: 4)
    let writer = try makeFeed(100, random: &random)
    let tracking = TrackingStorage()
    let reader = try replica(in: tracking)
    let remote = RemoteTree()
    let digests = (0..<writer.length).map { reader.digest($0) }
    let answers = try digests.enumerated().map { block, digest in
      let block = UInt64(block)
      let proof = try writer.proof(block, digest: digest, remoteTree: remote)
      return (
        block: block, value: try writer.block(at: block), nodes: proof.nodes,
        signature: proof.signature
      )
    }
    tracking.reset()
    let results = try reader.putAll(answers)
    #expect(results.allSatisfy { $0.outcome == .stored })
    for name in ["data", "tree", "bitfield", "signatures"] {
      #expect(tracking.calls(.write, name).count == 1, "\(name)")
    }
    #expect(try reader.putAll(answers).allSatisfy { $0.outcome == .known })
  }

  @Test func `a static feed is verified by its key`() throws {
    let writer = try FeedCore.open(in: MemoryStorage(), options: FeedOptions(isLive: false))
    try writer.append([[1], [2, 2], [], [3]])
    #expect(writer.key == nil)
    try writer.finalize()
    let key = try #require(writer.key)
    let storage = MemoryStorage()
    let reader = try FeedCore.open(in: storage, options: FeedOptions(key: key))
    #expect(throws: FeedError.self) {
      try reader.put(1, value: [2, 3], nodes: writer.proof(1).nodes)
    }
    for block in [UInt64(2), 0, 3, 1] { try fetch(block, from: writer, into: reader) }
    #expect(!reader.isLive)
    #expect(try reader.block(at: 1) == [2, 2])
    try reader.close()
    let again = try FeedCore.open(in: storage)
    #expect(again.report.isHealthy)
    #expect(again.length == 4)
    #expect(!again.isLive)
  }

  @Test func `changes are told once they are written`() throws {
    var random = SeededRandom(seed: 5)
    let writer = try makeFeed(10, random: &random)
    let tracking = TrackingStorage()
    let reader = try replica(in: tracking)
    var changes: [FeedChange] = []
    reader.onChange = { changes.append($0) }
    reader.beginBatch()
    for block in [UInt64(3), 4, 5, 8] { try fetch(block, from: writer, into: reader) }
    #expect(changes.isEmpty)
    try reader.commitBatch()
    #expect(changes == [.grew(to: 10), .stored([3..<6, 8..<9])])
    changes = []
    try reader.clear(4..<6)
    #expect(changes == [.cleared(4..<6)])
    #expect(!reader.has(4))
    #expect(try reader.block(at: 3) == writer.block(at: 3))
  }

  // MARK: Beyond what is trusted

  /// A reader that knows the root of the first four blocks, and the answer for block 2 of a feed that has
  /// eight by now, made for a peer that knows nothing.
  private func answerBeyond() throws -> (reader: FeedCore, value: [UInt8], proof: Proof) {
    let writer = try FeedCore.open(in: MemoryStorage(), options: FeedOptions(keyPair: keyPair(1)))
    try writer.append((0..<4).map { [$0] })
    let reader = try replica(in: MemoryStorage())
    try fetch(0, from: writer, into: reader)
    try writer.append((4..<8).map { [$0] })
    let proof = try writer.proof(2)
    #expect(proof.nodes.map(\.index) == [6, 1, 11])
    return (reader, try #require(try writer.block(at: 2)), proof)
  }

  @Test func `what a proof brings beyond a node that is known already is kept`() throws {
    let (reader, value, proof) = try answerBeyond()
    // Node 5 is known, and ends the climb; the nodes above it were not known.
    #expect(reader.bits.hasNode(5) && !reader.bits.hasNode(11))
    try reader.put(2, value: value, nodes: proof.nodes, signature: proof.signature)
    #expect(reader.length == 8)
    #expect(reader.bits.hasNode(11) && reader.bits.hasNode(7))
    #expect(try reader.audit() == (2, 0))
  }

  @Test(arguments: ["hash", "signature", "none"])
  func `what leads nowhere beyond a known node is left aside, and the block stored`(fault: String)
    throws
  {
    let (reader, value, proof) = try answerBeyond()
    var nodes = proof.nodes
    var signature = proof.signature
    switch fault {
    case "hash": nodes[2].hash = TreeHash.leaf([9])
    case "signature": signature = keyPair(2).secretKey.sign([1])
    default: signature = nil
    }
    try reader.put(2, value: value, nodes: nodes, signature: signature)
    #expect(reader.has(2))
    #expect(reader.length == 4)
    #expect(!reader.bits.hasNode(11) && !reader.bits.hasNode(7))
  }

  // MARK: Forks

  /// Two feeds of one key that differ after `common` blocks.
  private func forked(common: Int, then count: Int) throws -> (FeedCore, FeedCore) {
    var random = SeededRandom(seed: 6)
    let start = (0..<common).map { _ in random.bytes(6) }
    let feeds = try (0..<2).map { number in
      let core = try FeedCore.open(in: MemoryStorage(), options: FeedOptions(keyPair: keyPair(1)))
      if !start.isEmpty { try core.append(start) }
      try core.append((0..<count).map { [UInt8(number), UInt8($0)] })
      return core
    }
    return (feeds[0], feeds[1])
  }

  @Test(arguments: [(0, 1), (0, 4), (3, 1), (4, 4), (5, 9)])
  func `two histories signed by one key are told apart from a bad proof`(
    _ shape: (common: Int, then: Int)
  ) throws {
    let (ours, theirs) = try forked(common: shape.common, then: shape.then)
    let storage = MemoryStorage()
    let reader = try replica(in: storage)
    for block in 0..<ours.length { try fetch(block, from: ours, into: reader) }
    let before = try snapshot(storage)
    for block in UInt64(shape.common)..<theirs.length {
      let proof = try theirs.proof(block)
      let error = #expect(throws: FeedError.self) {
        try reader.put(
          block, value: theirs.block(at: block), nodes: proof.nodes, signature: proof.signature)
      }
      #expect(error?.code == .forked)
      let fork = try #require(error?.fork)
      #expect(fork.theirs.isValid(under: fork.key))
      #expect(fork.ours?.isValid(under: fork.key) == true)
      #expect(fork.ours?.roots != fork.theirs.roots)
      #expect(!fork.ourProof.isEmpty)
      #expect(fork.isProven)
    }
    // Nothing was stored but the evidence.
    #expect(try !bytes(of: "fork.json", in: storage).isEmpty)
    #expect(try snapshot(storage) == before)
  }

  @Test func `a block of both histories shows the fork by the nodes that are sent beyond its own`()
    throws
  {
    let ours = try forked(common: 4, then: 4).0
    let theirs = try forked(common: 4, then: 12).1
    let reader = try replica()
    try fetch(0, from: ours, into: reader)
    // Node 5 ends the climb. Of those above it, 11 is another one here, and 23 is not known.
    #expect(reader.bits.hasNode(5) && reader.bits.hasNode(11) && !reader.bits.hasNode(23))
    let proof = try theirs.proof(2)
    #expect(proof.nodes.map(\.index) == [6, 1, 11, 23])
    let error = #expect(throws: FeedError.self) {
      try reader.put(
        2, value: theirs.block(at: 2), nodes: proof.nodes, signature: proof.signature)
    }
    #expect(error?.code == .forked)
    #expect(error?.fork?.isProven == true)
    #expect(!reader.has(2))
  }
}

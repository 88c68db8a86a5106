import DatCoding
import DatTesting
import Hypercore
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

/// Messages that a peer with the feed's key may send, and their consequences: nothing is stored,
/// the peer is disconnected with a reason, and the others go on.
@Suite(.timeLimit(.minutes(1))) struct HostilePeerTests {
  // MARK: Data

  @Test func `a block with other bytes is refused`() throws {
    let peer = try HostilePeer()
    try peer.askFor(2)
    var data = try peer.answer(2)
    data.value = Array("BLOCK 2".utf8)
    try peer.expectOut(.proofRejected, by: .data(data))
  }

  @Test func `a block with a wrong hash in its proof is refused`() throws {
    for place in try 0..<HostilePeer().answer(2).nodes.count {
      let peer = try HostilePeer()
      try peer.askFor(2)
      var data = try peer.answer(2)
      data.nodes[place].hash = TreeHash.leaf([UInt8(place)])
      try peer.expectOut(.proofRejected, by: .data(data))
    }
  }

  @Test func `sizes that don't add up are refused`() throws {
    for place in try 0..<HostilePeer().answer(2).nodes.count {
      for size in [0, 1 << 20, Varint.maximum] {
        let peer = try HostilePeer()
        try peer.askFor(2)
        var data = try peer.answer(2)
        data.nodes[place].size = size
        try peer.expectOut(.proofRejected, by: .data(data))
      }
    }
  }

  @Test func `another block's proof is refused`() throws {
    let peer = try HostilePeer()
    try peer.askFor(2)
    var data = try peer.answer(5)
    data.index = 2
    // Its nodes lead nowhere from block 2.
    try peer.say(.data(data))
    #expect(peer.isClosed)
    #expect([.proofRejected, .proofIncomplete].contains(peer.reason?.code))
    #expect(peer.victim.length == 0 && !peer.victim.has(2))
    try peer.expectGoodPeerGoesOn()
  }

  @Test func `another key's signature is refused`() throws {
    let peer = try HostilePeer()
    try peer.askFor(2)
    var data = try peer.answer(2)
    let other = try #require(KeyPair(seed: [UInt8](repeating: 8, count: 32)))
    data.signature = other.secretKey.sign(peer.writer.treeHash)
    try peer.expectOut(.proofRejected, by: .data(data))
  }

  @Test func `a block without signature or trusted node is refused`() throws {
    let peer = try HostilePeer()
    try peer.askFor(2)
    var data = try peer.answer(2)
    data.signature = nil
    try peer.say(.data(data))
    #expect(peer.isClosed)
    #expect([.proofRejected, .proofIncomplete].contains(peer.reason?.code))
    #expect(peer.victim.length == 0)
    try peer.expectGoodPeerGoesOn()
  }

  @Test func `a tree that contradicts what is stored is refused`() throws {
    let peer = try HostilePeer()
    try peer.askFor(2)
    try peer.say(.data(try peer.answer(2)))
    #expect(peer.victim.has(2) && !peer.isClosed)
    // The sibling of block 2 is known: another block 3 can't be right.
    try peer.askFor(3)
    var data = try peer.answer(3)
    data.value = Array("BLOCK 3".utf8)
    data.nodes = []
    data.signature = nil
    try peer.expectOut(.proofRejected, by: .data(data))
  }

  @Test func `a block under none of the signed roots is refused, though the signature is good`()
    throws
  {
    // Leaf 0 is known as block 1's sibling; the rest of the proof alone is a signed set of roots.
    let peer = try HostilePeer(count: 4)
    try peer.askFor(1)
    try peer.say(.data(try peer.answer(1)))
    #expect(peer.victim.has(1))
    try peer.askFor(0)
    let root = try peer.writer.node(at: 3)
    let signature = try #require(try peer.writer.signature(covering: 3)?.signature)
    try peer.expectOut(
      .proofRejected,
      by: .data(
        DataMessage(
          index: 0, value: Array("BLOCK 0".utf8), nodes: [root], signature: signature)))
  }

  @Test func `a hash that is not the block's own is refused`() throws {
    let peer = try HostilePeer()
    try peer.askFor(2)
    var data = try peer.answer(2)
    data.value = nil
    try peer.expectOut(.proofRejected, by: .data(data))
  }

  @Test func `Data with neither a block nor nodes is refused, asked for or not`() throws {
    let unasked = try HostilePeer()
    try unasked.expectOut(.peerMisbehaved, by: .data(DataMessage(index: 2)))
    let asked = try HostilePeer()
    try asked.askFor(2)
    try asked.say(.data(DataMessage(index: 2)))
    #expect(asked.isClosed && asked.victim.length == 0)
    try asked.expectGoodPeerGoesOn()
  }

  @Test func `node indexes beyond any feed are refused`() throws {
    for index in [1 << 52, Varint.maximum, Varint.maximum - 1] {
      let peer = try HostilePeer()
      try peer.askFor(2)
      var data = try peer.answer(2)
      data.nodes[data.nodes.count - 1].index = index
      try peer.say(.data(data))
      #expect(peer.isClosed && peer.victim.length == 0)
      try peer.expectGoodPeerGoesOn()
    }
  }

  @Test func `blocks that nobody asked for are dropped, and too many are an offence`() throws {
    let peer = try HostilePeer()
    let data = Message.data(try peer.answer(4))
    try peer.say(data)
    #expect(!peer.isClosed && !peer.victim.has(4) && peer.victim.length == 0)
    for _ in 0..<10_001 where !peer.isClosed { try peer.say(data) }
    #expect(peer.reason?.code == .peerMisbehaved)
    #expect(peer.victim.length == 0)
    try peer.expectGoodPeerGoesOn()
  }

  // MARK: Have

  @Test func `a bitfield that starts between pages is refused`() throws {
    for start in [1, 4096, 8191, 8193] as [UInt64] {
      let peer = try HostilePeer()
      try peer.expectOut(
        .peerMisbehaved, by: .have(start: start, length: 1 << 20, bitfield: [0x0b]))
    }
  }

  @Test func `a bitfield that is no run-length encoding is refused`() throws {
    // A literal past the end; an incomplete varint; a too long one.
    for bytes in [[0x04, 0xff], [0x80], [UInt8](repeating: 0xff, count: 11)] as [[UInt8]] {
      let peer = try HostilePeer()
      try peer.expectOut(
        .peerMisbehaved, by: .have(start: 0, length: 1 << 20, bitfield: bytes))
    }
  }

  @Test func `a bitfield that unpacks to more than it may is refused`() throws {
    for bytes in [131_073, 1 << 30, 1 << 44, Varint.maximum >> 3] as [UInt64] {
      let peer = try HostilePeer()
      var encoded: [UInt8] = []
      Varint.write(4 * bytes + 3, to: &encoded)
      try peer.expectOut(
        .peerMisbehaved, by: .have(start: 0, length: 1 << 20, bitfield: encoded))
    }
  }

  @Test func `claims of any size cost nothing and schedule only what can be`() throws {
    let peer = try HostilePeer(sparse: false)
    try peer.say(
      .have(start: 0, length: 1 << 50), .have(start: 1 << 52, length: Varint.maximum),
      .have(start: Varint.maximum, length: Varint.maximum),
      .unhave(start: 3, length: 1 << 50), .unhave(start: Varint.maximum, length: Varint.maximum),
      .have(start: 5, length: 1 << 40))
    #expect(!peer.isClosed)
    let requests = peer.heard.filter { if case .request = $0 { true } else { false } }
    #expect(requests.count <= 8192)
    // The liar never answers: others are asked.
    try peer.pass(.seconds(6))
    try peer.expectGoodPeerGoesOn(7)
    #expect(peer.victim.length == 10)
  }

  // MARK: Want

  @Test func `a Want of any size is answered with what there is`() throws {
    let peer = try HostilePeer(serving: true)
    try peer.say(.want(start: 0, length: 1 << 50), .want(start: 8192, length: 1 << 50))
    #expect(!peer.isClosed)
    for case .have(_, _, let bitfield?, _) in peer.heard { #expect(bitfield.count <= 8) }
    #expect(peer.heard.count == 3)
  }

  @Test func `a Want that overflows or starts between pages does no harm`() throws {
    let peer = try HostilePeer(serving: true)
    try peer.say(
      .want(start: Varint.maximum & ~8191, length: Varint.maximum & ~8191),
      .want(start: 5, length: 8192), .want(start: 0, length: 5))
    #expect(!peer.isClosed)
    try peer.say(.want(start: 0, length: 8192))
    #expect(
      peer.heard.contains { if case .have(0, 8192, _?, _) = $0 { true } else { false } })
  }

  @Test func `a flood of Wants that is not read ends the connection`() throws {
    let peer = try HostilePeer(serving: true)
    for region in 0..<1000 as Range<UInt64> where !peer.isClosed {
      try peer.say(.want(start: region * 8192, length: 1 << 28), reading: false)
    }
    #expect(peer.reason?.code == .peerMisbehaved)
    #expect(peer.session.connection.outputCount < 1 << 16)
  }

  // MARK: Request

  @Test func `Requests for what isn't here, or could not be, are answered with Unhave`() throws {
    let peer = try HostilePeer(serving: true)
    for index in [10, 1 << 20, 1 << 40, 1 << 52, Varint.maximum] as [UInt64] {
      for digest in [0, 1, 2, .max] as [UInt64] {
        try peer.say(.request(Request(index: index, nodes: digest)))
        try peer.say(.request(Request(index: index, hash: true, nodes: digest)))
        try peer.say(
          .request(Request(index: index, bytes: 1 << 50, hash: true, nodes: digest)))
      }
    }
    #expect(!peer.isClosed)
    #expect(peer.heard.allSatisfy { if case .unhave = $0 { true } else { false } })
    try peer.say(.request(Request(index: 4, nodes: .max)))
    guard case .data(let data) = peer.heard.last else {
      Issue.record("\(String(describing: peer.heard.last))")
      return
    }
    #expect(data.value == peer.blocks[4])
  }

  @Test func `a flood of Requests that is not read costs the questions, not the answers`() throws {
    let peer = try HostilePeer(serving: true)
    try peer.victim.append([[UInt8](repeating: 1, count: 1 << 20)])
    try peer.replicator.flush()
    peer.disk.reset()
    let request = Message.request(Request(index: 10))
    for _ in 0..<16 { try peer.say([Message](repeating: request, count: 1000), reading: false) }
    #expect(!peer.isClosed)
    #expect(peer.session.connection.outputCount < 1 << 20)
    #expect(peer.disk.calls(.read, "data").isEmpty)
    try peer.say([Message](repeating: request, count: 1000), reading: false)
    #expect(peer.reason?.code == .peerMisbehaved)
  }

  @Test func `Cancels of what was never asked for leave what was`() throws {
    let peer = try HostilePeer(serving: true)
    let indexes = 0..<16_000 as Range<UInt64>
    try peer.say(indexes.map { Message.request(Request(index: $0 % 10)) }, reading: false)
    try peer.say(indexes.map { Message.cancel(index: 10 + $0) }, reading: false)
    try peer.say(indexes.prefix(9).map { Message.cancel(index: $0) }, reading: false)
    try peer.say(.cancel(index: 9, hash: true), .request(Request(index: 2)))
    #expect(!peer.isClosed)
    var answers: [UInt64] = []
    for case .data(let data) in peer.heard { answers.append(data.index) }
    #expect(answers == [UInt64](repeating: 9, count: 1600) + [2])
  }

  @Test func `a peer that reads again gets its answers, as much at once as there is room for`()
    throws
  {
    let peer = try HostilePeer(serving: true)
    let large = [UInt8](repeating: 1, count: 1 << 20)
    try peer.victim.append([large])
    try peer.replicator.flush()
    let request = Message.request(Request(index: 10))
    try peer.say([Message](repeating: request, count: 20), reading: false)
    var most = 0
    var total = 0
    while let bytes = peer.session.takeOutput(now: peer.now), !bytes.isEmpty {
      most = max(most, bytes.count)
      total += bytes.count
    }
    #expect(total > 20 << 20)
    #expect(most < 2 << 20)
  }
}

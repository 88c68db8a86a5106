import DatTesting
import Hypercore
import HypercoreCrypto
import HypercoreProtocol
import Testing

/// Well-formed but hostile messages, from a peer that has the key.
@Suite(.timeLimit(.minutes(1))) struct HostileMessageTests {
  /// A reader with one honest block, and its writer.
  private func reader() async throws -> (writer: Feed, reader: Feed) {
    let writer = try await Feed.inMemory()
    try await writer.append(someBlocks(8))
    let key = try #require(writer.key)
    var options = Feed.Options(key: key)
    options.sparse = true
    let reader = try await Feed.inMemory(options: options)
    try await reader.put(1, someBlocks(8)[1], proof: writer.proof(of: 1))
    return (writer, reader)
  }

  /// Sends a hostile message: the connection ends with a reason, nothing is stored, and an honest
  /// peer is served as before.
  private func expectClosed(_ message: Message, _ label: Comment) async throws {
    let (writer, reader) = try await reader()
    let peer = try await RawPeer(reader)
    try await peer.say(message)
    #expect(await peer.stream.closeReason != nil, label)
    #expect(await reader.downloaded() == 1, label)
    #expect(await reader.length == 8, label)
    try await expectServes(writer, reader)
  }

  private func expectServes(_ writer: Feed, _ reader: Feed) async throws {
    var options = ReplicationOptions.live
    options.timeout = nil
    let (one, other) = (try await writer.replicate(options), try await reader.replicate(options))
    let joined = Task { await join(one, other) }
    #expect(try await reader.get(5) == someBlocks(8)[5])
    await one.close()
    await other.close()
    await joined.value
  }

  @Test func `a bitfield that is no run-length encoding closes`() async throws {
    try await expectClosed(.have(start: 0, length: 1 << 20, bitfield: [0x80]), "cut varint")
    try await expectClosed(.have(start: 0, length: 1 << 20, bitfield: [200, 1, 2]), "cut literal")
  }

  @Test func `a bitfield that starts between multiples of 8192 closes`() async throws {
    try await expectClosed(.have(start: 3, length: 1 << 20, bitfield: [7]), "3")
    try await expectClosed(.have(start: 8, length: 1 << 20, bitfield: [7]), "8")
  }

  @Test func `a run that claims a gigabyte closes`() async throws {
    // 4 * 2^30 + 2 + 1 as a varint: 2^30 bytes of ff.
    try await expectClosed(
      .have(start: 0, length: 1 << 20, bitfield: [0x83, 0x80, 0x80, 0x80, 0x10]), "2^30")
    try await expectClosed(
      .have(
        start: 0, length: 1 << 20,
        bitfield: [0x83, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x04]), "2^49")
  }

  @Test func `claims of 2^50 blocks cost nothing and change nothing`() async throws {
    let (writer, reader) = try await reader()
    let peer = try await RawPeer(reader)
    for start in [0, 1 << 20, 1 << 50] as [UInt64] {
      try await peer.say(
        .have(start: start, length: 1 << 50), .unhave(start: start + 1, length: 1 << 50))
    }
    #expect(await peer.stream.closeReason == nil)
    #expect(await reader.length == 8)
    try await expectServes(writer, reader)
  }

  @Test func `a Want of 2^50 blocks is answered with what there is`() async throws {
    let (writer, _) = try await reader()
    let peer = try await RawPeer(writer)
    let answers = try await peer.say(.want(start: 0, length: 1 << 50))
    for case .have(_, _, let bitfield?, _) in answers { #expect(bitfield.count < 16) }
    #expect(answers.count <= 2)
    #expect(await peer.stream.closeReason == nil)
  }

  @Test func `a Want between multiples of 8192 is not answered`() async throws {
    let (writer, _) = try await reader()
    let peer = try await RawPeer(writer)
    #expect(try await peer.say(.want(start: 1, length: 8192)) == [])
    #expect(try await peer.say(.want(start: 0, length: 100)) == [])
  }

  @Test func `Requests beyond what any feed has end in Unhave`() async throws {
    let (writer, _) = try await reader()
    let peer = try await RawPeer(writer)
    for index in [8, 1 << 32, 1 << 52] as [UInt64] {
      let answers = try await peer.say(
        .request(Request(index: index, bytes: 0, hash: false, nodes: .max)))
      #expect(answers == [.unhave(start: index)])
    }
    // A byte beyond the end is answered like a plain request for the block.
    let answers = try await peer.say(.request(Request(index: 3, bytes: 1 << 50)))
    #expect(answers.count == 1)
    #expect(await peer.stream.closeReason == nil)
  }

  @Test func `more Requests than are taken close, unanswered ones costing no block`() async throws {
    let writer = try await Feed.inMemory()
    try await writer.append([[UInt8](repeating: 1, count: 1 << 20)])
    let peer = try await RawPeer(writer)
    for _ in 0..<20_000 {
      try peer.connection.send(.request(Request(index: 0)), on: peer.channel)
    }
    await peer.stream.receive(peer.connection.takeOutput())
    #expect(await peer.stream.closeReason != nil)
  }

  @Test func `Data with neither block nor nodes closes`() async throws {
    try await expectClosed(.data(DataMessage(index: 0)), "index 0")
    try await expectClosed(.data(DataMessage(index: 1 << 52)), "2^52")
  }

  @Test func `blocks that nobody asked for are not stored`() async throws {
    let (writer, reader) = try await reader()
    let proof = try await writer.proof(of: 3)
    let peer = try await RawPeer(reader)
    try await peer.say(
      .data(
        DataMessage(
          index: 3, value: someBlocks(8)[3], nodes: proof.nodes, signature: proof.signature)))
    #expect(await reader.has(3) == false)
  }

  @Test func `a wrong block for a Request closes and stores nothing`() async throws {
    let (writer, reader) = try await reader()
    let peer = try await RawPeer(reader)
    let waiting = Task { try await reader.get(6) }
    var heard: [Message] = []
    while true {
      heard += try await peer.say(.have(start: 0, length: 8))
      let requests = heard.compactMap {
        if case .request(let request) = $0 { request } else { nil }
      }
      if requests.contains(where: { !$0.hash }) { break }
      heard = []
      for request in requests {
        // The first question is answered as it should be.
        let block = try await writer.get(request.index)
        let proof = try await writer.proof(of: request.index)
        let leaf = Node(
          index: 2 * request.index, hash: TreeHash.leaf(block), size: UInt64(block.count))
        heard += try await peer.say(
          .data(
            DataMessage(
              index: request.index, nodes: [leaf] + proof.nodes, signature: proof.signature)))
      }
      await Task.yield()
    }
    let proof = try await writer.proof(of: 6)
    try await peer.say(
      .data(
        DataMessage(
          index: 6, value: Array("forged".utf8), nodes: proof.nodes, signature: proof.signature)))
    #expect(await peer.stream.closeReason != nil)
    #expect(await reader.has(6) == false)
    try await expectServes(writer, reader)
    waiting.cancel()
    _ = try? await waiting.value
  }
}

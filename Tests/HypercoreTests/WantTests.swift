import DatCoding
import DatTesting
import Hypercore
import HypercoreCrypto
import HypercoreProtocol
import Testing

/// A feed's answers to single messages, from a peer that sends exactly those.
@Suite struct WantTests {
  private func feed(_ count: Int = 20) async throws -> Feed {
    let feed = try await Feed.inMemory()
    try await feed.append(someBlocks(count))
    return feed
  }

  @Test func `a Want is answered with the last block and a bitfield of the region`() async throws {
    let feed = try await feed()
    try await feed.clear(3..<5)
    let peer = try await RawPeer(feed)
    let answers = try await peer.say(.want(start: 0, length: 8192))
    #expect(answers.first == .have(start: 19))
    guard case .have(0, 8192, let encoded?, _) = answers.last else {
      Issue.record("\(answers)")
      return
    }
    let bits = try BitfieldRLE.decode(encoded, limit: 1024)
    #expect(bits == [0b1110_0111, 0xff, 0b1111_0000])
  }

  @Test func `who sent a Want hears of blocks that come and go, others don't`() async throws {
    let feed = try await feed()
    let peer = try await RawPeer(feed)
    try await feed.append(someBlocks(20..<22))
    #expect(try await peer.say() == [])
    try await peer.say(.want(start: 0, length: 8192))
    try await feed.append(someBlocks(22..<24))
    try await feed.clear(1..<3)
    #expect(try await peer.say() == [.have(start: 22, length: 2), .unhave(start: 1, length: 2)])
  }

  @Test func `a Request is answered with Data, its proof and signature`() async throws {
    let feed = try await feed()
    let peer = try await RawPeer(feed)
    for answer in try await peer.say(
      .request(Request(index: 4)), .request(Request(index: 9, hash: true)))
    {
      guard case .data(let data) = answer else {
        Issue.record("\(answer)")
        continue
      }
      #expect(data.value == (data.index == 4 ? someBlocks(20)[4] : nil))
      #expect(!data.nodes.isEmpty)
    }
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    guard
      case .data(let data) = peer.heard.last(where: {
        if case .data(let data) = $0 { data.index == 4 } else { false }
      })
    else { return }
    try await copy.put(
      4, try #require(data.value), proof: Proof(nodes: data.nodes, signature: data.signature))
    #expect(await copy.length == 20)
  }

  @Test func `blocks that are requested together are read at once`() async throws {
    let disk = TrackingStorage()
    let feed = try await Feed.open(storage: disk)
    try await feed.append(someBlocks(20))
    let peer = try await RawPeer(feed)
    disk.reset()
    let answers = try await peer.say(
      .request(Request(index: 10)), .request(Request(index: 11)), .request(Request(index: 12)),
      .request(Request(index: 15)))
    var blocks: [UInt64: [UInt8]] = [:]
    for case .data(let data) in answers { blocks[data.index] = data.value }
    #expect(blocks.keys.sorted() == [10, 11, 12, 15])
    for (index, block) in blocks { #expect(block == someBlocks(20)[Int(index)]) }
    #expect(disk.calls(.read, "data").count == 2)
  }

  @Test func `a Request for a byte is answered with its block`() async throws {
    let feed = try await feed()
    let position = try await feed.seek(100)
    let peer = try await RawPeer(feed)
    let answers = try await peer.say(.request(Request(index: 0, bytes: 100, hash: true)))
    guard case .data(let data) = answers.first else {
      Issue.record("\(answers)")
      return
    }
    #expect(data.index == position.block && data.value == nil)
  }

  @Test func `a Request for what isn't here is answered with Unhave`() async throws {
    let feed = try await feed()
    try await feed.clear(5..<6)
    let peer = try await RawPeer(feed)
    let answers = try await peer.say(.request(Request(index: 5)))
    #expect(answers.first == .unhave(start: 5))
    #expect(
      answers.dropFirst().allSatisfy {
        if case .data(let data) = $0 { data.value == nil } else { false }
      })
    #expect(try await peer.say(.request(Request(index: 99))) == [.unhave(start: 99)])
  }

  @Test func `a Cancel takes a Request back, an Unwant a Want`() async throws {
    let peer = try await RawPeer(try await feed())
    let answers = try await peer.say(
      .request(Request(index: 1)), .request(Request(index: 2)),
      .cancel(index: 1, bytes: 0, hash: false),
      .want(start: 0, length: 8192), .want(start: 8192, length: 8192),
      .unwant(start: 0, length: 8192))
    var blocks: [UInt64] = []
    var regions: [UInt64] = []
    for answer in answers {
      switch answer {
      case .data(let data): blocks.append(data.index)
      case .have(let start, _, _?, _): regions.append(start)
      default: break
      }
    }
    #expect(blocks == [2])
    #expect(regions == [8192])
  }

  @Test func `a side that only downloads says that it gives nothing, and answers no Requests`()
    async throws
  {
    var options = ReplicationOptions.live
    options.upload = false
    let peer = try await RawPeer(try await feed(), options)
    let answers = try await peer.say(
      .want(start: 0, length: 8192), .request(Request(index: 1)))
    guard case .have(start: 0, _, let bitfield?, _)? = answers.first, answers.count == 1 else {
      Issue.record("\(answers)")
      return
    }
    #expect(bitfield.isEmpty)
  }
}

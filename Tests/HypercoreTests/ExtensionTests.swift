import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

@testable import Hypercore

@Suite(.timeLimit(.minutes(1))) struct ExtensionTests {
  private func pair(_ mine: [String], _ theirs: [String]) async throws -> (
    ReplicationStream, ReplicationStream, DiscoveryKey
  ) {
    let feed = try await Feed.inMemory()
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    var options = ReplicationOptions.live
    options.extensions = mine
    let one = try await feed.replicate(options)
    options.extensions = theirs
    let other = try await copy.replicate(options)
    return (one, other, try #require(feed.discoveryKey))
  }

  @Test func `messages of an extension go both ways, in order`() async throws {
    let (one, other, name) = try await pair(["chat", "zoo"], ["alpha", "chat"])
    let (ours, theirs) = (await one.extensionMessages(), await other.extensionMessages())
    let joined = Task { await join(one, other) }
    _ = await one.handshake()
    _ = await other.handshake()
    #expect(await one.peerSupports(extension: "chat"))
    #expect(await one.peerSupports(extension: "zoo") == false)
    for number in 0..<100 as Range<UInt8> {
      try await one.send(extension: "chat", payload: [number])
    }
    // Spoken by one side only: the other side ignores it.
    try await one.send(extension: "zoo", payload: [1])
    try await other.send(extension: "chat", payload: [], feed: name)
    var iterator = theirs.makeAsyncIterator()
    for number in 0..<100 as Range<UInt8> {
      #expect(
        await iterator.next() == ExtensionMessage(name: "chat", payload: [number], feed: name))
    }
    var back = ours.makeAsyncIterator()
    #expect(await back.next() == ExtensionMessage(name: "chat", payload: [], feed: name))
    await #expect(throws: ProtocolError.self) {
      try await one.send(extension: "unknown", payload: [])
    }
    await expectFailure(.closed) {
      try await one.send(
        extension: "chat", payload: [], feed: KeyPair.generate().publicKey.discoveryKey)
    }
    await one.close()
    await other.close()
    await joined.value
    #expect(await iterator.next() == nil)
    #expect(await back.next() == nil)
  }

  @Test func `a reader that doesn't read holds its peer up, and gets everything`() async throws {
    let (one, other, _) = try await pair(["chat"], ["chat"])
    let messages = await other.extensionMessages()
    let count = 4 * ExtensionQueue.messageLimit
    // The transport, by hand: one frame at a time.
    let hello = try #require(await one.nextOutput())
    await other.receive(hello)
    await one.receive(try #require(await other.nextOutput()))
    let carrying = Task {
      for number in 0..<count {
        try await one.send(extension: "chat", payload: [UInt8(number & 255), UInt8(number >> 8)])
        guard let bytes = await one.nextOutput() else { return }
        await other.receive(bytes)
      }
    }
    while !other.extensionQueue.isFull { await Task.yield() }
    for _ in 0..<200 { await Task.yield() }
    #expect(other.extensionQueue.pendingCount <= ExtensionQueue.messageLimit)
    var iterator = messages.makeAsyncIterator()
    for number in 0..<count {
      let message = try #require(await iterator.next())
      #expect(message.payload == [UInt8(number & 255), UInt8(number >> 8)])
    }
    try await carrying.value
    await one.close()
    await other.close()
  }

  @Test func `a peer that is held up is let go of when the connection closes, or nobody reads`()
    async throws
  {
    for closes in [true, false] {
      let (one, other, _) = try await pair(["chat"], ["chat"])
      var messages: ExtensionMessages? = await other.extensionMessages()
      await other.receive(try #require(await one.nextOutput()))
      for _ in 0..<ExtensionQueue.messageLimit {
        try await one.send(extension: "chat", payload: [])
      }
      let bytes = try #require(await one.nextOutput())
      let receiving = Task { await other.receive(bytes) }
      while !other.extensionQueue.isFull { await Task.yield() }
      if closes { await other.close() } else { messages = nil }
      await receiving.value
      _ = messages
      await one.close()
      await other.close()
    }
  }

  @Test func `without a reader messages go nowhere`() async throws {
    let (one, other, _) = try await pair(["chat"], ["chat"])
    await other.receive(try #require(await one.nextOutput()))
    for _ in 0..<1000 { try await one.send(extension: "chat", payload: [1, 2, 3]) }
    await other.receive(try #require(await one.nextOutput()))
    #expect(other.extensionQueue.pendingCount == 0)
    await one.close()
    await other.close()
  }
}

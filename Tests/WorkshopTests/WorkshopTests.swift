import DatSwarm
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Workshop

/// The checks that the exercises of the workshop come with.
@Suite(.timeLimit(.minutes(1))) struct WorkshopTests {
  @Test func `exercise 2: the feed is in memory and begins with the object`() async throws {
    let storage = MemoryStorage()
    let log = try await makeLog(in: storage)
    #expect(storage.names.contains("data") && storage.names.contains("key"))
    #expect(try await log.get(0) == Dataset(title: "dat-is-freedom"))
    // The bytes are those that the reference's JSON encoding writes.
    #expect(try await log.feed.get(0, as: .utf8) == #"{"title":"dat-is-freedom"}"# + "\n")
    #expect(try await makeLog().feed.length == 1)
  }

  @Test func `exercise 3: a reader has both keys and can't write`() async throws {
    let feed = try await Feed.inMemory()
    let expected = Keys(
      publicKey: try #require(feed.key).hex, discoveryKey: try #require(feed.discoveryKey).hex)
    #expect(try await keys(of: expected.publicKey) == expected)
    #expect(try await keys(of: "no key") == nil)
    let reader = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    #expect(await !reader.isWritable)
  }

  @Test func `exercise 4: what another wrote is replicated and read`() async throws {
    let feed = try await Feed.inMemory()
    for word in ["dat", "is", "the", "future"] { try await feed.append(word, as: .utf8) }
    let found = try await messages(of: #require(feed.key), from: feed.replicate())
    #expect(found.joined(separator: " ") == "dat is the future")
  }

  private func chat(_ username: String = "peti") async throws -> Chat {
    try await Chat(storage: MemoryStorage(), username: username)
  }

  @Test func `exercise 5: a chat has a database, a name, and neither users nor messages`()
    async throws
  {
    let chat = try await chat()
    #expect(await chat.db.feedCount == 1)
    #expect(await chat.users.isEmpty)
    #expect(await chat.messages.isEmpty)
    #expect(chat.username == "peti")
    #expect(chat.timestamp > 1_700_000_000_000)
  }

  @Test func `exercise 6: two messages written at once are read back by their keys`() async throws {
    let chat = try await chat()
    async let one = chat.writeMessage("hi")
    async let other = chat.writeMessage("how are you?")
    var texts: [String] = []
    for key in try await [one, other] {
      let values = try await chat.db.get(key, as: .json(Chat.Message.self))
      #expect(values.count == 1)
      #expect(values.first?.key == key && values.first?.username == "peti")
      texts += values.map(\.message)
    }
    #expect(texts.joined(separator: " ") == "hi how are you?")
  }

  @Test func `exercise 7: messages are there once written, and the next one is told`() async throws
  {
    let chat = try await chat()
    await chat.initialize()
    async let one = chat.writeMessage("message1")
    async let other = chat.writeMessage("message2")
    _ = try await [one, other]
    #expect(Set(await chat.messages.values.map(\.message)) == ["message1", "message2"])
    var events = await chat.events().makeAsyncIterator()
    try await chat.writeMessage("hi")
    guard case .message(let message)? = await events.next() else {
      Issue.record("no message")
      return
    }
    #expect(message.message == "hi")
  }

  @Test func `exercise 8: a key is authorized, and again without harm`() async throws {
    let chat = try await chat()
    await chat.initialize()
    let key = KeyPair.generate().publicKey
    #expect(try await chat.authorize(key) == "AUTHORIZED")
    let length = await chat.db.feeds.first?.length
    #expect(try await chat.authorize(key) == "AUTHORIZED")
    #expect(await chat.db.feeds.first?.length == length)
    #expect(await chat.db.isAuthorized(key))
  }

  private struct MockPeer: Peer {
    var data: String?
    var remoteUserData: [UInt8]? { data.map { Array($0.utf8) } }
    func untilEnded() async {}
  }

  @Test func `exercise 9: whoever connects is authorized`() async throws {
    let chat = try await chat()
    await chat.initialize()
    let key = KeyPair.generate().publicKey
    let numbers = key.bytes.map(String.init).joined(separator: ",")
    let data =
      #"{"username":"test","key":{"type":"Buffer","data":[\#(numbers)]},"timestamp":1543000000000}"#
    try await chat.connect(MockPeer(data: data))
    #expect(await chat.db.isAuthorized(key))
    for bad in [
      nil, "", "{}", #"{"username":"x","key":{"type":"Buffer","data":[1,2]},"timestamp":1}"#,
    ] {
      await #expect(throws: (any Error).self) { try await chat.connect(MockPeer(data: bad)) }
    }
    // Nobody writes the feed of that key, so there is none yet.
    #expect(await chat.db.feedCount == 1)
  }

  @Test func `exercise 9: two chats meet through a swarm and talk`() async throws {
    let swarms = [Swarm(), Swarm()]
    let address = try await swarms[0].listen(host: "127.0.0.1", port: 0)
    let ana = try await startChat(username: "ana", swarm: swarms[0])
    let events = await ana.events()
    try await ana.writeMessage("anybody there?")
    let bea = try await startChat(username: "bea", key: ana.db.key, swarm: swarms[1])
    await swarms[1].connect(to: address, about: bea.db.discoveryKey)
    while await bea.messages.isEmpty { await Task.yield() }
    while await !bea.db.isLocalAuthorized { await Task.yield() }
    try await bea.writeMessage("here I am")
    var came: [String] = []
    for await event in events {
      if case .join(let user) = event { came.append(user.username) }
      if case .message(let message) = event, message.message == "here I am" { break }
    }
    #expect(came == ["bea"])
    #expect(await ana.users.keys.sorted() == ["bea"])
    for swarm in swarms { await swarm.close() }
  }
}

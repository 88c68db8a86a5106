import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Saga

/// A message belongs to the feed that holds it.
@Suite(.timeLimit(.minutes(1))) struct MessageOwnershipTests {
  /// Returns a key pair whose public key comes before another key.
  private func keyPair(before key: PublicKey) -> KeyPair {
    while true {
      let pair = KeyPair.generate()
      if pair.publicKey.bytes.lexicographicallyPrecedes(key.bytes) { return pair }
    }
  }

  private func forged(_ text: String, _ key: String, time: Int64) -> [UInt8] {
    MessageContent(text: text, username: "ana", timestamp: time).value(key: key)
  }

  @Test(arguments: [false, true])
  func `entries of another feed change nothing of a message, here, elsewhere and after a restart`(
    knowsIt: Bool
  ) async throws {
    let folder = try TemporaryFolder()
    var options = SagaOptions()
    options.now = { 1_000 }
    var ana = try await Saga.open(folder: folder.path, username: "ana", options: options)
    let mine = try await ana.writeMessage("mine")
    var settings = HyperDBOptions()
    settings.localKeyPair = keyPair(before: ana.key)
    settings.isNew = true
    settings.update = false
    let evil = try await HyperDB.open(MemoryStorage(), key: ana.key, options: settings)
    try await ana.authorize(evil.localKey)
    if knowsIt { try await sync(ana, evil) }
    // Since they have not met, its clock knows nothing of the message.
    try await evil.put(mine.key, forged("forged", mine.key, time: 1_000))
    try await evil.put(mine.key, forged("forged again", mine.key, time: 1_000))
    try await evil.put("messages/other", [])
    try await evil.delete("messages/never/written")
    try await sync(ana, evil)
    let bea = try await Saga.open(storage: MemoryStorage(), key: ana.key, username: "bea")
    try await sync(bea, evil, until: 2)
    func check(_ room: Saga) async {
      let messages = await room.messages
      #expect(messages.map(\.text) == ["forged again", "mine"])
      #expect(messages.map(\.feed) == [evil.localKey, ana.key])
      #expect(messages.map(\.sharesKey) == [true, true])
      #expect(messages.map(\.isEdited) == [true, false])
      #expect(await room.message(mine)?.text == "mine")
    }
    await check(ana)
    await check(bea)
    await ana.close()
    ana = try await Saga.open(folder: folder.path, username: "ana", options: options)
    await check(ana)

    // The other feed deletes only its own message; the mark goes with it.
    try await evil.delete(mine.key)
    try await sync(ana, evil, until: 1)
    #expect(await ana.messages.map(\.text) == ["mine"])
    #expect(await ana.message(mine)?.sharesKey == false)
    // The author's own edit and deletion count, though a lookup finds the key deleted by another.
    try await ana.edit(mine, to: "mine, edited")
    #expect(await ana.messages.map(\.text) == ["mine, edited"])
    try await evil.delete(mine.key)
    try await sync(ana, evil, until: 1)
    try await ana.delete(mine)
    #expect(await ana.messages.isEmpty)
    await ana.close()
    await bea.close()
    await evil.close()
  }

  /// Connects two databases until a room has everything, and this many messages.
  private func sync(_ room: Saga, _ db: HyperDB, until count: Int? = nil) async throws {
    let (left, right) = (
      try await room.db.replicate(.live), try await db.replicate(.live)
    )
    let joined = Task { await join(left, right) }
    // Both have the same of each writer: a peer that has not announced anything yet counts as one that has no more.
    func stored(_ db: HyperDB) async -> [PublicKey: UInt64] {
      let writers = await db.feeds.filter(\.isAuthorized)
      return Dictionary(uniqueKeysWithValues: writers.map { ($0.key, $0.storedLength) })
    }
    while true {
      let isEqual = await stored(room.db) == stored(db)
      let isRead = await room.isCaughtUp
      let messages = await room.messageCount
      if isEqual, isRead, count.map({ $0 == messages }) ?? true { break }
      try await Task.sleep(for: .milliseconds(2))
    }
    await left.close()
    await right.close()
    await joined.value
  }

  @Test func `only one's own messages are edited and deleted, and nothing is written otherwise`()
    async throws
  {
    let ana = try await Saga.open(storage: MemoryStorage(), username: "ana")
    let bea = try await Saga.open(storage: MemoryStorage(), key: ana.key, username: "bea")
    let mine = try await ana.writeMessage("mine")
    let theirs = try await bea.writeMessage("theirs")
    let gone = try await ana.writeMessage("gone")
    try await ana.delete(gone)
    let before = await ana.db.feeds
    for id in [
      theirs, gone, Message.ID(key: mine.key, feed: bea.db.localKey),
      Message.ID(key: "messages/none", feed: ana.key), Message.ID(key: "", feed: ana.key),
    ] {
      for change in [{ try await ana.edit($0, to: "x") }, { try await ana.delete($0) }]
        as [(Message.ID) async throws -> Void]
      {
        do {
          try await change(id)
          Issue.record("\(id) was changed")
        } catch let error as SagaError { #expect(error.code == .noMessage) }
      }
    }
    #expect(await ana.db.feeds == before)
    try await ana.edit(mine, to: "mine, edited")
    #expect(await ana.messages.map(\.text) == ["mine, edited"])
  }

  @Test func `the name of a message goes into JSON and back, text or not`() throws {
    let feed = KeyPair.generate().publicKey
    let names = [
      Message.ID(key: "messages/a/0", feed: feed), Message.ID(keyBytes: [0xff, 0], feed: feed),
      Message.ID(key: "e\u{301}", feed: feed), Message.ID(key: "\u{e9}", feed: feed),
    ]
    #expect(Set(names).count == 4)
    for name in names {
      let data = try JSONEncoder().encode(name)
      #expect(try JSONDecoder().decode(Message.ID.self, from: data) == name)
    }
    for bad in [#"{"key":"a"}"#, #"{"key":"a","feed":"12"}"#, #"{"keyHex":"1","feed":"\#(feed)"}"#]
    {
      #expect(throws: DecodingError.self) {
        try JSONDecoder().decode(Message.ID.self, from: Data(bad.utf8))
      }
    }
  }
}

import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Saga

@Suite(.timeLimit(.minutes(2))) struct RoomIndexFileTests {
  /// Makes a room of two writers in a folder, with edits, deletions and entries that are no messages.
  private func room(_ folder: TemporaryFolder, messages: Int = 60) async throws -> PublicKey {
    let ana = try await Saga.open(folder: folder.path + "/ana", username: "ana")
    let bea = try await Saga.open(
      folder: folder.path + "/bea", key: ana.key, username: "bea")
    try await ana.authorize(bea.db.localKey)
    var ids: [Message.ID] = []
    for number in 0..<messages {
      ids.append(try await (number % 3 == 0 ? bea : ana).writeMessage("message \(number)"))
    }
    try await ana.edit(ids[1], to: "edited")
    try await ana.delete(ids[2])
    try await bea.delete(ids[3])
    try await ana.db.put("messages/bad", [1])
    try await ana.db.put(
      "messages/" + String(repeating: "long", count: 60), Array(#"{"message":"l"}"#.utf8))
    try await sync(ana, bea)
    let key = ana.key
    await ana.close()
    await bea.close()
    return key
  }

  private func sync(_ one: Saga, _ other: Saga) async throws {
    let (left, right) = (try await one.replicate(), try await other.replicate())
    let joined = Task { await join(left, right) }
    // Both have all that both wrote: the numbers alone may be equal on the way.
    while true {
      let (isHere, isThere) = (await one.db.isSynced, await other.db.isSynced)
      let (isRead, isReadThere) = (await one.isCaughtUp, await other.isCaughtUp)
      let ids = (await one.messages.map(\.id), await other.messages.map(\.id))
      if isHere, isThere, isRead, isReadThere, Set(ids.0) == Set(ids.1), ids.0.count > 1 { break }
      try await Task.sleep(for: .milliseconds(5))
    }
    await left.close()
    await right.close()
    await joined.value
  }

  /// Returns the messages of the room without its index.
  private func shown(_ folder: String) async throws -> [Message] {
    var options = SagaOptions()
    options.keepsIndexFile = false
    let saga = try await Saga.open(folder: folder, username: "any", options: options)
    let messages = await saga.messages
    await saga.close()
    return messages
  }

  private func usesIndex(_ folder: String) throws -> Bool {
    RoomIndexFile(FolderStorage(path: folder), .messages).read() != nil
  }

  @Test func `messages of a feed that loses its place go, and its index is used all the same`()
    async throws
  {
    let folder = try TemporaryFolder()
    _ = try await room(folder)
    let path = "\(folder.path)/ana"
    let saga = try await Saga.open(folder: path, username: "ana")
    let before = await saga.messages
    let bea = try #require(before.first { $0.username == "bea" }).feed
    let events = saga.events(stored: .none)
    _ = await saga.handle(.left(bea))
    for await event in events { if event == .feedGone(bea) { break } }
    #expect(await saga.messages == before.filter { $0.feed != bea })
    #expect(await saga.authors.allSatisfy { $0.feed != bea })
    await saga.writeIndex()
    let stored = try #require(RoomIndexFile(FolderStorage(path: path), .messages).read())
    #expect(stored.feeds[bea] == nil)
    #expect(stored.index.count == before.count { $0.feed != bea })
    await saga.close()
    // The feed has its place: it is read again, and nothing else is.
    let again = try await Saga.open(folder: path, username: "ana")
    #expect(await again.messages == before)
    let own = try #require(await again.taken[again.db.localKey])
    #expect(await again.loaded < own)
    await again.close()
  }

  @Test func `a feed that lost its place while the room was closed is no part of its index`()
    async throws
  {
    let folder = try TemporaryFolder()
    _ = try await room(folder)
    let path = "\(folder.path)/ana"
    let before = try await shown(path)
    let file = RoomIndexFile(FolderStorage(path: path), .messages)
    var stored = try #require(file.read())
    let gone = PublicKey(bytes: [UInt8](repeating: 7, count: 32))!
    let added = stored.index.add(
      RoomIndex.Entry(
        key: Array("messages/gone".utf8), feed: gone, seq: 3, timestamp: 1, isDeletion: false))
    #expect(added != .none)
    stored.feeds[gone] = KnownFeed(length: 4, treeHash: Digest(), lists: [])
    try file.write(stored.index, stored.feeds)
    let saga = try await Saga.open(folder: path, username: "ana")
    #expect(await saga.messageCount == before.count)
    #expect(await saga.messages == before)
    #expect(await saga.loaded == 0, "nothing is read again")
    await saga.close()
    #expect(file.read()?.feeds[gone] == nil)
  }

  @Test func `a room opens from its index as it was`() async throws {
    let folder = try TemporaryFolder()
    _ = try await room(folder)
    for name in ["ana", "bea"] {
      let path = "\(folder.path)/\(name)"
      #expect(try usesIndex(path))
      let expected = try await shown(path)
      let saga = try await Saga.open(folder: path, username: name)
      #expect(await saga.loaded == 0)
      #expect(await saga.messages == expected)
      #expect(expected.count == 59 && expected.contains { $0.text == "edited" && $0.isEdited })
      #expect(await saga.db.feedCount == 2)
      let written = try await saga.writeMessage("after")
      #expect(await saga.message(written)?.text == "after")
      await saga.close()
      #expect(try await shown(path).last?.text == "after")
      #expect(try usesIndex(path))
    }
  }

  @Test func `what came since the index was written is read, and nothing twice`() async throws {
    let folder = try TemporaryFolder()
    _ = try await room(folder)
    let path = folder.path + "/ana"
    let index = try Data(contentsOf: URL(fileURLWithPath: path + "/room-index"))
    var saga = try await Saga.open(folder: path, username: "ana")
    for number in 0..<5 { try await saga.writeMessage("later \(number)") }
    await saga.close()
    try index.write(to: URL(fileURLWithPath: path + "/room-index"))
    let expected = try await shown(path)
    saga = try await Saga.open(folder: path, username: "ana")
    #expect(await saga.messages == expected && expected.count == 64)
    #expect(await saga.loaded == 5)
    await saga.close()
  }

  @Test func `an index that is damaged anywhere is not used`() async throws {
    let folder = try TemporaryFolder()
    _ = try await room(folder)
    let path = folder.path + "/ana"
    let file = URL(fileURLWithPath: path + "/room-index")
    let good = try Data(contentsOf: file)
    let expected = try await shown(path)
    var random = SeededRandom(seed: 7)
    for _ in 0..<200 {
      var bad = good
      if random.chance(0.2) {
        bad = bad.prefix(Int.random(in: 0..<bad.count, using: &random))
      } else if random.chance(0.2) {
        bad.append(0)
      } else {
        bad[Int.random(in: 0..<bad.count, using: &random)] ^= UInt8.random(
          in: 1...255, using: &random)
      }
      try bad.write(to: file)
      #expect(try !usesIndex(path))
    }
    let saga = try await Saga.open(folder: path, username: "ana")
    #expect(await saga.messages == expected)
    await saga.close()
    #expect(try usesIndex(path))
  }

  @Test func `contents that no writer makes are refused, though the hashes fit`() async throws {
    var random = SeededRandom(seed: 11)
    let feed = KeyPair.generate().publicKey
    var index = RoomIndex()
    for seq in 1...50 as ClosedRange<UInt64> {
      _ = index.add(
        .init(
          key: Array("messages/a/\(seq)".utf8), feed: feed, seq: seq, timestamp: Int64(seq),
          isDeletion: false))
    }
    let known = [feed: KnownFeed(length: 51, treeHash: Digest(), lists: [1])]
    let storage = MemoryStorage()
    let file = RoomIndexFile(storage, .messages)
    try file.write(index, known)
    #expect(file.read()?.index.count == 50)
    #expect(RoomIndexFile(storage, .operations).read() == nil)
    let bytes = try storage.storage(named: RoomIndexFile.name)
    var good = [UInt8](repeating: 0, count: Int(try bytes.length()))
    _ = try good.withUnsafeMutableBytes { try bytes.read(at: 0, into: $0) }
    for _ in 0..<2_000 {
      var bad = good
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        bad[Int.random(in: 56..<bad.count, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
      }
      // With hashes that fit.
      let piece = TreeHash.leaf(Array(bad[56...]))
      bad.replaceSubrange(24..<56, with: TreeHash.leaf(piece.bytes).bytes)
      try bytes.write([StorageWrite(offset: 0, bytes: bad)])
      // Whether or not it reads as an index, it must neither trap nor be out of order.
      guard let read = file.read()?.index else { continue }
      var place = read.order.start
      var before: UInt32?
      while let number = read.order.next(&place) {
        if let before { #expect(read.comparison.precedes(before, number)) }
        before = number
      }
    }
  }

  @Test func `an index of another history is not used`() async throws {
    let folder = try TemporaryFolder()
    _ = try await room(folder)
    let other = try TemporaryFolder()
    let saga = try await Saga.open(folder: other.path, username: "ana")
    for number in 0..<100 { try await saga.writeMessage("other \(number)") }
    await saga.close()
    let index = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/ana/room-index"))
    try index.write(to: URL(fileURLWithPath: other.path + "/room-index"))
    let again = try await Saga.open(folder: other.path, username: "ana")
    #expect(Set(await again.messages.map(\.text)) == Set((0..<100).map { "other \($0)" }))
    await again.close()
  }

  @Test func `a room that is killed has lost nothing but time`() async throws {
    let folder = try TemporaryFolder()
    let saga = try await Saga.open(folder: folder.path, username: "ana")
    for number in 0..<1_200 { try await saga.writeMessage("message \(number)") }
    // Written while the room goes on, and as it is left without being closed.
    #expect(try usesIndex(folder.path))
    let copies = try TemporaryFolder()
    let copy = copies.path + "/room"
    try FileManager.default.copyItem(atPath: folder.path, toPath: copy)
    await saga.close()
    let again = try await Saga.open(folder: copy, username: "ana")
    #expect(await again.messageCount == 1_200)
    #expect(await again.loaded < 300)
    await again.close()
  }

  @Test func `an examination says whether the index fits, and empties one that doesn't`()
    async throws
  {
    let folder = try TemporaryFolder()
    _ = try await room(folder)
    let path = folder.path + "/bea"
    let storage = FolderStorage(path: path)
    #expect(try await Saga.examineIndex(storage) == .usable(messages: 59))
    let file = URL(fileURLWithPath: path + "/room-index")
    var bytes = try Data(contentsOf: file)
    bytes[100] ^= 1
    try bytes.write(to: file)
    #expect(try await Saga.examineIndex(storage) == .unusable)
    #expect(try Data(contentsOf: file) == bytes)
    #expect(try await Saga.examineIndex(storage, removing: true) == .unusable)
    #expect(try await Saga.examineIndex(storage) == .missing)
    // The index of another room.
    let other = try TemporaryFolder()
    let saga = try await Saga.open(folder: other.path, username: "eve")
    try await saga.writeMessage("another room")
    await saga.close()
    try Data(contentsOf: URL(fileURLWithPath: other.path + "/room-index")).write(to: file)
    #expect(try await Saga.examineIndex(storage, removing: true) == .unusable)
    let again = try await Saga.open(folder: path, username: "bea")
    #expect(await again.messageCount == 59)
    await again.close()
    #expect(try await Saga.examineIndex(storage) == .usable(messages: 59))
  }

  @Test func `a folder that can't be written keeps no index, and the room goes on`() async throws {
    let folder = try TemporaryFolder()
    _ = try await room(folder)
    let path = folder.path + "/ana"
    try FileManager.default.removeItem(atPath: path + "/room-index")
    let expected = try await shown(path)
    let saga = try await Saga.open(
      storage: FolderStorage(path: path, access: .readOnly), username: "ana")
    #expect(await saga.messages == expected)
    await saga.close()
    #expect(!FileManager.default.fileExists(atPath: path + "/room-index"))
  }
}

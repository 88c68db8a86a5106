import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Saga

@Suite(.timeLimit(.minutes(1))) struct HugeKeyTests {
  private func key(bytes: Int) -> String {
    "messages/" + String(repeating: "x", count: bytes - "messages/".utf8.count)
  }

  @Test func `entries under huge keys are passed over, and the room goes on`() async throws {
    let largest = key(bytes: HyperDBLimits.keyBytes)
    let huge = [key(bytes: HyperDBLimits.keyBytes + 1), key(bytes: 1 << 20)]
    let pair = KeyPair.generate()
    // One readable entry, one unreadable, and one to wait for at the end.
    let entries: [(key: String, value: [UInt8])] = [
      ("messages/a", message("before", time: 1)), (huge[0], message("huge", time: 2)),
      (huge[1], [0xee]), (largest, message("large", time: 3)), (huge[1], message("huge", time: 4)),
    ]
    let blocks = entries.enumerated().map { index, entry -> [UInt8] in
      var message = EntryMessage(key: Array(entry.key.utf8), value: entry.value)
      message.clock = [UInt64(index) + 2]
      message.inflate = 1
      if index == 0 { message.feeds = [pair.publicKey.bytes] }
      return EntryMessageCodec().encode(message)
    }
    let storage = MemoryStorage()
    var options = Feed.Options(keyPair: pair, isNew: true)
    options.prefix = "source/"
    options.storeSecretKey = false
    let feed = try await Feed.open(storage: storage, options: options)
    try await feed.append([EntryMessageCodec.header] + blocks)
    try await feed.close()

    let saga = try await Saga.open(storage: storage, key: pair.publicKey, username: "ana")
    #expect(await saga.messages.map(\.text) == ["before", "large"])
    #expect(await saga.messageCount == 2)
    #expect(await saga.isCaughtUp)
    for key in huge {
      #expect(await saga.message(Message.ID(key: key, feed: pair.publicKey)) == nil)
    }
    let written = try await saga.writeMessage("after")
    #expect(await saga.messages.map(\.text) == ["before", "large", "after"])
    #expect(await saga.message(written)?.text == "after")
    await saga.close()
  }

  private func message(_ text: String, time: Int64) -> [UInt8] {
    MessageContent(text: text, username: "eve", timestamp: time).value(key: "messages/any")
  }
}

import DatTesting
import HyperDB
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Saga

/// Text that is slow for any code that normalises it: a minute and more for each megabyte, if any does.
@Suite(.serialized) struct SlowTextTests {
  /// The limit for a few megabytes in a debug build; they take well under a second.
  private let limit = isSanitized ? 120.0 : 12.0

  @Test
  func
    `a megabyte of marks in any field is read, found, edited and read at later starts in linear time`()
    async throws
  {
    let storage = MemoryStorage()
    let slow = slowText(bytes: 1_000_000)
    let text = slowText(bytes: 60_000)
    let writing = try await processTime {
      let saga = try await Saga.open(storage: storage, username: text)
      for (number, value) in [
        #"{"message":"\#(slow)","username":"x"}"#, #"{"message":"x","username":"\#(slow)"}"#,
        #"{"message":"x","\#(slow)":2}"#, #"{"message":"x","timestamp":{"\#(slow)":1}}"#, slow,
      ].enumerated() {
        try await saga.db.put("messages/\(number)", Array(value.utf8))
      }
      try await saga.db.put("messages/" + slowText(bytes: 4_000), Array(#"{"message":"x"}"#.utf8))
      let id = try await saga.writeMessage(text)
      try await saga.edit(id, to: text + "!")
      #expect(await saga.message(id)?.isEdited == true)
      await saga.close()
    }
    #expect(writing < limit, "\(writing) s")
    let opening = try await processTime {
      let saga = try await Saga.open(storage: storage, username: "ana")
      let messages = await saga.messages
      #expect(messages.count == 6)
      #expect(Set(messages).count == 6)
      for (words, expected) in [("x", 5), ("nothing of it", 0), ("A", 3)] {
        var count = 0
        for await _ in saga.search(words) { count += 1 }
        #expect(count == expected, "\(words)")
      }
      await saga.close()
    }
    #expect(opening < limit, "\(opening) s")
  }

  @Test func `user data and people with slow names are told apart in linear time`() throws {
    let name = slowText(bytes: 60_000)
    let time = processorTime {
      var roster = Roster()
      var presence = Presence(now: 0)
      for number in 0..<50 {
        let key = KeyPair.generate().publicKey
        let bytes = UserData(key: key, username: name + "\(number)", timestamp: 1).bytes
        guard let data = UserData(bytes: bytes) else { continue }
        _ = roster.connect(data, on: UInt64(number))
        presence.join(data, now: 1)
        #expect(data == data && roster[key] == data)
      }
      #expect(roster.users.count == 50 && presence.here.count == 50)
      #expect(Set(roster.users).count == 50)
    }
    #expect(time < limit, "\(time) s")
  }
}

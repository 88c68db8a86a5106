import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Saga
import Testing

/// `rooms/manifest.json`: one room, each user's folder, and the messages in it.
struct RecordedRoom: Decodable, Sendable {
  struct Replica: Decodable, Sendable {
    let dir: String
    let local: String
    let authorized: Bool
    let feeds: [Feed]
    let messages: [Recorded]
  }
  struct Feed: Decodable, Sendable {
    let key: String
    let length: UInt64
  }
  struct Recorded: Decodable, Sendable, Hashable {
    let key: String
    let message: String
    let username: String
    let timestamp: Int64
  }

  let key: String
  let replicas: [String: Replica]

  static func load() throws -> RecordedRoom { try Fixtures.json("rooms/manifest.json") }
}

@Suite struct RecordedRoomTests {
  private func recorded(_ messages: [Message]) -> [RecordedRoom.Recorded] {
    messages.map {
      RecordedRoom.Recorded(
        key: $0.key, message: $0.text, username: $0.username, timestamp: $0.timestamp)
    }
  }

  @Test func `every recorded replica opens with its messages, feeds and rights`() async throws {
    let room = try RecordedRoom.load()
    #expect(!room.replicas.isEmpty)
    for (user, replica) in room.replicas {
      let folder = try TemporaryFolder(copyOf: replica.dir)
      let saga = try await Saga.open(folder: folder.path, username: user)
      #expect(saga.key.hex == room.key)
      #expect(saga.db.localKey.hex == replica.local)
      #expect(await saga.db.isLocalAuthorized == replica.authorized)
      let feeds = await saga.db.feeds
      #expect(Set(feeds.map(\.key.hex)) == Set(replica.feeds.map(\.key)))
      for feed in replica.feeds {
        #expect(feeds.first { $0.key.hex == feed.key }?.length == feed.length)
      }
      #expect(await recorded(saga.messages) == replica.messages, "\(user)")
      await saga.close()
    }
  }

  @Test func `the author of a message is the feed that holds it`() async throws {
    for (user, replica) in try RecordedRoom.load().replicas {
      let folder = try TemporaryFolder(copyOf: replica.dir)
      let saga = try await Saga.open(folder: folder.path, username: user)
      // Nobody used another's name in the recording, so feeds and names go together.
      let names = Dictionary(grouping: await saga.messages, by: \.feed).mapValues {
        Set($0.map(\.username))
      }
      #expect(names.values.allSatisfy { $0.count == 1 })
      #expect(Set(names.values).count == names.count)
      #expect(names.keys.allSatisfy { key in replica.feeds.contains { $0.key == key.hex } })
      await saga.close()
    }
  }

  @Test func `a newcomer who meets one recorded replica gets all messages`() async throws {
    let room = try RecordedRoom.load()
    for (user, replica) in room.replicas {
      let folder = try TemporaryFolder(copyOf: replica.dir)
      let host = try await Saga.open(folder: folder.path, username: user)
      let newcomer = try await Saga.open(
        storage: MemoryStorage(), key: host.key, username: "newcomer")
      let (one, other) = (try await host.replicate(), try await newcomer.replicate())
      let joined = Task { await join(one, other) }
      var count = 0
      for await event in newcomer.events() {
        if case .message = event { count += 1 }
        if count == replica.messages.count { break }
      }
      #expect(await recorded(newcomer.messages) == replica.messages)
      await one.close()
      await other.close()
      await joined.value
      await host.close()
      await newcomer.close()
    }
  }
}

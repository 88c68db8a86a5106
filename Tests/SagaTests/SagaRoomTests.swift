import DatTesting
import Hypercore
import RandomAccessStorage
import Saga
import Testing

@Suite(.timeLimit(.minutes(1))) struct SagaRoomTests {
  @Test func `two users meet, write and see each other's messages`() async throws {
    let ana = try await Saga.open(storage: MemoryStorage(), username: "ana")
    try await ana.writeMessage("before")
    let bea = try await Saga.open(storage: MemoryStorage(), key: ana.key, username: "bea")
    // Notified once, so the reader comes before the connection.
    let events = bea.events(stored: .none)
    let (one, other) = (try await ana.replicate(), try await bea.replicate())
    let joined = Task { await join(one, other) }
    let meetings = [Task { try await ana.connect(one) }, Task { try await bea.connect(other) }]
    for await event in events {
      if case .authorized = event { break }
    }
    try await bea.writeMessage("from bea")
    for await event in ana.events() {
      if case .message(let message) = event, message.text == "from bea" { break }
    }
    #expect(await ana.messages.map(\.text) == ["before", "from bea"])
    #expect(await bea.messages.map(\.text) == ["before", "from bea"])
    #expect(await ana.users.map(\.username) == ["bea"])
    await one.close()
    await other.close()
    await joined.value
    for meeting in meetings { try await meeting.value }
    #expect(await ana.users.isEmpty)
  }
}

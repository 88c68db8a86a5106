import DatTesting
import HyperDB
import Hypercore
import RandomAccessStorage
import Saga
import Testing

/// The release of all memory of a room that was left.
@Suite(.timeLimit(.minutes(1))) struct RoomReleaseTests {
  @Test func `nothing is kept of rooms that were left, nor of their connection`() async throws {
    #expect(try await remainsOfTwoRooms().left() == [])
  }

  private func remainsOfTwoRooms() async throws -> Remains {
    let ana = try await Saga.open(storage: MemoryStorage(), username: "ana")
    let bea = try await Saga.open(storage: MemoryStorage(), key: ana.key, username: "bea")
    let streams = [try await ana.replicate(), try await bea.replicate()]
    async let joined: Void = join(streams[0], streams[1])
    async let met: Void = ana.connect(streams[0])
    async let alsoMet: Void = bea.connect(streams[1])
    let events = bea.events()
    try await ana.writeMessage("hello")
    for await event in events {
      if case .message = event { break }
    }
    var remains = Remains()
    for stream in streams {
      remains.note(stream)
      await stream.close()
    }
    await joined
    _ = try? await (met, alsoMet)
    for room in [ana, bea] {
      remains.note(room)
      remains.note(room.db)
      await room.close()
    }
    return remains
  }
}

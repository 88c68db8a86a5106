internal import DatWeb
internal import DatWebTesting
internal import HypercoreCrypto
internal import Testing

@Test
func `what is the matter with a room is told to pages that are open and to those that come later`()
  async throws
{
  let room = FakeRoom.key("ana")
  let view = RoomView(FakeRoom("ana", room: room))
  try await TestServer.with(SingleRoom(view)) { server in
    let address = "/api/events?room=\(room.hex)"
    try await server.events(address) { events in
      let first = try #require(try await events.next())
      #expect(first.data["problem"] == nil)
      await view.tell(lastingProblem: "This is the key of a feed.")
      let next = try #require(try await events.next())
      #expect(next.data["problem"] as? String == "This is the key of a feed.")
    }
    try await server.events(address) { events in
      let first = try #require(try await events.next())
      #expect(first.data["problem"] as? String == "This is the key of a feed.")
    }
  }
}

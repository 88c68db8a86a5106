internal import DatWeb
internal import DatWebTesting
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import Saga
internal import Testing

private let room = FakeRoom.key("ana")
private let path = "/api/rooms/\(room.hex)"
private let end: Int64 = 1_700_000_000_000

private func fakeRoom(_ count: Int) -> FakeRoom {
  FakeRoom("ana", room: room, messages: madeUpMessages(count, until: end))
}

/// Says that the key has signed two histories, which the page believes: the room has seen the proof.
private func evidence(of key: PublicKey) -> ForkEvidence {
  ForkEvidence(
    key: key, node: 0, block: 0, ours: nil, ourProof: [],
    theirs: SignedRoots(length: 1, roots: [], signature: Signature()), theirProof: [])
}

@Test func `the event stream begins with the state and goes on with what happens`() async throws {
  let fake = fakeRoom(150)
  try await TestServer.with(fake) { server in
    try await server.events("/api/events?room=\(room.hex)") { events in
      let first = try #require(try await events.next())
      #expect(first.name == "update")
      #expect(first.data["isWhole"] as? Bool == true)
      #expect(first[list: "messages"].count == 100)
      #expect(first.data["total"] as? Int == 150)
      #expect((first.data["me"] as? [String: Any])?["name"] as? String == "ana")

      let answer = try await server.post("\(path)/messages", #"{"text":"hello\nthere"}"#)
      #expect(answer.json["delivery"] as? String == "waiting")
      let written = try #require(try await events.next())
      #expect(written.data["isWhole"] as? Bool == false)
      #expect(written[list: "messages"].map { $0["text"] as? String } == ["hello\nthere"])

      let other = FakeRoom("bea", room: room)
      await fake.meet(other)
      // Events that happen together may be told together or apart.
      var people: [[String: Any]] = []
      var notices: [[String: Any]] = []
      var deliveries: [String] = []
      while deliveries != ["sent"] || people.isEmpty || notices.isEmpty {
        let event = try #require(try await events.next())
        if event.data["people"] != nil { people = event[list: "people"] }
        if event.data["notices"] != nil { notices = event[list: "notices"] }
        deliveries += event[list: "messages"].filter { $0["key"] as? String == "messages/ana/1" }
          .compactMap { $0["delivery"] as? String }
      }
      #expect(people.first?["name"] as? String == "bea")
      #expect(people.first?["isHere"] as? Bool == true)
      #expect(notices.map { $0["kind"] as? String } == ["join"])

      // A leave shows once the patience, none here, is over.
      await fake.part(other)
      while notices.count < 2 {
        let event = try #require(try await events.next())
        if event.data["notices"] != nil { notices = event[list: "notices"] }
        if event.data["people"] != nil { people = event[list: "people"] }
      }
      #expect(notices.last?["kind"] as? String == "leave")
      #expect(people.first { $0["name"] as? String == "bea" }?["isHere"] as? Bool == false)
    }
  }
}

@Test func `a page is told that the room's own feed has two histories, also when it comes later`()
  async throws
{
  let fake = fakeRoom(1)
  try await TestServer.with(fake) { server in
    func reason(_ event: EventReader.Event?) -> String? {
      (event?.data["fork"] as? [String: Any])?["reason"] as? String
    }
    try await server.events("/api/events?room=\(room.hex)") { events in
      let first = try await events.next()
      #expect(first != nil && reason(first) == nil)
      // Somebody else's is a problem that is said once.
      await fake.tell(.forked(evidence(of: FakeRoom.key("bea"))))
      let foreign = try await events.next()
      #expect((foreign?.data["problem"] as? String)?.contains("its owner") == true)
      #expect(reason(foreign) == nil)
      await fake.tell(.forked(evidence(of: FakeRoom.key("ana"))))
      let event = try await events.next()
      #expect(reason(event)?.contains("two histories") == true)
    }
    try await server.events("/api/events?room=\(room.hex)") { events in
      let event = try await events.next()
      #expect(reason(event)?.contains("two histories") == true)
    }
    // A running program's own room can't be exchanged for another.
    let plan = try await server.get("\(path)/recovery")
    #expect(plan.status == 403 || plan.status == 409, "\(plan.status)")
    #expect(try await server.post("\(path)/recover", #"{"keep":true}"#).status == plan.status)
    #expect(try await server.post("\(path)/recover", "{}").status == 400)
  }
}

@Test func `a page that was away is told what it missed, one of another run starts over`()
  async throws
{
  let fake = fakeRoom(10)
  try await TestServer.with(fake) { server in
    var run = ""
    var revision = 0
    try await server.events("/api/events?room=\(room.hex)") { events in
      let first = try #require(try await events.next())
      run = first.data["run"] as? String ?? ""
      revision = first.data["revision"] as? Int ?? -1
    }
    // Early in the history, where the newest page alone would not show it.
    _ = try await server.post("\(path)/messages", #"{"text":"missed"}"#)
    await fake.tell(.removal(madeUpMessages(10, until: end)[3]))
    try await server.events("/api/events?room=\(room.hex)&since=\(revision)&run=\(run)") { events in
      var texts: [String] = []
      var removed: [String] = []
      while texts.isEmpty || removed.isEmpty {
        let event = try #require(try await events.next())
        #expect(event.data["isWhole"] as? Bool == false)
        texts += event[list: "messages"].compactMap { $0["text"] as? String }
        removed += event[list: "removed"].compactMap { $0["key"] as? String }
      }
      // A later event of it tells it again.
      #expect(Set(texts) == ["missed"])
      #expect(removed == ["messages/made-up/3"])
    }
    for query in ["since=\(revision)&run=other", "since=999999&run=\(run)", "since=-5&run=\(run)"] {
      try await server.events("/api/events?room=\(room.hex)&\(query)") { events in
        let first = try #require(try await events.next())
        #expect(first.data["isWhole"] as? Bool == true, "\(query)")
      }
    }
  }
}

@Test(.timeLimit(.minutes(1)))
func
  `a page that missed as many messages as two answers have is told them, for more it starts over`()
  async throws
{
  let fake = fakeRoom(1)
  try await TestServer.with(fake) { server in
    let address = "/api/events?room=\(room.hex)"
    var since = ""
    try await server.events(address) { events in
      let first = try #require(try await events.next())
      let run = try #require(first.data["run"] as? String)
      since = "&since=\(try #require(first.data["revision"] as? Int))&run=\(run)"
    }
    /// Returns the number of messages that the page is told of since then; nil if it starts over.
    func missed() async throws -> Int? {
      var count: Int?
      try await server.events(address + since) { events in
        let first = try #require(try await events.next())
        if first.data["isWhole"] as? Bool == false { count = first[list: "messages"].count }
      }
      return count
    }
    for number in 1...400 {
      await fake.tell(
        .message(
          Message(
            id: Message.ID(key: "messages/bea/\(number)", feed: FakeRoom.key("bea")), text: "hi",
            username: "bea", timestamp: end, seq: UInt64(number))))
    }
    var count = 0
    while count < 400 { count = try #require(try await missed()) }
    #expect(count == 400)
    await fake.tell(.removal(madeUpMessages(1, until: end)[0]))
    while let some = try await missed() { #expect(some == 400) }
  }
}

@Test(.timeLimit(.minutes(1)))
func `an event stream that has nothing to tell gives signs of life`() async throws {
  var options = WebServer.Options()
  options.heartbeat = .milliseconds(1)
  try await TestServer.with(
    SingleRoom(RoomView(fakeRoom(1))), options: options
  ) { server in
    try await server.events("/api/events?room=\(room.hex)") { events in
      _ = try await events.next()
      for count in 1...3 {
        await events.comment()
        #expect(events.comments >= count)
      }
    }
  }
}

internal import DatWeb
internal import DatWebTesting
internal import Foundation
internal import HypercoreCrypto
internal import Saga
internal import Testing

private let room = FakeRoom.key("ana")
private let path = "/api/rooms/\(room.hex)"
private let end: Int64 = 1_700_000_000_000

private func fakeRoom(_ count: Int) -> FakeRoom {
  FakeRoom("ana", room: room, messages: madeUpMessages(count, until: end))
}

private func keys(_ answer: Answer) -> [String] {
  (answer.json["messages"] as? [[String: Any]] ?? []).compactMap { $0["key"] as? String }
}

private func place(_ message: [String: Any]?) -> String {
  let text =
    "\(message?["order"] as? Int64 ?? 0)~\(message?["feed"] as? String ?? "")"
    + "~\(message?["key"] as? String ?? "")"
  return text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
}

@Test func `the history is paged backwards and forwards without gap or overlap`() async throws {
  let made = madeUpMessages(450, until: end)
  let all = made.map(\.key)
  try await TestServer.with(fakeRoom(450)) { server in
    var collected: [String] = []
    var query = ""
    while true {
      let answer = try await server.get("\(path)/messages?limit=64\(query)")
      collected = keys(answer) + collected
      let first = (answer.json["messages"] as? [[String: Any]])?.first
      query = "&before=\(place(first))"
      if answer.json["isStart"] as? Bool == true { break }
      #expect(keys(answer).count == 64)
    }
    #expect(collected == all)

    collected = []
    query = "&from=start"
    while true {
      let answer = try await server.get("\(path)/messages?limit=64\(query)")
      collected += keys(answer)
      let last = (answer.json["messages"] as? [[String: Any]])?.last
      query = "&after=\(place(last))"
      if answer.json["isEnd"] as? Bool == true { break }
    }
    #expect(collected == all)

    let around = try await server.get(
      "\(path)/messages?limit=21&around=\(all[100])&feed=\(made[100].feed.hex)")
    #expect(keys(around) == Array(all[90...110]))
    #expect(try await server.get("\(path)/messages?limit=9999").status == 200)
    #expect(try keys(await server.get("\(path)/messages?limit=9999")).count == 200)
    #expect(
      try await server.get("\(path)/messages?around=none&feed=\(room.hex)").status == 404)
    // The key of a message under another feed's name is none.
    let other = made.first { $0.feed != made[100].feed }?.feed ?? room
    #expect(
      try await server.get("\(path)/messages?around=\(all[100])&feed=\(other.hex)").status == 404)
    #expect(try await server.get("\(path)/messages?around=\(all[100])").status == 400)
    #expect(try await server.get("\(path)/messages?before=nonsense").status == 400)
  }
}

@Test func `long messages come cut, and whole when they are asked for`() async throws {
  let fake = fakeRoom(0)
  let text = String(repeating: "é", count: 20_000)
  let view = RoomView(fake)
  try await TestServer.with(SingleRoom(view)) { server in
    let written = try await server.post("\(path)/messages", #"{"text":"\#(text)"}"#)
    #expect(written.json["length"] as? Int == 40_000)
    #expect((written.json["text"] as? String)?.utf8.count == 4_096)
    let key = written.json["key"] as? String ?? ""
    let whole = try await server.get("\(path)/message?key=\(key)&feed=\(fake.me.own.hex)")
    #expect(whole.json["text"] as? String == text)
  }
}

@Test func `search finds text and names whatever their case and accents`() async throws {
  let fake = fakeRoom(60)
  try await TestServer.with(fake) { server in
    _ = try await server.post("\(path)/messages", #"{"text":"Ein CAFÉ am See"}"#)
    let cafe = try await server.get("\(path)/search?q=cafe")
    let found = cafe.json["found"] as? [[String: Any]] ?? []
    #expect(found.map { $0["excerpt"] as? String } == ["Ein CAFÉ am See"])

    var orders: [Int64] = []
    var query = "q=FERRY&limit=2"
    while true {
      let answer = try await server.get("\(path)/search?\(query)")
      let messages = (answer.json["found"] as? [[String: Any]] ?? []).compactMap {
        $0["message"] as? [String: Any]
      }
      orders += messages.compactMap { $0["order"] as? Int64 }
      if answer.json["isMore"] as? Bool != true { break }
      query = "q=FERRY&limit=2&before=\(place(messages.last))"
    }
    #expect(orders.count == 6)
    #expect(orders == orders.sorted(by: >))
    let byName = try await server.get("\(path)/search?q=bea&limit=50")
    #expect(((byName.json["found"] as? [Any])?.count ?? 0) > 5)
    #expect(try await server.get("\(path)/search?q=%20").json["isMore"] as? Bool == false)
  }
}

@Test func `an export has every message, and nothing that acts in a terminal`() async throws {
  let fake = fakeRoom(1_200)
  let hostile = "\u{1b}[2Jline\u{202e}\u{200b}\r\nnext \u{9b}x \u{2028}"
  await fake.tell(
    .message(
      Message(
        id: Message.ID(key: "messages/h", feed: FakeRoom.key("mallory")), text: hostile,
        username: "m\u{202e}\u{7}", timestamp: end + 5, seq: 1)))
  try await TestServer.with(fake) { server in
    let lines = try await server.get("\(path)/export?format=jsonl").body.split(separator: "\n")
    #expect(lines.count == 1_201)
    let last = try JSONSerialization.jsonObject(with: Data((lines.last ?? "").utf8))
    #expect((last as? [String: Any])?["message"] as? String == hostile)
    #expect((last as? [String: Any])?["feed"] as? String == FakeRoom.key("mallory").hex)
    let text = try await server.get("\(path)/export?format=text").body
    #expect(text.contains("(1199)"))
    for file in [lines.joined(separator: "\n"), text] {
      for scalar in file.unicodeScalars where scalar != "\n" {
        let category = scalar.properties.generalCategory
        #expect(![.control, .format, .lineSeparator, .paragraphSeparator].contains(category))
      }
    }
    #expect(try await server.get("\(path)/export?format=exe").status == 400)
  }
}

@Test func `sharing gives the key, the link and its QR code`() async throws {
  try await TestServer.with(fakeRoom(0)) { server in
    let share = try await server.get("\(path)/share").json
    #expect(share["key"] as? String == room.hex)
    #expect(share["link"] as? String == "dat://\(room.hex)")
    let rows = share["code"] as? [String] ?? []
    #expect(rows.count >= 21 && rows.allSatisfy { $0.count == rows.count })
    // The finder pattern of every QR code.
    #expect(rows.first?.hasPrefix("11111110") == true)
    #expect(rows.last?.hasPrefix("11111110") == true)
  }
}

@Test func `requests are answered, and refusing hides nothing that is written`() async throws {
  let fake = FakeRoom("ana", room: room, asks: true)
  let eve = UserData(key: FakeRoom.key("eve"), username: "eve", timestamp: 1)
  try await TestServer.with(fake) { server in
    try await server.events("/api/events?room=\(room.hex)") { events in
      _ = try await events.next()
      await fake.tell(.request(eve))
      let asked = try #require(try await events.next())
      #expect(asked[list: "requests"].map { $0["name"] as? String } == ["eve"])
      #expect(asked[list: "requests"].map { $0["isProven"] as? Bool } == [false])
      let answer = try await server.post(
        "\(path)/requests", #"{"key":"\#(eve.key.hex)","accept":false}"#)
      #expect(answer.status == 200)
      var isGone = false
      var isShown = false
      await fake.tell(
        .message(
          Message(
            id: Message.ID(key: "messages/e", feed: eve.key), text: "admitted elsewhere",
            username: "eve", timestamp: 2, seq: 1)))
      while !isGone || !isShown {
        let event = try #require(try await events.next())
        if event.data["requests"] != nil { isGone = event[list: "requests"].isEmpty }
        for person in event[list: "people"] where person["name"] as? String == "eve" {
          isShown = person["isMuted"] as? Bool == false
        }
      }
      #expect(await fake.answers.map(\.accepted) == [false])
      let search = try await server.get("\(path)/search?q=admitted")
      #expect((search.json["found"] as? [Any])?.count == 1)
      let accept = #"{"key":"\#(eve.key.hex)","accept":true}"#
      #expect(try await server.post("\(path)/requests", accept).status == 200)
      #expect(await fake.answers.map(\.accepted) == [false, true])
    }
    #expect(try await server.post("\(path)/requests", #"{"key":"12","accept":true}"#).status == 400)
    #expect(try await server.post("\(path)/requests", "[1").status == 400)
  }
}

@Test func `rooms are made and joined from the start view, by key and by link`() async throws {
  let directory = FakeDirectory(username: "dan")
  try await TestServer.with(directory) { server in
    let start = try await server.get("/api/start").json
    #expect(start["username"] as? String == "dan")
    #expect(start["canMake"] as? Bool == true)
    let made = try await server.post("/api/rooms", #"{"username":"dan"}"#).json["key"] as? String
    #expect(made?.count == 64)
    let link = "dat://\(room.hex)"
    for text in [room.hex, link, " \(link)/ ", room.hex.uppercased(), "http://x/?key=\(room.hex)"] {
      let body = #"{"username":"dan","join":"\#(text)"}"#
      #expect(try await server.post("/api/rooms", body).json["key"] as? String == room.hex)
    }
    for text in ["", "dat://12", room.hex + "0", "dat://\(room.hex.dropLast())g"] {
      let body = #"{"username":"dan","join":"\#(text)"}"#
      #expect(try await server.post("/api/rooms", body).status == 400, "\(text)")
    }
    #expect(try await server.post("/api/rooms", #"{"username":" "}"#).status == 400)
    #expect(((try await server.get("/api/start")).json["rooms"] as? [Any])?.count == 2)
  }
}

@Test func `the list of rooms tells last messages and unread counts as they change`() async throws {
  let directory = FakeDirectory(username: "dan")
  let fake = FakeRoom("dan", room: room, messages: madeUpMessages(3, until: end))
  await directory.add(fake)
  try await TestServer.with(directory) { server in
    try await server.events("/api/events") { events in
      let first = try #require(try await events.next())
      #expect(first[list: "rooms"].map { $0["unread"] as? Int } == [0])
      let message = Message(
        id: Message.ID(key: "messages/n", feed: FakeRoom.key("bea")), text: "new",
        username: "bea", timestamp: end + 1, seq: 1)
      await fake.tell(.message(message))
      let second = try #require(try await events.next())
      #expect(second[list: "rooms"].map { $0["unread"] as? Int } == [1])
      let last = second[list: "rooms"].first?["last"] as? [String: Any]
      #expect(last?["text"] as? String == "new")
      let order = last?["order"] as? Int64 ?? 0
      let read = #"{"order":\#(order),"key":"messages/n","feed":"\#(message.feed.hex)"}"#
      #expect(try await server.post("\(path)/read", read).status == 200)
      let third = try #require(try await events.next())
      #expect(third[list: "rooms"].map { $0["unread"] as? Int } == [0])
      #expect(await directory.reads.map(\.place) == [message.place])
    }
    // A room that is added is in the list at once.
    try await server.events("/api/events") { events in
      _ = try await events.next()
      _ = try await server.post("/api/rooms", #"{"username":"dan"}"#)
      let event = try #require(try await events.next())
      #expect(event[list: "rooms"].count == 2)
    }
  }
}

@Test func `a write that fails says why, and a program for one room makes no others`() async throws
{
  let fake = fakeRoom(0)
  try await TestServer.with(fake) { server in
    await fake.failNextWrite(WebError(.refused, "The disk is full."))
    let answer = try await server.post("\(path)/messages", #"{"text":"x"}"#)
    #expect(answer.status == 409)
    #expect(answer.body.contains("The disk is full."))
    #expect(try await server.post("\(path)/messages", #"{"text":"  "}"#).status == 400)
    #expect(try await server.post("\(path)/messages", #"{"words":"x"}"#).status == 400)
    #expect(try await server.post("/api/rooms", #"{"username":"x"}"#).status == 409)
    #expect(try await server.get("/api/rooms/\(FakeRoom.key("no").hex)/messages").status == 404)
  }
}

@Test func `messages that are dated far ahead don't push new ones out of sight`() async throws {
  let now: Int64 = 1_700_000_000_000
  let fake = FakeRoom("ana", room: room, messages: madeUpMessages(30, until: now))
  let mallory = FakeRoom.key("mallory")
  for number in 1...300 {
    await fake.tell(
      .message(
        Message(
          id: Message.ID(key: "messages/f/\(number)", feed: mallory), text: "far \(number)",
          username: "mallory", timestamp: now + 7_200_000 + Int64(number), seq: UInt64(number))))
  }
  let view = RoomView(fake, now: { now })
  try await TestServer.with(SingleRoom(view)) { server in
    try await server.events("/api/events?room=\(room.hex)") { events in
      let first = try #require(try await events.next())
      #expect(first[list: "messages"].count == 30)
      #expect(first.data["ahead"] as? Int == 300)
      _ = try await server.post("\(path)/messages", #"{"text":"new"}"#)
      let next = try #require(try await events.next())
      #expect(next.data["ahead"] as? Int == 300)
    }
    let newest = try await server.get("\(path)/messages?limit=5")
    let last = (newest.json["messages"] as? [[String: Any]])?.last
    #expect(last?["text"] as? String == "new" && newest.json["isEnd"] as? Bool == true)
    let after = try await server.get("\(path)/messages?after=\(place(last))")
    #expect(keys(after).isEmpty && after.json["isEnd"] as? Bool == true)
    let found = try await server.get("\(path)/search?q=far%20300")
    #expect((found.json["found"] as? [Any])?.count == 1)
    let export = try await server.get("\(path)/export?format=jsonl").body
    #expect(export.split(separator: "\n").count == 331)
  }
}

internal import DatWeb
internal import DatWebTesting
internal import Foundation
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage
internal import Saga
internal import Testing

// The same over real rooms: two Sagas, joined in memory.

/// Joins two rooms until either end closes.
private func join(_ one: Saga, _ other: Saga) async throws -> (ReplicationStream, ReplicationStream)
{
  let left = try await one.replicate()
  let right = try await other.replicate()
  for (from, to) in [(left, right), (right, left)] {
    Task {
      while let bytes = await from.nextOutput() { await to.receive(bytes) }
      await to.finishInput()
    }
  }
  Task { try await one.connect(left) }
  Task { try await other.connect(right) }
  return (left, right)
}

@Test func `two rooms chat through two servers, and a leave shows`() async throws {
  let ana = try await Saga.open(storage: MemoryStorage(), username: "ana")
  try await ana.writeMessage("before anybody came")
  let bea = try await Saga.open(storage: MemoryStorage(), key: ana.key, username: "bea")
  let path = "/api/rooms/\(ana.key.hex)"
  try await TestServer.with(SingleRoom(RoomView(SagaRoom(ana), patience: .zero))) { anaWeb in
    try await TestServer.with(SingleRoom(RoomView(SagaRoom(bea), patience: .zero))) { beaWeb in
      try await anaWeb.events("/api/events?room=\(ana.key.hex)") { events in
        let whole = try #require(try await events.next())
        #expect(whole[list: "messages"].count == 1)
        #expect((whole.data["me"] as? [String: Any])?["isAuthorized"] as? Bool == true)
        // Written in an earlier life as far as the page knows: no mark.
        #expect(whole[list: "messages"].first?["delivery"] == nil)
        let waiting = try await anaWeb.post("\(path)/messages", #"{"text":"anybody?"}"#)
        #expect(waiting.json["delivery"] as? String == "waiting")

        let streams = try await join(ana, bea)
        var isSent = false
        var isHere = false
        while !isSent || !isHere {
          let event = try #require(try await events.next())
          for message in event[list: "messages"] where message["text"] as? String == "anybody?" {
            isSent = isSent || message["delivery"] as? String == "sent"
          }
          for person in event[list: "people"] {
            isHere = isHere || person["isHere"] as? Bool == true
          }
        }
        try await beaWeb.events("/api/events?room=\(ana.key.hex)") { beaEvents in
          var isAuthorized = false
          var texts: Set<String> = []
          while !isAuthorized || texts.count < 2 {
            let event = try #require(try await beaEvents.next())
            if let me = event.data["me"] as? [String: Any] {
              isAuthorized = me["isAuthorized"] as? Bool ?? false
            }
            for message in event[list: "messages"] {
              if let text = message["text"] as? String { texts.insert(text) }
            }
          }
          #expect(texts == ["before anybody came", "anybody?"])
        }
        let answer = try await beaWeb.post("\(path)/messages", #"{"text":"here I am"}"#)
        #expect(answer.status == 200)
        var texts: [String] = []
        while !texts.contains("here I am") {
          let event = try #require(try await events.next())
          texts += event[list: "messages"].compactMap { $0["text"] as? String }
        }
        await streams.0.close()
        var isGone = false
        while !isGone {
          let event = try #require(try await events.next())
          isGone = event[list: "notices"].contains { $0["kind"] as? String == "leave" }
        }
      }
    }
  }
  await ana.close()
  await bea.close()
}

@Test func `a newcomer who is asked about writes once accepted on the page`() async throws {
  var options = SagaOptions()
  options.authorization = .ask
  let ana = try await Saga.open(storage: MemoryStorage(), username: "ana", options: options)
  try await ana.writeMessage("welcome")
  let eve = try await Saga.open(storage: MemoryStorage(), key: ana.key, username: "eve")
  let path = "/api/rooms/\(ana.key.hex)"
  try await TestServer.with(SingleRoom(RoomView(SagaRoom(ana, asks: true)))) { anaWeb in
    try await TestServer.with(SingleRoom(RoomView(SagaRoom(eve)))) { eveWeb in
      _ = try await join(ana, eve)
      try await anaWeb.events("/api/events?room=\(ana.key.hex)") { events in
        var request: String?
        while request == nil {
          let event = try #require(try await events.next())
          request = event[list: "requests"].first?["key"] as? String
        }
        #expect(request == eve.db.localKey.hex)
        let body = #"{"key":"\#(request ?? "")","accept":true}"#
        #expect(try await anaWeb.post("\(path)/requests", body).status == 200)
      }
      try await eveWeb.events("/api/events?room=\(ana.key.hex)") { events in
        var isAuthorized = false
        while !isAuthorized {
          let event = try #require(try await events.next())
          if let me = event.data["me"] as? [String: Any] {
            isAuthorized = me["isAuthorized"] as? Bool ?? false
          }
        }
      }
    }
  }
  await ana.close()
  await eve.close()
}

@Test func `a closed room ends the streams of its pages`() async throws {
  let ana = try await Saga.open(storage: MemoryStorage(), username: "ana")
  try await TestServer.with(SingleRoom(RoomView(SagaRoom(ana)))) { server in
    try await server.events("/api/events?room=\(ana.key.hex)") { events in
      #expect(try await events.next() != nil)
      await ana.close()
      while let event = try await events.next() { _ = event }
    }
  }
}

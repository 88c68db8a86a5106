@testable internal import DatWeb
internal import DatWebTesting
internal import HypercoreCrypto
internal import Saga
internal import Testing

private let identity = RoomIdentity(
  room: FakeRoom.key("ana"), own: FakeRoom.key("ana"), username: "ana", asks: true)
private let bea = UserData(key: FakeRoom.key("bea"), username: "bea", timestamp: 1)

private func message(_ name: String, seq: UInt64 = 1) -> Message {
  Message(
    id: Message.ID(key: "messages/\(name)/\(seq)", feed: FakeRoom.key(name)), text: "hello",
    username: name, timestamp: 1, seq: seq)
}

private func state(requests: [UserData] = []) -> SharedState {
  var state = SharedState()
  state.start(
    identity,
    RoomState(people: [], requests: requests, isAuthorized: true, ownSeq: 0),
    patience: .seconds(30), now: 0)
  return state
}

extension SharedState {
  /// Handles one event alone.
  ///
  /// - Returns: true if the pages are to be notified.
  fileprivate mutating func commits(_ event: SagaEvent, now: Int64 = 0) -> Bool {
    handle(event, others: [], name: nil, now: now)
    return commit()
  }
}

@Test func `what happens together has one number, and a page gets what it has not seen`() throws {
  var revisions = Revisions()
  var isNew = revisions.commit()
  #expect(!isNew)
  revisions.note(.people)
  revisions.note(message("bea").id)
  #expect(revisions.last == 0)
  isNew = revisions.commit()
  #expect(isNew && revisions.last == 1)
  revisions.note(.me)
  isNew = revisions.commit()
  #expect(isNew && revisions.last == 2)
  let all = try #require(revisions.changes(since: 0))
  #expect(all.last == 2 && all.messages == [message("bea").id] && all.parts == [.people, .me])
  let rest = try #require(revisions.changes(since: 1))
  #expect(rest.messages.isEmpty && rest.parts == [.me])
  #expect(revisions.changes(since: 3) == nil && revisions.changes(since: -1) == nil)
  revisions.noteAllMessages()
  isNew = revisions.commit()
  #expect(isNew && revisions.changes(since: 2) == nil)
  #expect(revisions.changes(since: 3)?.messages == [])
}

@Test func `events that change nothing notify no page`() {
  var state = state(requests: [bea])
  for event in [
    SagaEvent.request(bea), .requestGone(FakeRoom.key("cai")), .muted(bea.key, false),
    .join(UserData(key: identity.own, username: "ana", timestamp: 1)),
    .loading(done: 1, of: 2), .ready, .sent(seq: 7), .restored,
  ] {
    let isNew = state.commits(event)
    #expect(!isNew, "\(event)")
  }
  #expect(state.revisions.last == 0)
}

@Test func `a message removes the request of its author, and own messages are delivered`() {
  var state = state(requests: [bea])
  let own = message("ana", seq: 8)
  var isNew = state.commits(.message(message("bea")))
  #expect(isNew && state.people.requests.list.isEmpty)
  #expect(state.revisions.changes(since: 0)?.parts == [.people, .requests])
  isNew = state.commits(.message(own))
  #expect(isNew && state.delivery(of: own) == .waiting)
  isNew = state.commits(.sent(seq: 8))
  #expect(isNew && state.delivery(of: own) == .sent)
  #expect(state.revisions.changes(since: 2)?.messages == [own.id])
}

@Test func `a leave shows once the patience is over`() {
  var state = state()
  var isNew = state.commits(.join(bea))
  #expect(isNew)
  isNew = state.commits(.leave(bea), now: 1_000)
  #expect(!isNew && state.people.nextLeave == 31_000 && state.people.hereCount == 1)
  state.showLeaves(now: 30_999)
  isNew = state.commit()
  #expect(!isNew)
  state.showLeaves(now: 31_000)
  isNew = state.commit()
  #expect(isNew && state.people.nextLeave == nil && state.people.hereCount == 0)
  #expect(state.revisions.changes(since: 1)?.parts == [.people, .notices])
}

@Test func `a person who is let in is shown again, and the user can't be muted`() {
  var state = state(requests: [bea])
  state.noteMuted(true, bea.key)
  state.noteMuted(true, identity.own)
  var isNew = state.commit()
  #expect(isNew && state.people.muted == [bea.key])
  #expect(state.people.mutedAndOwn == [bea.key, identity.own])
  state.noteAnswer(to: bea.key, isAccepted: true)
  isNew = state.commit()
  #expect(isNew && state.people.muted.isEmpty && state.people.requests.list.isEmpty)
}

@Test func `the room's maker is named as in its messages, or as it is here`() {
  let cai = FakeRoom.key("cai")
  func state(_ people: [UserData]) -> SharedState {
    var state = SharedState()
    state.start(
      RoomIdentity(room: bea.key, own: cai, username: "cai", asks: false),
      RoomState(people: people, requests: [], isAuthorized: true, ownSeq: 0),
      patience: .seconds(30), now: 0)
    return state
  }
  let authors = [
    Author(feed: cai, username: "cai", messages: 1, last: 1),
    Author(feed: bea.key, username: "bea once", messages: 1, last: 1),
  ]
  #expect(state([bea]).maker(authors) == "bea once")
  #expect(state([bea]).maker([authors[0]]) == "bea")
  #expect(state([]).maker([]) == nil)
}

@Test func `a name is shown up to 256 bytes`() {
  for count in [1, 255, 256, 257, 100_000] {
    #expect(Wire.cut(String(repeating: "x", count: count)).utf8.count == min(count, 256))
  }
}

@Test func `how much was read of a room that opens is told, and nothing once all was`() {
  var state = SharedState()
  state.start(
    identity,
    RoomState(people: [], requests: [], isAuthorized: true, ownSeq: 0, isLoading: true),
    patience: .seconds(30), now: 0)
  #expect(state.loaded == 0)
  var isNew = state.commits(.loading(done: 1, of: 4))
  #expect(isNew && state.loaded == 25)
  isNew = state.commits(.loading(done: 9, of: 4))
  #expect(isNew && state.loaded == 100)
  isNew = state.commits(.loading(done: 0, of: 0))
  #expect(isNew && state.loaded == 0)
  isNew = state.commits(.ready)
  #expect(isNew && state.loaded == nil)
}

@Test func `those who are here come first by name, then the others, the latest first`() {
  var state = state()
  for name in ["zoe", "cai"] {
    _ = state.commits(.join(UserData(key: FakeRoom.key(name), username: name, timestamp: 1)))
  }
  let authors = ["abe": 5, "dan": 9, "ana": 7].map {
    Author(feed: FakeRoom.key($0.key), username: $0.key, messages: 1, last: Int64($0.value))
  }
  #expect(state.people.list(authors).map(\.name) == ["cai", "zoe", "dan", "abe"])
}

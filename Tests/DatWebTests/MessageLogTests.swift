@testable internal import DatWeb
internal import DatTesting
internal import DatWebTesting
internal import HypercoreCrypto
internal import Testing

private func message(_ key: String, at time: Int64, _ text: String = "", by name: String = "ana")
  -> ChatMessage
{
  ChatMessage(
    key: key, text: text, username: name, timestamp: time, feed: FakeRoom.key(name))
}

@Test func `messages stand by time, then key, in whatever order they come`() {
  for seed in testSeeds(standard: 20) {
    var random = SeededRandom(seed: seed)
    let messages = (0..<100).map { message("m\($0)", at: Int64.random(in: 0..<30, using: &random)) }
    var log = MessageLog(Array(messages.prefix(40)), seen: 1_000)
    for (index, message) in messages.dropFirst(40).shuffled(using: &random).enumerated() {
      log.put(message, seen: 1_000, change: index + 1)
    }
    let sorted = messages.sorted { ($0.timestamp, $0.key) < ($1.timestamp, $1.key) }
    #expect(log.entries.map(\.message) == sorted, "SEED=\(seed)")
    for entry in log.entries { #expect(log[entry.message.key]?.message == entry.message) }
  }
}

@Test func `a clock that is ahead does not pin a message below those that follow`() {
  var log = MessageLog([], seen: 0)
  log.put(message("liar", at: .max), seen: 100, change: 1)
  log.put(message("later", at: 150), seen: 150, change: 2)
  log.put(message("negative", at: .min), seen: 200, change: 3)
  #expect(log.entries.map(\.message.key) == ["negative", "liar", "later"])
  #expect(Wire.Message(log.entries[1]).time == nil)
}

@Test func `changes since a number are told once each, and not when they are forgotten`() {
  var log = MessageLog([message("old", at: 1)], seen: 10)
  log.put(message("a", at: 2), seen: 10, change: 1)
  log.put(message("b", at: 3), seen: 10, change: 2)
  log.put(message("a", at: 2, "edited"), seen: 10, change: 3)
  _ = log.remove("b", change: 4)
  #expect(log.changes(since: 4)?.entries.isEmpty == true)
  #expect(log.changes(since: 0)?.entries.map(\.message.text) == ["edited"])
  #expect(log.changes(since: 0)?.removed == ["b"])
  for number in 5..<(5 + 3 * MessageLog.rememberedChanges) {
    log.put(message("a", at: 2, "\(number)"), seen: 10, change: number)
  }
  #expect(log.changes(since: 0) == nil)
  #expect(log.changes(since: 3 * MessageLog.rememberedChanges)?.entries.count == 1)
}

@Test func `a return within the patience leaves no trace`() {
  let bea = ChatPerson(key: FakeRoom.key("bea"), username: "bea", timestamp: 1)
  var presence = Presence(patience: 30_000, here: [], now: 0)
  presence.join(bea, now: 1_000)
  presence.leave(bea.key, now: 2_000)
  #expect(presence.deadline == 32_000)
  let early = presence.tick(31_999)
  #expect(!early)
  presence.join(bea, now: 31_999)
  #expect(presence.deadline == nil)
  let late = presence.tick(99_000)
  #expect(!late)
  #expect(presence.notices.map(\.kind) == [.join])
  #expect(presence.people[bea.key]?.since == 1_000)
}

@Test func `a leave shows after the patience, with the time at which it was`() {
  let bea = ChatPerson(key: FakeRoom.key("bea"), username: "bea", timestamp: 1)
  let cai = ChatPerson(key: FakeRoom.key("cai"), username: "cai", timestamp: 1)
  var presence = Presence(patience: 30_000, here: [bea, cai], now: 0)
  presence.leave(cai.key, now: 4_000)
  presence.leave(bea.key, now: 5_000)
  presence.leave(bea.key, now: 20_000)
  let first = presence.tick(34_000)
  #expect(first)
  #expect(presence.notices.map(\.username) == ["cai"])
  let second = presence.tick(35_000)
  #expect(second)
  #expect(presence.notices.map(\.kind) == [.leave, .leave])
  #expect(presence.notices.map(\.time) == [4_000, 5_000])
  #expect(presence.people[bea.key]?.isHere == false)
}

@Test func `two users of one name are two`() {
  let one = ChatPerson(key: FakeRoom.key("1"), username: "bea", timestamp: 1)
  let other = ChatPerson(key: FakeRoom.key("2"), username: "bea", timestamp: 1)
  var presence = Presence(patience: 0, here: [], now: 0)
  presence.join(one, now: 1)
  presence.join(other, now: 2)
  presence.leave(one.key, now: 3)
  _ = presence.tick(3)
  #expect(presence.people[other.key]?.isHere == true)
  #expect(presence.people[one.key]?.isHere == false)
}

@Test func `strangers with ever new keys and nonsense don't fill memory or the view`() {
  var presence = Presence(patience: 0, here: [], now: 0)
  for index in 0..<2_000 {
    let key = FakeRoom.key("\(index)")
    presence.join(ChatPerson(key: key, username: "x", timestamp: 0), now: Int64(index))
    presence.leave(key, now: Int64(index))
    _ = presence.tick(Int64(index))
  }
  for _ in 0..<100 { presence.noteUnreadable(FakeRoom.key("bad"), now: 1) }
  #expect(presence.people.count <= Presence.keptPeople + 1)
  #expect(presence.notices.count == Presence.keptNotices)
  #expect(presence.notices.count { $0.kind == .unreadable } == 1)
}

@Test func `text is cut between characters' scalars`() {
  #expect(VisibleText.prefix("abc", bytes: 3) == "abc")
  #expect(VisibleText.prefix("aé", bytes: 2) == "a")
  #expect(VisibleText.prefix("👍👍", bytes: 7) == "👍")
  #expect(VisibleText.line("a\u{1b}b\nc\u{202e}") == "a\\u{1b}b\\nc\\u{202e}")
}

@Test func `secrets are compared whole`() {
  #expect(Secret.matches("abc", "abc"))
  for wrong in ["", "ab", "abcd", "abd", "abcabc"] { #expect(!Secret.matches(wrong, "abc")) }
  #expect(!Secret.matches("", ""))
  #expect(Secret.random(bytes: 24).count == 32)
  #expect(Secret.random(bytes: 24) != Secret.random(bytes: 24))
}

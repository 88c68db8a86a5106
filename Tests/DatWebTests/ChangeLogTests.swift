@testable internal import DatWeb
internal import DatWebTesting
internal import Saga
internal import Testing

private func id(_ key: String) -> Message.ID { Message.ID(key: key, feed: FakeRoom.key("ana")) }

@Test func `changes since a number are told once each, and not when they are forgotten`() {
  var log = ChangeLog()
  for (number, key) in ["a", "b", "a", "b"].enumerated() { log.note(id(key), number + 1) }
  #expect(log.ids(since: 4) == [])
  #expect(log.ids(since: 0) == [id("a"), id("b")])
  #expect(log.ids(since: 3) == [id("b")])
  for number in 5..<(5 + 3 * ChangeLog.rememberedChanges) { log.note(id("a"), number) }
  #expect(log.ids(since: 0) == nil)
  #expect(log.ids(since: 3 * ChangeLog.rememberedChanges) == [id("a")])
  log.removeAll(upTo: 100_000)
  #expect(log.ids(since: 99_999) == nil && log.ids(since: 100_000) == [])
}

@Test func `long keys are remembered within a budget`() {
  var log = ChangeLog()
  let long = String(repeating: "k", count: 4_000)
  for number in 1...1_000 { log.note(id("\(number)\(long)"), number) }
  #expect(log.ids(since: 0) == nil)
  #expect(log.ids(since: 995)?.count == 5)
}

@Test func `what was removed takes nothing of the budget`() {
  var log = ChangeLog()
  let long = String(repeating: "k", count: 4_000)
  for number in 1...200 { log.note(id("\(number)\(long)"), number) }
  log.removeAll(upTo: 200)
  for number in 201...400 { log.note(id("\(number)\(long)"), number) }
  #expect(log.ids(since: 200)?.count == 200)
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

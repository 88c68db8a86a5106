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

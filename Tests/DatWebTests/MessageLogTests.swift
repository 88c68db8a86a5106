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
    log.sortIn()
    let sorted = messages.sorted { ($0.timestamp, $0.key) < ($1.timestamp, $1.key) }
    #expect(log.entries.map(\.message) == sorted, "SEED=\(seed)")
    for entry in log.entries { #expect(log[entry.message.key]?.message == entry.message) }
  }
}

@Test func `at any moment the log has what was put and not removed`() {
  for seed in testSeeds(standard: 20) {
    var random = SeededRandom(seed: seed)
    var log = MessageLog([], seen: 0)
    var kept: [String: ChatMessage] = [:]
    for step in 1...300 {
      let key = "m\(Int.random(in: 0..<40, using: &random))"
      if random.chance(0.3) {
        let expected = kept.removeValue(forKey: key)
        let removed = log.remove(key, change: step)
        #expect(removed?.message == expected, "SEED=\(seed)")
      } else {
        // A message keeps its time when it is edited; most that are new come last.
        var time = Int64(step)
        if random.chance(0.4) { time = Int64.random(in: 0..<300, using: &random) }
        let written = message(key, at: kept[key]?.timestamp ?? time, "\(step)")
        kept[key] = written
        log.put(written, seen: 1_000, change: step)
        log.setDelivery(.sent, of: key, change: step)
        #expect(log[key]?.delivery == .sent, "SEED=\(seed)")
      }
      #expect(log.count == kept.count, "SEED=\(seed)")
      #expect(log[key]?.message == kept[key], "SEED=\(seed)")
      guard random.chance(0.1) else { continue }
      log.sortIn()
      let sorted = kept.values.sorted { ($0.timestamp, $0.key) < ($1.timestamp, $1.key) }
      #expect(log.entries.map(\.message) == sorted, "SEED=\(seed)")
    }
  }
}

@Test func `another spelling of a key is the same message in the same place`() {
  let spellings = ["messages/\u{e9}", "messages/e\u{301}"]
  for (first, second) in zip(spellings, spellings.reversed()) {
    var log = MessageLog([message(first, at: 1, "one")], seen: 10)
    #expect(log[second]?.message.text == "one")
    log.put(message(second, at: 1, "two"), seen: 10, change: 1)
    #expect(log.entries.map(\.message.text) == ["two"])
    #expect(log.entries.map { Array($0.message.key.utf8) } == [Array(first.utf8)])
    let removed = log.remove(second, change: 2)
    #expect(removed?.message.text == "two")
    #expect(log.count == 0 && log.entries.isEmpty)
  }
}

@Test func `a clock that is ahead does not pin a message below those that follow`() {
  var log = MessageLog([], seen: 0)
  log.put(message("liar", at: .max), seen: 100, change: 1)
  log.put(message("later", at: 150), seen: 150, change: 2)
  log.put(message("negative", at: .min), seen: 200, change: 3)
  log.sortIn()
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

internal import DatTesting
internal import Foundation
internal import HypercoreCrypto
internal import HyperDB
internal import Saga

extension Attack {
  /// The number of large messages that are sent: a debug build reads them too slowly for all.
  private static var largeMessages: Int {
    #if DEBUG
      300
    #else
      4_000
    #endif
  }

  /// Attacks by a writer on the messages of others.
  static let ownership: [Attack] = [
    room(44, "another's messages written over and deleted, by a feed that sorts first") { scene in
      let evil = try EvilWriter(scene.key, sortingBefore: scene.key)
      try await evil.join(scene.victim.port)
      try await evil.say("sound before")
      try await scene.said("a sound message", "sound before")
      let before = await scene.messages()
      let victims = before.filter { $0.feed == scene.key }
      try require(!victims.isEmpty, "the victim has no message")
      // With clocks that claim to know nothing of it, what was there, and more than there is.
      for message in before where message.feed != evil.pair.publicKey {
        for clock in [0, message.seq, message.seq + 1, 1 << 40] {
          let content = MessageContent(
            text: "forged \(clock)", username: message.username, timestamp: message.timestamp)
          try await evil.append(message.key, content.value(key: message.key)) {
            $0.clock[0] = clock
          }
        }
        for clock in [0, message.seq + 1] {
          try await evil.append(message.key, []) {
            $0.value = nil
            $0.deleted = true
            $0.clock[0] = clock
          }
        }
        let content = MessageContent(
          text: "last forged", username: message.username, timestamp: message.timestamp)
        try await evil.append(message.key, content.value(key: message.key)) { $0.clock[0] = 0 }
      }
      try await evil.say("sound after")
      try await scene.said("a sound message", "sound after")
      try await scene.honestHears("sound after")
      let after = Dictionary(
        await scene.messages().map { ($0.id, $0) }, uniquingKeysWith: { one, _ in one })
      for message in before {
        let now = after[message.id]
        try require(now?.text == message.text, "\"\(message.text)\" is \(now?.text ?? "gone")")
        let isForged = message.feed != evil.pair.publicKey
        try require(now?.isEdited == false, "\"\(message.text)\" counts as edited")
        try require(now?.sharesKey == isForged, "\"\(message.text)\" is marked wrongly")
      }
      // The output about the victim's own messages: neither an edit nor a removal.
      let own = scene.key.hex
      for line in await scene.victim.process.lines
      where line.contains(#""event":"edit""#) || line.contains(#""event":"removal""#) {
        try require(!line.contains(own), "the victim's message was changed: \(line.prefix(300))")
      }
    },
    room(47, "\(largeMessages) messages of 65 KB", memory: 64 << 20) { scene in
      let evil = try EvilWriter(scene.key)
      try await evil.join(scene.victim.port)
      try await evil.say("sound before")
      try await scene.said("a sound message", "sound before")
      let text = String(repeating: "large ", count: 65_000 / 6)
      for number in 0..<Attack.largeMessages { try await evil.say("\(number) \(text)") }
      try await evil.say("the last of them")
      try await scene.said("the last message", "the last of them")
      try await scene.honestHears("sound before")
      let memory = scene.victim.memory() ?? 0
      try require(memory < 100_000_000 || isSanitized, "it holds \(memory >> 20) MiB")
    },
  ]
}

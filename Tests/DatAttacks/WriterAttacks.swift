internal import DatTesting
internal import Foundation
internal import HypercoreCrypto
internal import HyperDB
internal import Saga

extension Attack {
  /// An attack by a user that may write.
  private static func writer(
    _ row: Int, _ name: String, memory: Int = 16 << 20,
    _ body: @escaping @Sendable (RoomScene, EvilWriter) async throws -> Void
  ) -> Attack {
    room(row, name, memory: memory) { scene in
      let evil = try EvilWriter(scene.key)
      try await evil.join(scene.victim.port)
      // Valid messages are read, from before and from after.
      try await evil.say("sound before")
      try await scene.said("a sound message", "sound before")
      try await body(scene, evil)
      try await evil.say("sound after")
      try await scene.said("a sound message after bad entries", "sound after")
      try await scene.checkHonest("after bad entries")
      let sound = ["sound before", "sound after"]
      for text in sound { try await scene.honestHears(text) }
      // They arrived, and were not hidden by what came between.
      let texts = await scene.texts()
      for text in sound { try require(texts.contains(text), "\"\(text)\" is gone") }
    }
  }

  private static func varints(_ numbers: UInt64...) -> [UInt8] { numbers.flatMap(Raw.varint) }

  /// A deep nest of arrays in a message.
  private static let bomb =
    Array("{\"message\":".utf8) + [UInt8](repeating: UInt8(ascii: "["), count: 500_000)

  static let writers: [Attack] = [
    writer(22, "JSON bombs and wrong types as messages") { scene, evil in
      for (number, text) in [
        bomb, Array("{\"message\":7}".utf8), Array("[]".utf8), [], [0xff],
        Array("{\"message\":\"x\",\"timestamp\":1e308}".utf8),
      ].enumerated() {
        try await evil.append("messages/bomb/\(number)", text)
      }
      try await scene.said("word of what can't be read", #""event":"unreadable""#)
    },
    writer(26, "garbage tries, garbage blocks") { scene, evil in
      for trie in [
        [UInt8](repeating: 0xff, count: 100), [0, 1], varints(0, 32, 0, 1),
        varints(1 << 52, 1, 0, 1), varints(5, 1, 0, 1, 5, 1, 0, 1),
      ] {
        try await evil.append("messages/garbage", [1]) { $0.trie = trie }
      }
      for block in [[], [0xff], Array("hello".utf8), [UInt8](repeating: 0x0a, count: 5000)] {
        try await evil.append(block)
      }
      try await scene.said("word of a bad entry", #""event":"error""#)
    },
    writer(27, "a clock longer than the list of feeds, a value that is none") { _, evil in
      try await evil.append("messages/clock", [1]) { $0.clock = [1, 2, 3, 4, 5] }
      try await evil.append("messages/clock", [1]) { $0.clock = [UInt64](repeating: 1, count: 300) }
      try await evil.append("messages/clock", [1]) { $0.clock = [1 << 53, 1 << 53] }
      try await evil.append("messages/value", Array("{\"message\":".utf8))
    },
    writer(28, "a list that is to come in the future") { _, evil in
      for inflate in [1 << 50, 0, 1000] as [UInt64] {
        try await evil.append("messages/inflate", [1]) { $0.inflate = inflate }
      }
      try await evil.append("messages/inflate", [1]) { $0.inflate = nil }
    },
    writer(29, "2,000 feeds in one entry, 250 in another") { scene, evil in
      @Sendable func keys(_ count: Int) -> [[UInt8]] {
        (0..<count).map { [UInt8($0 & 255), UInt8($0 >> 8)] + [UInt8](repeating: 1, count: 30) }
      }
      let list = evil.list
      for count in [2000, 250] {
        let seq = await evil.nextSeq
        try await evil.append("messages/feeds", [1]) {
          $0.inflate = seq
          $0.feeds = list + keys(count)
          $0.clock = [0, seq + 1]
        }
      }
      try await scene.checkHonest("with 250 feeds")
      let names = FileManager.default.enumerator(atPath: scene.folder.path)?.allObjects.count ?? 0
      try require(names < 200, "\(names) files and folders for feeds without a block")
    },
    writer(30, "an entry that claims to have seen all, with an empty trie") { scene, evil in
      let before = await scene.texts()
      try await evil.append("messages/liar", [1]) { $0.clock = [1 << 40, $0.clock[1]] }
      try await evil.append("messages/liar", [1]) { $0.clock = [1, $0.clock[1]] }
      try await scene.checkHonest("with a liar")
      let after = Set(await scene.texts())
      for text in before { try require(after.contains(text), "\"\(text)\" is hidden") }
    },
    writer(31, "tries in circles, 200,000 segments, a key of 1 MB") { _, evil in
      // Each entry points from every level to the two before it.
      for number in 0..<24 {
        let seq = await evil.nextSeq
        guard seq > 2 else { continue }
        var trie: [UInt8] = []
        for level in 0..<32 as Range<UInt64> {
          trie += varints(level, 15) + (0..<4).flatMap { _ in varints(3, seq - 1, 2, seq - 2) }
        }
        let bytes = trie
        try await evil.append("messages/circle/\(number)", [1]) { $0.trie = bytes }
      }
      try await evil.append(String(repeating: "x/", count: 200_000) + "y", [1])
      try await evil.append(String(repeating: "z", count: 1_000_000), [1])
    },
    writer(32, "1,000 messages at once, one of 4 MB") { scene, evil in
      for number in 0..<1000 { try await evil.say("spam \(number)") }
      try await evil.say(String(repeating: "y", count: 4 << 20))
      try await evil.say(String(repeating: "w", count: 100_000))
      try await scene.said("the last spam", "spam 999")
      let longest = await scene.texts().map(\.utf8.count).max() ?? 0
      try require(longest <= 65_536 + 16, "a message of \(longest) bytes is shown")
    },
    writer(32, "40 entries of 2 MB at once") { scene, evil in
      let large = [UInt8](repeating: 7, count: 2 << 20)
      for number in 0..<40 { try await evil.append("messages/large/\(number)", large) }
      try await evil.say("the last of many")
      try await scene.said("the last message", "the last of many")
    },
    writer(33, "false times, and messages of others written over") { scene, evil in
      let before = await scene.texts()
      let far = MessageContent(text: "far", username: "evil", timestamp: .max)
      try await evil.append("messages/time", far.value(key: "messages/time"))
      for (key, seq) in await scene.messagesOfVictim() {
        let content = MessageContent(text: "overwritten", username: "victim", timestamp: 1)
        try await evil.append(key, content.value(key: key)) { $0.clock[0] = seq + 1 }
      }
      try await scene.said("the evil writer's own message", #""message":"overwritten""#)
      let after = Set(await scene.texts())
      for text in before { try require(after.contains(text), "\"\(text)\" was written over") }
    },
    writer(34, "control characters in a message") { scene, evil in
      try await evil.say("begin \u{1b}]0;evil\u{7}\u{202e}\u{200b}\u{0}\u{9b}\r\n end")
      try await scene.said("the message", "begin ")
      let scalars = await scene.victim.process.lines.joined().unicodeScalars
      let bad = scalars.first { $0.value < 32 || (0x7f..<0xa0).contains($0.value) }
      try require(bad == nil, "U+\(String(bad?.value ?? 0, radix: 16)) was printed as it came")
    },
    writer(38, "keys that look like paths") { scene, evil in
      let before = Set(
        FileManager.default.enumerator(atPath: scene.folder.path)?.allObjects.compactMap {
          $0 as? String
        } ?? [])
      for key in ["../../evil", "/etc/evil", "messages/../../evil", "a\u{0}b", "messages/.", "~"] {
        try await evil.append(key, [1])
      }
      try await scene.checkHonest("with strange keys")
      let after = Set(
        FileManager.default.enumerator(atPath: scene.folder.path)?.allObjects.compactMap {
          $0 as? String
        } ?? [])
      let new = after.subtracting(before)
      let hex = Set("0123456789abcdef")
      for path in new {
        for part in path.split(separator: "/") where part.contains("evil") || part == ".." {
          throw AttackFailure("the folder has \(path)")
        }
      }
      try require(
        after.allSatisfy { path in
          !path.hasPrefix("room/peers/") || path.split(separator: "/")[2].allSatisfy(hex.contains)
        }, "a folder of a feed is not named by hex: \(after.sorted().suffix(3))")
      let mode = try FileManager.default.attributesOfItem(atPath: scene.folder.path + "/room")[
        .posixPermissions]
      try require((mode as? Int) == 0o700, "the room's folder has mode \(String(describing: mode))")
    },
  ]
}

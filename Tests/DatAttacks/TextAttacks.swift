internal import DatTesting
internal import Foundation
internal import HypercoreCrypto
internal import HyperDB
internal import Saga

extension Attack {
  /// The most processor time for a megabyte in each of seven fields, including the entries around it and the
  /// honest messages meanwhile: 50 ms each. Quadratic code takes minutes for one.
  private static var textSeconds: Double {
    #if DEBUG
      isSanitized ? 120 : 12
    #else
      isSanitized ? 20 : 0.7
    #endif
  }

  /// The characters that show nothing or affect the text around them, as far as people have used them.
  private static let hidden =
    "\u{7f}\u{80}\u{85}\u{9b}2J\u{9d}0;t\u{9c}\u{ad}\u{61c}\u{115f}\u{1160}\u{180e}\u{200b}\u{200e}\u{2028}"
    + "\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{2800}\u{3164}\u{feff}\u{ffa0}\u{fff9}\u{e0041}"

  /// Attacks by text itself.
  static let texts: [Attack] = [
    room(
      42, "a megabyte of combining marks in each field of messages and user data", memory: 64 << 20
    ) {
      scene in
      let evil = try EvilWriter(scene.key)
      try await evil.join(scene.victim.port)
      try await evil.say("sound before")
      try await scene.said("a sound message", "sound before")
      let before = scene.victim.cpu()
      let (slow, half) = (slowText(bytes: 1_000_000), slowText(bytes: 500_000))
      let values = [
        #"{"message":"\#(slow)"}"#, #"{"message":"x","username":"\#(slow)"}"#,
        #"{"\#(slow)":1,"message":"x"}"#, #"{"\#(half)":1,"\#(half)":2,"message":"x"}"#,
        #"{"message":{"\#(half)":"\#(half)"}}"#, #"{"message":"x","timestamp":"\#(slow)"}"#, slow,
      ]
      for (number, value) in values.enumerated() {
        try await evil.append("messages/slow/\(number)", Array(value.utf8))
      }
      // As long as a key may be.
      try await evil.append(
        "messages/" + slowText(bytes: 4_000),
        MessageContent(text: "x", username: "x", timestamp: 1).value(key: "messages/x"))
      try await evil.say("sound after")
      try await scene.said("a sound message after slow ones", "sound after")
      for number in 0...3 {
        try await scene.said("message \(number) of the slow ones", "messages/slow/\(number)")
      }
      for field in ["username", "key", slowText(bytes: 20_000)] {
        let data = #"{"\#(field)":"\#(slowText(bytes: 20_000))","key":"x"}"#
        let attacker = try await scene.attacker(
          handshake: [0x10, 0x01] + Raw.field(3, Array(data.utf8)))
        try await blocking { try attacker.expectOpen("slow user data") }
      }
      let name = UserData(
        key: KeyPair.generate().publicKey, username: slowText(bytes: 60_000), timestamp: 1)
      let attacker = try await scene.attacker(
        handshake: [0x10, 0x01] + Raw.field(3, name.bytes))
      try await blocking { try attacker.expectOpen("a slow name") }
      try await scene.checkHonest("among slow texts")
      if let before, let now = scene.victim.cpu() {
        try require(now - before < textSeconds, "reading them took \(now - before) s")
      }
    },
    room(59, "controls, DEL and direction marks in everything a writer can name") { scene in
      let evil = try EvilWriter(scene.key)
      try await evil.join(scene.victim.port)
      let value = MessageContent(text: "t\(hidden)", username: "n\(hidden)", timestamp: 1)
      try await evil.append("messages/k\(hidden)", value.value(key: "messages/k\(hidden)"))
      // A message that can't be read is reported by its key.
      try await evil.append("messages/u\(hidden)", [1])
      try await scene.said("word of what can't be read", #""event":"unreadable""#)
      let data = UserData(key: KeyPair.generate().publicKey, username: hidden, timestamp: 1)
      let attacker = try await scene.attacker(
        handshake: [0x10, 0x01] + Raw.field(3, data.bytes))
      try await blocking { try attacker.expectOpen("a hidden name") }
      try await evil.say("sound after")
      try await scene.said("a sound message", "sound after")
      let printed = await scene.victim.process.lines.joined(separator: "\n")
      for scalar in hidden.unicodeScalars where !("0"..."z").contains(scalar) {
        try require(
          !printed.unicodeScalars.contains(scalar),
          "U+\(String(scalar.value, radix: 16)) was printed as it came")
      }
      try require(printed.contains("\\u202e"), "nothing of it was printed")
    },
  ]
}

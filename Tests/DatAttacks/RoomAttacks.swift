internal import DatTesting
internal import Foundation
internal import HypercoreCrypto
internal import HypercoreProtocol
internal import Saga

extension Attack {
  static let rooms: [Attack] = [
    room(8, "a claim to have block 1,000 of a writer that has few") { scene in
      let attacker = try await scene.attacker()
      try await blocking {
        attacker.send(Raw.frame(0, 3, Body.numbers((1, 999))))
        attacker.send(Raw.frame(0, 3, Body.numbers((1, 0), (2, 1 << 20))))
        attacker.listen(seconds: 0.2)
      }
      // Two puts: while the liar is there, and after.
      try await scene.checkHonest("while a peer lies")
      try await scene.checkHonest("while a peer lies, again")
    },
    room(19, "a recorded join, played again") { scene in
      let newcomer = KeyPair.generate().publicKey
      let data = UserData(key: newcomer, username: "newcomer", timestamp: 1)
      let original = try await scene.attacker(
        handshake: [0x10, 0x01] + Raw.field(3, data.bytes))
      let recording = try await blocking { () -> [UInt8] in
        original.send(Raw.frame(0, 7, Body.numbers((1, 0))))
        original.listen { if case .handshake = $0 { true } else { false } }
        return original.sent
      }
      try await scene.said("the newcomer's join", #""username":"newcomer""#)
      try await within("the newcomer's authorization") {
        while await !scene.isAuthorized(newcomer) {
          try Task.checkCancellation()
          try await Task.sleep(for: .milliseconds(20))
        }
      }
      try await scene.checkHonest("after the join")
      let before = await scene.feedCount()
      let thief = try await scene.attacker(greets: false)
      try await blocking {
        thief.sendClear(recording)
        try thief.expectClosed("a recording")
      }
      try await scene.checkHonest("after the replay")
      try require(await scene.feedCount() == before, "a replay brought a feed into the room")
    },
    room(22, "JSON bombs and wrong types as user data") { scene in
      let deep = [UInt8](repeating: UInt8(ascii: "["), count: 60_000)
      let texts: [[UInt8]] = [
        deep, Array("{\"key\":".utf8) + deep, Array("{\"key\":7,\"username\":[]}".utf8),
        Array("null".utf8), [], [0xff, 0xfe], Array("{\"key\":[\(1e300),2]}".utf8),
        Array(("{" + String(repeating: "\"a\":1e999,", count: 6000) + "\"b\":0}").utf8),
        Array("{\"key\":{\"type\":\"Buffer\",\"data\":[256,-1]},\"username\":\"\\ud800\"}".utf8),
      ]
      for text in texts {
        let attacker = try await scene.attacker(handshake: [0x10, 0x01] + Raw.field(3, text))
        try await blocking {
          try attacker.expectOpen("user data \(String(decoding: text.prefix(20), as: UTF8.self))")
        }
      }
      try await scene.checkHonest("while it is attacked")
    },
    room(25, "40 newcomers with fresh keys at once") { scene in
      let before = await scene.feedCount()
      var attackers: [Attacker] = []
      for number in 0..<40 {
        let data = UserData(
          key: KeyPair.generate().publicKey, username: "junk \(number)", timestamp: 1)
        attackers.append(
          try await scene.attacker(handshake: [0x10, 0x01] + Raw.field(3, data.bytes)))
      }
      try await scene.said("word of those who have to wait", #""event":"waiting""#)
      try await scene.checkHonest("among newcomers")
      let added = await scene.feedCount() - before
      try require(added <= 30, "\(added) newcomers were let in within a minute")
      attackers = []
    },
    room(25, "a key that is none") { scene in
      let before = await scene.feedCount()
      for count in [0, 31, 33, 64] {
        let numbers = (0..<count).map { "\($0)" }.joined(separator: ",")
        let text = "{\"key\":{\"type\":\"Buffer\",\"data\":[\(numbers)]},\"username\":\"x\"}"
        let attacker = try await scene.attacker(
          handshake: [0x10, 0x01] + Raw.field(3, Array(text.utf8)))
        try await blocking { try attacker.expectOpen("a key of \(count) bytes") }
      }
      try await scene.checkHonest("while it is attacked")
      try require(await scene.feedCount() == before, "a key that is none was let in")
    },
    room(34, "control characters in a name") { scene in
      let name = "\u{1b}[2J\u{202e}\u{0}\r\nevil"
      let data = UserData(key: KeyPair.generate().publicKey, username: name, timestamp: 1)
      let attacker = try await scene.attacker(
        handshake: [0x10, 0x01] + Raw.field(3, data.bytes))
      try await scene.said("the join", "2J")
      let bytes = await scene.victim.process.lines.joined(separator: "\n").utf8
      try require(!bytes.contains(0x1b), "an escape was printed as it came")
      try require(!bytes.contains(0), "a zero byte was printed as it came")
      try await blocking { try attacker.expectOpen("a name") }
    },
  ]
}

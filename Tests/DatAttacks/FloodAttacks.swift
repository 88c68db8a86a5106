internal import DatTesting
internal import Foundation
internal import HypercoreCrypto
internal import HypercoreProtocol

extension Attack {
  private static let large = FeedScene.Options(count: 8, size: 1 << 20)
  /// A Data message of 8 MiB whose last quarter never arrives.
  private static let unfinished: [UInt8] =
    Raw.varint(8_000_000) + [0x09, 0x08, 0x01, 0x12]
    + Raw.varint(7_999_000) + [UInt8](repeating: 1, count: 6_000_000)

  static let claims: [Attack] = [
    feed(10, "1,500 Requests of 1 MB, and nothing read", large) { scene in
      let attacker = try await scene.attacker()
      try await blocking {
        for _ in 0..<1500 { attacker.send(Raw.frame(0, 7, Body.numbers((1, 0)))) }
      }
      await scene.victim.settle()
      try await scene.checkHonest("while nothing is read")
    },
    feed(10, "20,000 Requests, and nothing read", large) { scene in
      let attacker = try await scene.attacker()
      try await blocking {
        let requests = (0..<20_000).flatMap { _ in Raw.frame(0, 7, Body.numbers((1, 0))) }
        attacker.send(requests)
        try attacker.expectClosed("20,000 requests")
      }
      try await scene.checkHonest("while it is attacked")
    },
  ]

  static let floods: [Attack] = [
    feed(23, "no handshake, a byte a second; half a frame", node: false) { scene in
      let silent = try await scene.attacker(greets: false)
      let slow = try await scene.attacker(greets: false)
      let half = try await scene.attacker()
      try await blocking {
        slow.sayFeed()
        half.send(Raw.varint(1000) + [0x09])
        // The handshake's deadline is 5 s, whatever trickles in.
        for _ in 0..<12 where !slow.isClosed {
          slow.send([0x00])
          slow.listen(seconds: 1)
        }
        try slow.expectClosed("a byte a second without a handshake", seconds: 2)
        try silent.expectClosed("not a byte", seconds: 4)
      }
      // The 60 s for a frame, on a clock that is set.
      try expectFrameDeadline()
      try await scene.checkHonest("while it is attacked")
    },
    feed(24, "100 connections, of which 64 are taken", memory: 64 << 20) { scene in
      var attackers: [Attacker] = []
      for _ in 0..<100 { attackers.append(try await scene.attacker()) }
      let all = attackers
      let taken = try await blocking {
        all.filter { attacker in
          attacker.listen { if case .handshake = $0 { true } else { false } } != nil
        }.count
      }
      // One slot is the honest peer's.
      try require(taken == 63, "\(taken) of 100 connections were taken")
      try await scene.checkHonest("among 63 others")
      attackers = []
    },
    feed(24, "a connection that leads back to the victim itself", node: false) { scene in
      let ear = try await scene.attacker()
      let id = try await blocking {
        guard
          case .handshake(let handshake)? = ear.listen(for: {
            if case .handshake = $0 { true } else { false }
          }), let id = handshake.id
        else { throw AttackFailure("no handshake") }
        return id
      }
      let mirror = try await scene.attacker(handshake: Raw.field(1, id) + [0x10, 0x01])
      try await blocking { try mirror.expectClosed("its own id") }
    },
    feed(24, "6 of 8 MiB of a frame", node: false) { scene in
      let attacker = try await scene.attacker()
      try await blocking { attacker.send(unfinished) }
      await scene.victim.settle()
      try await scene.checkHonest("while a frame is unfinished")
    },
    feed(
      24, "6 of 8 MiB of a frame on each of 100 connections", .init(connections: 128),
      memory: 256 << 20, node: false
    ) { scene in
      var attackers: [Attacker] = []
      for _ in 0..<100 { attackers.append(try await scene.attacker()) }
      let all = attackers
      try await blocking { for attacker in all { attacker.send(unfinished, patience: 0.1) } }
      await scene.victim.settle()
      try await scene.checkHonest("while 100 frames are unfinished")
    },
    feed(20, "bits changed on their way") { scene in
      var random = SeededRandom(seed: 20)
      for _ in 0..<20 {
        let attacker = try await scene.attacker()
        var bytes = (0..<20).flatMap { Raw.have(0, $0) + Raw.frame(0, 7, Body.numbers((1, $0))) }
        for _ in 0..<4 {
          bytes[Int.random(in: bytes.indices, using: &random)] ^= UInt8.random(
            in: 1...255, using: &random)
        }
        let changed = bytes
        try await blocking {
          attacker.send(changed)
          attacker.listen(seconds: 0.02)
        }
      }
      try await scene.checkHonest("while bits change")
    },
  ]

  /// Checks that a frame that began must end in time, with a clock that the test sets.
  private static func expectFrameDeadline() throws {
    let start = Connection.Instant.now
    var options = Connection.Options(id: [1], nonce: .random())
    options.isEncrypted = false
    let connection = Connection(options: options, now: start)
    let pair = KeyPair.generate()
    _ = try connection.open(pair.publicKey)
    try connection.receive(
      Raw.feed(0, pair.publicKey.discoveryKey) + Raw.handshake() + [100, 9], now: start)
    while try connection.nextEvent() != nil {}
    for second in 1..<60 {
      let now = start.advanced(by: .seconds(second))
      try connection.receive([0x01], now: now)
      while try connection.nextEvent() != nil {}
      try connection.tick(now: now)
    }
    do {
      try connection.tick(now: start.advanced(by: WireLimits.frameDuration))
    } catch {
      return try require(error.code == .frameTimedOut, "\(error)")
    }
    throw AttackFailure("a frame took longer than 60 s")
  }
}

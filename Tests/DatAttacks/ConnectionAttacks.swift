internal import DatSwarm
internal import DatTesting
internal import Foundation
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol
internal import RandomAccessStorage
internal import Saga

/// Attacks on the choice of connections, and on the identity of peers.
extension Attack {
  private static func room(
    _ row: Int, _ name: String, options: [String], memory: Int = 16 << 20,
    _ body: @escaping @Sendable (RoomScene) async throws -> Void
  ) -> Attack {
    Attack(row: row, name: name, memoryLimit: memory, isForNode: false) { _ in
      let scene = try await RoomScene(options)
      return try await scene.measure { try await body(scene) }
    }
  }

  /// A user's handshake.
  private static func handshake(
    id: [UInt8]? = nil, _ user: UserData? = nil, extensions: [String] = []
  ) -> [UInt8] {
    (id.map { Raw.field(1, $0) } ?? []) + [0x10, 0x01]
      + (user.map { Raw.field(3, $0.bytes) } ?? [])
      + extensions.flatMap { Raw.field(4, Array($0.utf8)) }
  }

  private static func greets(_ event: Connection.Event) -> Bool {
    if case .handshake = event { true } else { false }
  }

  static let connections: [Attack] = [
    room(48, "a connection that claims the id of the honest peer") { scene in
      let id = try await scene.honest.replicate().id
      var liars: [Attacker] = []
      for extensions in [[], ["dat-swift/proof"]] {
        for _ in 0..<4 {
          let liar = try await scene.attacker(
            handshake: handshake(id: id, extensions: extensions))
          try await blocking {
            try require(liar.listen(for: greets) != nil, "the liar is no peer")
            // It sends back every proof that it receives, and makes some up.
            for byte in 0..<8 as Range<UInt8> where !extensions.isEmpty {
              liar.send(
                Raw.frame(0, 15, [0] + [1] + [UInt8](repeating: byte, count: 32)))
            }
            liar.listen(seconds: 0.2)
          }
          liars.append(liar)
        }
        // The honest peer connected once, and does not reconnect.
        try await scene.checkHonest("beside liars of its name")
      }
      for liar in liars { try await blocking { try liar.expectOpen("a liar") } }
      liars = []
    },
    room(49, "one address opens all places and idles", memory: 64 << 20) { scene in
      var crowd: [Attacker] = []
      for _ in 0..<80 { crowd.append(try await scene.attacker(from: "127.0.0.9")) }
      let all = crowd
      let taken = try await blocking { all.count { $0.listen(for: greets) != nil } }
      // One slot is the honest peer's.
      try require(taken == 63, "\(taken) of 80 connections were taken")
      // A peer from another address arrives, and reads the room.
      let newcomer = try await Saga.open(
        storage: MemoryStorage(), key: scene.key, username: "newcomer")
      let pump = Task { [port = scene.victim.port] in await RoomScene.connect(newcomer, port) }
      try await within("the newcomer's authorization") {
        while await !newcomer.db.isLocalAuthorized {
          try Task.checkCancellation()
          try await Task.sleep(for: .milliseconds(20))
        }
      }
      try await scene.checkHonest("while all places are taken")
      pump.cancel()
      await newcomer.close()
      crowd = []
    },
    room(
      49, "one address has as many places as it is given", options: ["--max-per-loopback", "5"]
    ) { scene in
      var crowd: [Attacker] = []
      for _ in 0..<20 { crowd.append(try await scene.attacker(from: "127.0.0.9")) }
      let all = crowd
      let taken = try await blocking { all.count { $0.listen(seconds: 2, for: greets) != nil } }
      try require(taken == 5, "\(taken) of 20 connections were taken")
      crowd = []
    },
    Attack(
      row: 50, name: "1,000 connections that come and go", memoryLimit: 32 << 20, isForNode: false
    ) { _ in
      let scene = try await CrowdScene()
      return try await scene.measure { try await scene.comeAndGo(1_000) }
    },
    Attack(row: 55, name: "50 made-up keys ask to write", memoryLimit: 64 << 20, isForNode: false) {
      _ in
      let scene = try await AskingScene()
      return try await scene.victim.measure {
        try await scene.askInOthersNames()
      } after: {
      }
    },
  ]
}

/// A room in a terminal, which a crowd visits.
private final class CrowdScene: Sendable {
  private let folder: TemporaryFolder
  private let process: DatProcess
  private let key: PublicKey
  private let port: Int

  init() async throws {
    folder = try TemporaryFolder()
    process = try await DatProcess(
      ["chat", folder.path + "/room", "--name", "victim", "--listen", "127.0.0.1:0"],
      executable: Victim.command)
    let started = process
    let link = try await within("the victim's start") {
      try await started.line(containing: "dat://")
    }
    let listening = try await within("the victim's listening") {
      try await started.line(containing: "listening on ")
    }
    guard let key = PublicKey(hex: link.suffix(64)),
      let port = listening.split(separator: ":").last.flatMap({ Int($0) })
    else { throw AttackFailure("the victim does not listen") }
    (self.key, self.port) = (key, port)
  }

  func measure(_ attack: () async throws -> Void) async throws -> Cost {
    let start = Date()
    try await attack()
    var cost = Cost()
    cost.time = Date().timeIntervalSince(start)
    return cost
  }

  func comeAndGo(_ count: Int) async throws {
    let (port, key) = (port, key)
    try await blocking {
      for number in 0..<count {
        let user = UserData(
          key: KeyPair.generate().publicKey, username: "user \(number)", timestamp: 1)
        let attacker = try Attacker(port, key, handshake: [0x10, 0x01] + Raw.field(3, user.bytes))
        attacker.listen { if case .handshake = $0 { true } else { false } }
      }
    }
    let process = process
    await process.send("the room goes on")
    try await within("the victim's own message") {
      _ = try await process.line(containing: "victim: the room goes on")
    }
    try await within("the summary") {
      _ = try await process.line(containing: "--verbose shows each")
    }
    let lines = await process.lines
    // A few lines before the crowd is noticed: connections, joins, and peers that have to wait.
    try require(lines.count < 80, "\(lines.count) lines were shown; \(lines.suffix(3))")
    await process.signal(SIGINT)
  }
}

/// A room that asks its owner about newcomers.
private struct AskingScene {
  let victim: Victim
  private let folder: TemporaryFolder
  private let key: PublicKey

  init() async throws {
    folder = try TemporaryFolder()
    victim = try await Victim([
      "chat", folder.path + "/room", "--name", "victim", "--listen", "127.0.0.1:0", "--json",
      "--authorize", "ask",
    ])
    guard let key = PublicKey(hex: victim.key) else { throw AttackFailure("no key") }
    self.key = key
  }

  func askInOthersNames() async throws {
    let (port, key, process) = (victim.port, key, victim.process)
    let owner = try await Saga.open(storage: MemoryStorage(), key: key, username: "owner")
    let hex = owner.db.localKey.hex
    let rude = UserData(key: owner.db.localKey, username: "a rude name", timestamp: 1)
    let crowd = try await blocking {
      // Another user's key under a rude name, from peers that could prove it and from those that
      // couldn't.
      let claims = try ["dat-swift/proof", "other"].map { name in
        try Attacker(
          port, key,
          handshake: [0x10, 0x01] + Raw.field(3, rude.bytes) + Raw.field(4, Array(name.utf8)))
      }
      // Of 64 slots, a few are left for the others.
      return try claims
        + (0..<50).map { number in
          let user = UserData(
            key: KeyPair.generate().publicKey, username: "junk \(number)", timestamp: 1)
          return try Attacker(port, key, handshake: [0x10, 0x01] + Raw.field(3, user.bytes))
        }
    }
    let pump = Task { await RoomScene.connect(owner, port) }
    @Sendable func requests(_ words: String...) async -> Int {
      await process.lines.count { line in
        line.contains(#""event":"request""#) && words.allSatisfy(line.contains)
      }
    }
    try await within("the owner's proven request") {
      while await requests(hex, #""proven":true"#, #""username":"owner""#) == 0 {
        try Task.checkCancellation()
        try await Task.sleep(for: .milliseconds(20))
      }
    }
    await victim.settle()
    let unproven = await requests(#""proven":false"#)
    try require(unproven <= 3, "\(unproven) unproven requests of one address were shown")
    try require(await requests(hex, #""proven":true"#, "rude") == 0, "a rude name was proven")
    pump.cancel()
    await owner.close()
    withExtendedLifetime(crowd) {}
  }
}

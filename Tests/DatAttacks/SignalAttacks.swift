internal import DatSignal
internal import DatTesting
internal import Foundation
internal import HypercoreCrypto

/// Attacks by those that meet a room's peers at a signal hub, and on hubs.
extension Attack {
  private static func met(
    _ row: Int, _ name: String, memory: Int = 32 << 20,
    _ body: @escaping @Sendable (SignalScene) async throws -> Void
  ) -> Attack {
    Attack(row: row, name: name, memoryLimit: memory, isForNode: false) { _ in
      let scene = try await SignalScene()
      return try await scene.room.victim.measure {
        try await body(scene)
      } after: {
        try await scene.room.checkHonest("after the attack")
        try await scene.checkNewcomer()
      }
    }
  }

  /// A description like a browser's that contains these lines.
  private static func description(_ lines: String = "") -> String {
    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
      + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
      + "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijklmn\r\na=setup:actpass\r\na=mid:0\r\n"
      + lines
  }

  private static let fingerprint =
    "a=fingerprint:sha-256 " + (0..<32).map { _ in "AB" }.joined(separator: ":") + "\r\n"

  static let signals: [Attack] = [
    met(71, "400 made-up peers at a hub, each of which offers and never connects") { scene in
      let stranger = try await scene.stranger("stranger")
      let victim = try await stranger.victim()
      for number in 0..<200 {
        let id = "made up \(number)"
        stranger.hub.post(.connect(from: id, isNative: number % 2 == 0), to: "all")
        stranger.hub.post(
          .signal(from: id, .description(isOffer: true, sdp: description(fingerprint))), to: victim)
      }
      try await scene.checkNewcomer()
      await stranger.hub.close()
    },
    met(72, "descriptions of 60 KB: 2,000 candidates, no fingerprint, no end of candidates") {
      scene in
      let stranger = try await scene.stranger("stranger")
      let victim = try await stranger.victim()
      let candidate = "a=candidate:1 1 udp 7 127.0.0.1 9 typ host\r\n"
      let many = String(repeating: candidate, count: 1200)
      for lines in [
        fingerprint + many, many, fingerprint, String(repeating: "a=\r\n", count: 14_000),
      ] {
        stranger.hub.post(
          .signal(from: "long", .description(isOffer: true, sdp: description(lines))), to: victim)
        try await Task.sleep(for: .milliseconds(50))
      }
      for port in 1...200 {
        stranger.hub.post(
          .signal(
            from: "long", .candidate("candidate:1 1 udp 7 127.0.0.1 \(port) typ host")), to: victim)
      }
      try await scene.room.checkHonest("while it is attacked")
      await stranger.hub.close()
    },
    Attack(
      row: 73, name: "a hub: large messages, half requests, thousands of names",
      memoryLimit: 32 << 20, isForNode: false
    ) { _ in
      let hub = try await Victim(
        ["signal", "--json", "--listen", "127.0.0.1:0"], saysReady: false)
      let url = "127.0.0.1:\(hub.port)"
      return try await hub.measure {
        try await blocking {
          var held: [LoopbackSocket] = []
          for number in 0..<200 {
            let socket = try LoopbackSocket(hub.port, from: "127.0.0.2")
            let name = String(repeating: "n", count: 250)
            switch number % 3 {
            case 0: socket.send("GET /v1/\(name)/all HTTP/1.1\r\nhost: x\r\n")
            case 1: socket.send("GET /v1/\(name)\(number)/all HTTP/1.1\r\nhost: x\r\n\r\n")
            default:
              let body = String(repeating: "x", count: 65_000)
              socket.send(
                "POST /v1/r/all HTTP/1.1\r\nhost: x\r\ncontent-length: \(body.utf8.count)\r\n\r\n"
                  + body)
            }
            held.append(socket)
          }
          usleep(200_000)
          withExtendedLifetime(held) {}
        }
      } after: {
        try await SignalScene.checkMeeting("ws://" + url, "http://" + url)
      }
    },
  ]
}

/// A room that the victim keeps open, and the hub at which it is met.
final class SignalScene: Sendable {
  let room: RoomScene
  private let hub: Victim
  private let url: String

  init() async throws {
    hub = try await Victim(["signal", "--json", "--listen", "127.0.0.1:0"], saysReady: false)
    url = "ws://127.0.0.1:\(hub.port)"
    room = try await RoomScene(["--signal", url, "--no-lan"])
  }

  /// A peer that knows the room's discovery key.
  struct Stranger {
    let hub: SignalHub

    /// The victim's id: only the victim says that it is native.
    func victim() async throws -> String {
      let hub = hub
      return try await within("the victim at the hub") {
        for await event in hub.events {
          if case .message(.connect(let from, isNative: true)) = event { return from }
        }
        throw AttackFailure("the hub ended")
      }
    }
  }

  func stranger(_ id: String) async throws -> Stranger {
    let address = try HubAddress(parsing: url)
    return Stranger(
      hub: SignalHub(address, application: room.key.discoveryKey.hex, id: id))
  }

  /// Checks that a peer that knows only the key and the hub gets the room's messages.
  func checkNewcomer() async throws {
    let newcomer = try await DatProcess(
      [
        "chat", "--memory", room.folder.path + "/none", room.key.hex, "--name", "newcomer",
        "--json", "--stay", "--no-lan", "--listen", "127.0.0.1:0", "--signal", url,
      ], executable: Victim.command)
    try await within("a newcomer's first message by the hub") {
      _ = try await newcomer.line(containing: "from the victim")
    }
    await newcomer.signal(SIGKILL)
    _ = await newcomer.status()
  }

  /// Checks that two clients of a hub hear each other.
  static func checkMeeting(_ one: String, _ other: String) async throws {
    let ana = SignalHub(try HubAddress(parsing: one), application: "room", id: "ana")
    let bea = SignalHub(try HubAddress(parsing: other), application: "room", id: "bea")
    try await within("two clients of the hub") {
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          for await event in bea.events {
            if case .message(.connect(from: "ana", isNative: true)) = event { return }
          }
        }
        group.addTask {
          while !Task.isCancelled {
            ana.post(.connect(from: "ana", isNative: true), to: "all")
            try? await Task.sleep(for: .milliseconds(100))
          }
        }
        await group.next()
        group.cancelAll()
      }
    }
    await ana.close()
    await bea.close()
  }
}

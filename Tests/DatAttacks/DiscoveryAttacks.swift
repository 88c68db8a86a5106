internal import DatDNS
internal import DatSwarm
internal import DatTesting
internal import Foundation
internal import HypercoreCrypto

/// Attacks on discovery: each goes on while two honest peers meet.
extension Attack {
  private static func rendezvous(
    _ row: Int, _ name: String,
    _ attack: @escaping @Sendable (RendezvousScene, Flood) throws -> Void
  ) -> Attack {
    Attack(row: row, name: name, memoryLimit: 16 << 20, isForNode: false) { _ in
      let scene = try await RendezvousScene()
      return try await scene.measure(attack)
    }
  }

  static let discovery: [Attack] = [
    rendezvous(51, "1,024 announcements of one socket, again and again") { scene, flood in
      let socket = try scene.socket()
      let token = try scene.token(socket)
      var port = 0
      while !flood.isOver {
        port = port % 1024 + 1
        socket.send(scene.question([scene.topic], token: token, announcing: port))
        usleep(2_000)
      }
    },
    rendezvous(52, "one question eight times in a packet, over a topic of 128 places") {
      scene, flood in
      let sockets = try (0..<32).map { _ in try scene.socket() }
      for (number, socket) in sockets.enumerated() {
        let token = try scene.token(socket)
        for port in 1...32 {
          socket.send(
            scene.question([scene.topic], token: token, announcing: 32 * number + port))
        }
      }
      let token = try scene.token(sockets[0])
      let packet = scene.question(Array(repeating: scene.topic, count: 8), token: token)
      while !flood.isOver {
        sockets[0].send(packet)
        usleep(1_000)
      }
      while let answer = sockets[0].receive(seconds: 0.2) {
        try require(answer.count <= 1232, "an answer of \(answer.count) bytes")
        let answers = DNSMessage(decoding: answer)?.answers.count ?? 0
        try require(answers <= 1, "one question was answered \(answers) times")
      }
    },
    rendezvous(53, "4,000 questions without a valid token") { scene, flood in
      let socket = try scene.socket()
      let packets = [
        scene.probe, scene.question([scene.topic], token: nil),
        scene.question([scene.topic], token: "of somebody else", announcing: 7),
      ]
      var (sent, heard) = (0, 0)
      for number in 0..<4_000 {
        socket.send(packets[number % 3])
        sent += packets[number % 3].count
        usleep(200)
      }
      while let answer = socket.receive(seconds: 0.3) {
        heard += answer.count
        try require(answer.count <= 200, "an answer of \(answer.count) bytes without a token")
        try require(!answer.contains("peers="), "peers were told without a token")
      }
      try require(heard < sent, "\(sent) bytes of questions brought \(heard) bytes of answers")
      while !flood.isOver { usleep(10_000) }
    },
    Attack(
      row: 54, name: "17 packets of made-up ports on the local network", memoryLimit: 16 << 20,
      isForNode: false
    ) { _ in
      let start = Date()
      try await LANScene().meetAmidMadeUpPorts()
      var cost = Cost()
      cost.time = Date().timeIntervalSince(start)
      return cost
    },
  ]
}

extension [UInt8] {
  fileprivate func contains(_ text: String) -> Bool {
    let words = Array(text.utf8)
    return indices.contains { self[$0...].starts(with: words) }
  }
}

/// A flag that tells an attack when it may end.
final class Flood: Sendable {
  private let lock = NSLock()
  /// Unchecked: accessed under the lock only.
  private nonisolated(unsafe) var ended = false

  var isOver: Bool { lock.withLock { ended } }
  func end() { lock.withLock { ended = true } }
}

/// A UDP socket of an attacker. Its calls block.
final class Datagrams: Sendable {
  private let socket: Int32
  private let target: LoopbackAddress

  init(to host: String = "127.0.0.1", _ port: Int) throws {
    #if os(Linux)
      let kind = Int32(SOCK_DGRAM.rawValue)
    #else
      let kind = SOCK_DGRAM
    #endif
    socket = Foundation.socket(AF_INET, kind, 0)
    target = LoopbackAddress(host, port)
    try require(socket >= 0, "no socket")
    var size = Int32(4 << 20)
    setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
  }

  deinit { close(socket) }

  /// Sends packets to a group through the interface with this address.
  func multicast(by host: String) {
    var address = in_addr(s_addr: inet_addr(host))
    setsockopt(
      socket, Int32(IPPROTO_IP), IP_MULTICAST_IF, &address, socklen_t(MemoryLayout<in_addr>.size))
  }

  func send(_ bytes: [UInt8]) {
    _ = target.with { sendto(socket, bytes, bytes.count, 0, $0, $1) }
  }

  func receive(seconds: Double) -> [UInt8]? {
    var poller = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    guard poll(&poller, 1, Int32(seconds * 1000)) > 0 else { return nil }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = recv(socket, &buffer, buffer.count, 0)
    return count > 0 ? Array(buffer[..<count]) : nil
  }
}

/// A rendezvous server that is attacked, with the packets that are sent to it.
final class RendezvousScene: Sendable {
  private let victim: Victim
  let topic = DiscoveryQuestion.randomTopic()

  init() async throws {
    victim = try await Victim(
      ["rendezvous", "--listen", "127.0.0.1:0", "--json"], saysReady: false)
  }

  func socket() throws -> Datagrams { try Datagrams(victim.port) }

  var probe: [UInt8] {
    DNSMessage(
      id: 1, questions: [DNSQuestion(DNSName("dat.local"), type: DNSRecord.textType)]
    ).encoded() ?? []
  }

  func question(_ topics: [Topic], token: String?, announcing port: Int? = nil) -> [UInt8] {
    DiscoveryQuestion.bytes(topics, token: token, announcing: port)
  }

  func token(_ socket: Datagrams) throws -> String {
    socket.send(probe)
    while let answer = socket.receive(seconds: 5) {
      for record in DNSMessage(decoding: answer)?.answers ?? [] {
        guard case .text(let strings) = record.contents else { continue }
        for string in strings where string.starts(with: "token=".utf8) {
          return String(decoding: string.dropFirst(6), as: UTF8.self)
        }
      }
    }
    throw AttackFailure("the server gave no token")
  }

  /// Attacks while two honest peers of the topic meet, and returns the cost.
  func measure(_ attack: @escaping @Sendable (RendezvousScene, Flood) throws -> Void) async throws
    -> Cost
  {
    let flood = Flood()
    let attacking = Task { try await blocking { try attack(self, flood) } }
    try? await Task.sleep(for: .milliseconds(500))
    let server = PeerAddress(host: "127.0.0.1", port: victim.port)
    let topic = topic
    var longest = 0.0
    let cost = try await victim.measure {
      for round in 0..<3 {
        let one = RendezvousSource(servers: [server])
        let other = RendezvousSource(servers: [server])
        let start = Date()
        await one.join(topic, announcing: 50_000 + 2 * round)
        await other.join(topic, announcing: 50_001 + 2 * round)
        try await within("the meeting of two honest peers") {
          // Either finds the other.
          await withTaskGroup(of: Void.self) { group in
            for (source, port) in [(one, 50_001 + 2 * round), (other, 50_000 + 2 * round)] {
              group.addTask {
                for await finding in source.findings
                where finding.addresses.contains(where: { $0.port == port }) { return }
              }
            }
            await group.next()
            group.cancelAll()
          }
        }
        longest = max(longest, Date().timeIntervalSince(start))
        await one.close()
        await other.close()
      }
    } after: {
    }
    flood.end()
    try await attacking.value
    var told = cost
    // The time of the meetings, not of the attack.
    told.time = longest
    return told
  }
}

/// Questions of dns-discovery that are made by hand.
enum DiscoveryQuestion {
  static func randomTopic() -> Topic {
    var random = SystemRandomNumberGenerator()
    var topic = Topic()
    topic.withUnsafeMutableBytes { bytes in
      for index in bytes.indices { bytes[index] = .random(in: .min ... .max, using: &random) }
    }
    return topic
  }

  static func name(_ topic: Topic) -> DNSName { DNSName("\(topic.hex).dat.local") }

  static func text(_ fields: [String]) -> DNSRecord.Contents {
    .text(fields.map { Array($0.utf8) })
  }

  static func bytes(_ topics: [Topic], token: String?, announcing port: Int? = nil) -> [UInt8] {
    var message = DNSMessage(
      id: 2, questions: topics.map { DNSQuestion(name($0), type: DNSRecord.textType) })
    if let token {
      let announce = port.map { ["announce=\($0)"] } ?? []
      message.additionals = [
        DNSRecord(name(topics[0]), text(["subscribe=true", "token=\(token)"] + announce))
      ]
    }
    return message.encoded() ?? []
  }

  /// A multicast answer that names ports of the sender.
  static func answer(_ topic: Topic, ports: Range<Int>) -> [UInt8] {
    let records: [UInt8] = ports.flatMap { port -> [UInt8] in
      [0, 0, 0, 0, UInt8(port >> 8), UInt8(port & 255)]
    }
    let message = DNSMessage(
      flags: DNSMessage.multicastResponse,
      answers: [
        DNSRecord(name(topic), text(["token=x", "peers=\(Data(records).base64EncodedString())"]))
      ])
    return message.encoded() ?? []
  }
}

/// A room that two users look for on the loopback interface, by the key alone.
private struct LANScene {
  func meetAmidMadeUpPorts() async throws {
    let folder = try TemporaryFolder()
    let options = ["--interface", "lo", "--interface", "lo0", "--json"]
    let ana = try await DatProcess(
      ["chat", folder.path + "/ana", "--name", "ana", "--listen", "127.0.0.1:0", "--lan"] + options,
      executable: Victim.command)
    let ready = try await within("ana's start") { try await ana.line(containing: "\"ready\"") }
    guard let hex = Victim.field("key", of: ready) as? String, let key = PublicKey(hex: hex) else {
      throw AttackFailure("ana has no room")
    }
    _ = try await within("ana's listening") { try await ana.line(containing: "\"listening\"") }
    let flood = Flood()
    let topic = Topic(key.discoveryKey)
    let attacking = Task {
      try await blocking {
        let socket = try Datagrams(to: "224.0.0.251", 5353)
        socket.multicast(by: "127.0.0.1")
        while !flood.isOver {
          for packet in 0..<17 {
            let first = 20_000 + 31 * packet
            socket.send(DiscoveryQuestion.answer(topic, ports: first..<first + 31))
          }
          usleep(200_000)
        }
      }
    }
    try? await Task.sleep(for: .milliseconds(500))
    let bea = try await DatProcess(
      ["chat", folder.path + "/bea", hex, "--name", "bea", "--listen", "127.0.0.1:0", "--lan"]
        + options, executable: Victim.command)
    try await within("the meeting of two honest peers") {
      _ = try await bea.line(containing: "\"authorized\"")
    }
    flood.end()
    try await attacking.value
    for process in [ana, bea] {
      await process.signal(SIGINT)
      _ = await process.status()
    }
  }
}

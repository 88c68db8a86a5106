internal import DatWeb
internal import DatWebTesting
internal import Foundation
internal import HypercoreCrypto
internal import Saga

// Servers with rooms that are in memory, for tests of the page in a browser: one JSON command a line
// on standard input, one JSON answer a line on standard output.

struct Command: Decodable {
  var run: String
  /// The name of the room's owner, and so of the server.
  var who: String?
  var with: String?
  var text: String?
  var name: String?
  var key: String?
  var time: Int64?
  var count: Int?
  var asks: Bool?
  var waits: Bool?
  /// Milliseconds until a leave shows.
  var patience: Int64?
  var isEdited: Bool?
  var sharesKey: Bool?
}

struct Answer: Encodable {
  var ok = true
  var url: String?
  var reason: String?
}

actor Stage {
  struct Player {
    var room: FakeRoom?
    var rooms: any RoomDirectory
    var options: WebServer.Options
    var running: Task<Void, any Error>?
  }

  private var players: [String: Player] = [:]
  private let key = FakeRoom.key("ana")
  private var count = 0

  func handle(_ command: Command) async throws -> Answer {
    let now = command.time ?? Int64(Date().timeIntervalSince1970 * 1_000)
    let who = command.who ?? ""
    switch command.run {
    case "room":
      let messages = madeUpMessages(command.count ?? 0, until: now - 60_000)
      let room = FakeRoom(
        who, room: command.key.map(FakeRoom.key) ?? key, asks: command.asks ?? false,
        isAuthorized: !(command.waits ?? false), messages: messages, clock: now)
      let view = RoomView(room, patience: .milliseconds(command.patience ?? 30_000))
      players[who] = Player(room: room, rooms: SingleRoom(view), options: WebServer.Options())
      return try await start(who)
    case "directory":
      let directory = FakeDirectory(username: who)
      for index in 0..<(command.count ?? 0) {
        let messages = madeUpMessages(7 * index, until: now - Int64(index) * 7_300_000)
        await directory.add(
          FakeRoom(who, room: FakeRoom.key(["ana", "bea", "cai"][index % 3]), messages: messages))
      }
      players[who] = Player(rooms: directory, options: WebServer.Options())
      return try await start(who)
    case "start": return try await start(who)
    case "stop":
      players[who]?.running?.cancel()
      _ = await players[who]?.running?.result
      return Answer()
    default: break
    }
    guard let room = players[who]?.room else {
      return Answer(ok: false, reason: "no room of \(who)")
    }
    let feed = command.key.flatMap { PublicKey(hex: $0) } ?? FakeRoom.key(command.name ?? who)
    let person = UserData(key: feed, username: command.name ?? who, timestamp: now)
    switch command.run {
    case "meet": if let other = players[command.with ?? ""]?.room { await room.meet(other) }
    case "part": if let other = players[command.with ?? ""]?.room { await room.part(other) }
    case "join": await room.tell(.join(person))
    case "leave": await room.tell(.leave(person))
    case "request": await room.tell(.request(person))
    case "authorize": await room.tell(.authorized)
    case "unreadable": await room.tell(.unreadable(Message.ID(key: "messages/x", feed: feed)))
    case "waiting": await room.tell(.waiting(person, reason: command.text ?? ""))
    case "problem":
      await room.tell(.error(SagaError(.database, command.text ?? "")))
    case "fail": await room.failNextWrite(WebError(.refused, command.text ?? ""))
    case "sent": await room.tell(.sent(seq: UInt64(count)))
    case "remove":
      let removed = await room.messages.filter { $0.key == command.text }
      for message in removed { await room.tell(.removal(message)) }
    case "message":
      for _ in 0..<(command.count ?? 1) {
        count += 1
        await room.tell(
          .message(
            Message(
              id: Message.ID(key: "messages/told/\(count)", feed: feed),
              text: command.text ?? "", username: person.username,
              timestamp: now + Int64(count), seq: UInt64(count),
              isEdited: command.isEdited ?? false, sharesKey: command.sharesKey ?? false)))
      }
    default: return Answer(ok: false, reason: "no command \(command.run)")
    }
    return Answer()
  }

  private func start(_ who: String) async throws -> Answer {
    guard var player = players[who] else { return Answer(ok: false, reason: "nobody") }
    let server = try WebServer(rooms: player.rooms, options: player.options)
    let (addresses, continuation) = AsyncStream<WebAddress>.makeStream()
    player.running = Task {
      defer { continuation.finish() }
      try await server.run { continuation.yield($0) }
    }
    for await address in addresses {
      // A server that is started again is the same one to the page.
      player.options.port = address.port
      player.options.secret = String(address.url.split(separator: "#")[1])
      players[who] = player
      return Answer(url: address.url)
    }
    _ = try await player.running?.value
    return Answer(ok: false, reason: "did not start")
  }
}

@main
struct Main {
  static func main() async {
    let stage = Stage()
    while let line = readLine() {
      var answer: Answer
      do {
        answer = try await stage.handle(JSONDecoder().decode(Command.self, from: Data(line.utf8)))
      } catch {
        answer = Answer(ok: false, reason: "\(error)")
      }
      let data = (try? JSONEncoder().encode(answer)) ?? Data()
      FileHandle.standardOutput.write(data + Data("\n".utf8))
    }
  }
}

internal import DatCoding
internal import Hypercore
internal import HyperDB
internal import HypercoreCrypto
internal import Saga

/// The events of a room as objects for programs.
extension ChatSession {
  func showJSON(_ event: SagaEvent) {
    switch event {
    case .message(let message): output.object(["event": "message", "data": Self.json(message)])
    case .edit(let message): output.object(["event": "edit", "data": Self.json(message)])
    case .removal(let message): output.object(["event": "removal", "data": Self.json(message)])
    case .unreadable(let id):
      output.object([
        "event": "unreadable", "data": ["key": .string(id.key), "feed": .string(id.feed.hex)],
      ])
    case .loading(let done, let all):
      output.object([
        "event": "loading",
        "data": ["done": .integer(Int64(clamping: done)), "of": .integer(Int64(clamping: all))],
      ])
    case .join(let user): output.object(["event": "join", "data": Self.json(user)])
    case .change(let user): output.object(["event": "change", "data": Self.json(user)])
    case .leave(let user): output.object(["event": "leave", "data": Self.json(user)])
    case .authorized: output.object(["event": "authorized"])
    case .request(let user): output.object(["event": "request", "data": Self.json(user)])
    case .requestGone(let key):
      output.object(["event": "request-gone", "data": ["key": .string(key.hex)]])
    case .waiting(let user, let reason):
      output.object([
        "event": "waiting", "data": Self.json(user), "message": .string(reason),
      ])
    case .muted(let key, let isMuted):
      output.object([
        "event": "muted", "data": ["key": .string(key.hex), "muted": .bool(isMuted)],
      ])
    case .forked(let evidence):
      let isOwn = evidence.key == saga.db.localKey
      output.object([
        "event": "forked", "data": ["key": .string(evidence.key.hex), "own": .bool(isOwn)],
        "message": .string(Saga.sentence(for: evidence, own: saga.db.localKey)),
      ])
    case .restored: output.object(["event": "restored"])
    case .feedGone(let key):
      output.object(["event": "feed-gone", "data": ["key": .string(key.hex)]])
    case .error(let error): output.problem(error.reason)
    case .ready, .sent, .operation: break
    @unknown default: break
    }
  }

  private static func json(_ message: Message) -> JSON {
    var fields: [(String, JSON)] = [
      ("key", .string(message.key)), ("message", .string(message.text)),
      ("username", .string(message.username)), ("timestamp", .integer(message.timestamp)),
      ("feed", .string(message.feed.hex)),
    ]
    if message.sharesKey { fields.append(("sharesKey", true)) }
    return .members(fields)
  }

  private static func json(_ user: UserData) -> JSON {
    let fields: [(String, JSON)] = [
      ("username", .string(user.username)), ("key", .string(user.key.hex)),
      ("timestamp", .integer(user.timestamp)), ("proven", .bool(user.isProven)),
    ]
    return .members(fields + (user.address.map { [("address", .string($0))] } ?? []))
  }
}

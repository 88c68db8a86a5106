internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HypercoreCrypto
internal import NIOCore

// What a page can do: every action is a POST of JSON.
extension WebResponder {
  private struct Write: Decodable { var text: String }
  private struct Answer: Decodable {
    var key: String
    var accept: Bool
  }
  private struct Mute: Decodable {
    var key: String
    var isMuted: Bool
  }
  private struct Read: Decodable {
    var order: Int64
    var key: String
  }
  private struct Add: Decodable {
    var username: String
    /// Absent: a new room.
    var join: String?
  }
  private struct Recover: Decodable { var keep: Bool }
  private struct Done: Encodable {}
  private struct Added: Encodable { var key: String }

  func post(_ parts: [String], _ request: Request) async throws -> Response {
    let body: ByteBuffer
    do {
      body = try await request.body.collect(upTo: Limits.body)
    } catch {
      throw WebError(.tooLong, "A message may have \(Limits.shownText) bytes.")
    }
    if parts == ["rooms"] { return try await addRoom(decode(body)) }
    guard parts.count == 3, parts[0] == "rooms" else {
      throw WebError(.notFound, "There is nothing at this address.")
    }
    let room = try await find(parts[1])
    switch parts[2] {
    case "messages":
      let text = try decode(body, as: Write.self).text
      guard !text.allSatisfy(\.isWhitespace) else {
        throw WebError(.badRequest, "An empty message is not sent.")
      }
      guard text.utf8.count <= Limits.shownText else {
        throw WebError(
          .tooLong,
          "The message has \(text.utf8.count) bytes; \(Limits.shownText) are shown anywhere.")
      }
      guard let entry = try await room.write(text) else { return try json(Done()) }
      return try json(Wire.Message(entry))
    case "requests":
      let answer = try decode(body, as: Answer.self)
      try await room.answer(key(answer.key), accept: answer.accept)
    case "recover":
      let keep = try decode(body, as: Recover.self).keep
      guard let key = await room.identity?.room else { break }
      let folder = try await rooms.recover(key, keepsHistory: keep)
      return try json(Wire.Recovered(oldFolder: folder))
    case "mute":
      let mute = try decode(body, as: Mute.self)
      await room.setMuted(mute.isMuted, try key(mute.key))
    case "read":
      let read = try decode(body, as: Read.self)
      await room.markRead(upTo: read.order, read.key)
      if let key = await room.identity?.room {
        await rooms.didRead(key, order: read.order, key: read.key)
      }
    default:
      throw WebError(.notFound, "There is nothing at this address.")
    }
    return try json(Done())
  }

  private func addRoom(_ add: Add) async throws -> Response {
    guard await rooms.canAdd else {
      throw WebError(.refused, "This program was started for the rooms it shows.")
    }
    let name = add.username.trimmingCharacters(in: .whitespacesAndNewlines)
    guard !name.isEmpty, name.utf8.count <= Limits.name else {
      throw WebError(.badRequest, "A name has 1 to \(Limits.name) bytes.")
    }
    let room: RoomView
    if let text = add.join {
      guard let key = RoomLink.key(in: text) else {
        throw WebError(.badRequest, "A room's key is 64 hex digits, alone or after dat://.")
      }
      room = try await rooms.joinRoom(key, username: name)
    } else {
      room = try await rooms.makeRoom(username: name)
    }
    await room.open()
    return try json(Added(key: await room.identity?.room.hex ?? ""))
  }

  private func key(_ hex: String) throws(WebError) -> PublicKey {
    guard let key = PublicKey(hex: hex) else {
      throw WebError(.badRequest, "A feed's key is 64 hex digits.")
    }
    return key
  }

  private func decode<Value: Decodable>(_ body: ByteBuffer, as type: Value.Type = Value.self)
    throws(WebError) -> Value
  {
    do {
      return try JSONDecoder().decode(Value.self, from: Data(body.readableBytesView))
    } catch {
      throw WebError(.badRequest, "The posted JSON is not what this address takes.")
    }
  }
}

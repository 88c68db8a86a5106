internal import DatCoding
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HypercoreCrypto
internal import NIOCore
internal import Saga

// The actions of a page: each is a POST of JSON.
extension WebResponder {
  private struct Done: Encodable {}
  private struct Added: Encodable { var key: String }

  func post(_ parts: [ForeignText], _ request: Request) async throws -> Response {
    let body: ByteBuffer
    do {
      body = try await request.body.collect(upTo: Limits.body)
    } catch {
      throw WebError(.tooLong, "A message may have \(Limits.shownText) bytes.")
    }
    let posted = try Posted(body)
    if parts.count == 1, parts[0].word == "rooms" { return try await addRoom(posted) }
    guard parts.count == 3, parts[0].word == "rooms" else {
      throw WebError(.notFound, "There is nothing at this address.")
    }
    let room = try await find(parts[1].string)
    switch parts[2].word {
    case "messages":
      let text = try posted.text("text")
      guard !ForeignText(text).isBlank else {
        throw WebError(.badRequest, "An empty message is not sent.")
      }
      guard text.utf8.count <= Limits.shownText else {
        throw WebError(
          .tooLong,
          "The message has \(text.utf8.count) bytes; \(Limits.shownText) are shown anywhere.")
      }
      guard let message = try await room.write(text) else { return try json(Done()) }
      return try json(await room.wire(message))
    case "requests":
      try await room.answer(key(posted.text("key")), accept: posted.bool("accept"))
    case "recover":
      let keep = try posted.bool("keep")
      guard let key = await room.identity?.room else { break }
      let folder = try await rooms.recover(key, keepsHistory: keep)
      return try json(Wire.Recovered(oldFolder: folder))
    case "mute":
      await room.setMuted(try posted.bool("isMuted"), try key(posted.text("key")))
    case "read":
      let place = Message.Place(
        timestamp: try posted.integer("order"),
        id: Message.ID(key: try posted.text("key"), feed: try key(posted.text("feed"))))
      await room.markRead(upTo: place)
      if let key = await room.identity?.room { await rooms.didRead(key, upTo: place) }
    default:
      throw WebError(.notFound, "There is nothing at this address.")
    }
    return try json(Done())
  }

  private func addRoom(_ posted: Posted) async throws -> Response {
    guard await rooms.canAdd else {
      throw WebError(.refused, "This program was started for the rooms it shows.")
    }
    let name = ForeignText(try posted.text("username")).trimmed.string
    guard !name.utf8.isEmpty, name.utf8.count <= Limits.name else {
      throw WebError(.badRequest, "A name has 1 to \(Limits.name) bytes.")
    }
    let room: RoomView
    if let text = posted.textIfPresent("join") {
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
}

/// The fields of a posted object that any action takes. Each action asks for its own.
private struct Posted {
  private var texts: [(StaticString, String)] = []
  private var bools: [(StaticString, Bool)] = []
  private var integers: [(StaticString, Int64)] = []

  private static let names: [StaticString] = [
    "text", "key", "feed", "accept", "isMuted", "keep", "order", "username", "join",
  ]

  init(_ body: ByteBuffer) throws(WebError) {
    do throws(JSONError) {
      try JSONReader.read(
        Array(body.readableBytesView), within: .init(bytes: Limits.body, depth: 4)
      ) { reader throws(JSONError) in
        try reader.readObject { name, reader throws(JSONError) in
          guard let known = Self.names.first(where: { name == $0 }) else { return }
          switch reader.kind {
          case .string: texts.append((known, try reader.readString()))
          case .bool: bools.append((known, try reader.readBool()))
          case .number:
            if let integer = Int64(exactly: try reader.readNumber()) {
              integers.append((known, integer))
            }
          default: break
          }
        }
      }
    } catch {
      throw Self.problem
    }
  }

  func text(_ name: StaticString) throws(WebError) -> String {
    guard let text = textIfPresent(name) else { throw Self.problem }
    return text
  }

  func textIfPresent(_ name: StaticString) -> String? { Self.last(texts, name) }

  func bool(_ name: StaticString) throws(WebError) -> Bool {
    guard let bool = Self.last(bools, name) else { throw Self.problem }
    return bool
  }

  func integer(_ name: StaticString) throws(WebError) -> Int64 {
    guard let integer = Self.last(integers, name) else { throw Self.problem }
    return integer
  }

  private static func last<Value>(_ fields: [(StaticString, Value)], _ name: StaticString) -> Value?
  {
    fields.last { $0.0.description == name.description }?.1
  }

  private static var problem: WebError {
    WebError(.badRequest, "The posted JSON is not what this address takes.")
  }
}

internal import DatCoding
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HypercoreCrypto
internal import NIOCore
internal import Saga

/// A responder for files, data, actions and the event stream.
struct WebResponder: HTTPResponder {
  typealias Context = BasicRequestContext

  let rooms: any RoomDirectory
  let files: PageFiles
  let gate: Gate
  let heartbeat: Duration
  /// The address of the workshop's page.
  var pageURL: String?

  func respond(to request: Request, context: Context) async throws -> Response {
    do {
      guard let guardian = gate.guardian else {
        throw WebError(.badRequest, "The server is starting.")
      }
      var facts = RequestGuard.Facts()
      facts.host = request.head.authority.map { ForeignText($0) }
      facts.origin = request.headers[.origin].map { ForeignText($0) }
      facts.site = request.headers[Fields.site].map { ForeignText($0) }
      facts.secret = request.headers[Fields.secret].map { ForeignText($0) }
      facts.contentType = request.headers[.contentType].map { ForeignText($0) }
      facts.isPost = request.method == .post
      let path = ForeignText(request.uri.path)
      guard path.starts(with: "/api/") else {
        try guardian.checkFile(facts)
        return try file(path, request.method)
      }
      try guardian.checkData(facts)
      let parts = path.dropFirst(bytes: 5).split(separator: UInt8(ascii: "/"), limit: 8)
        .filter { !$0.utf8.isEmpty }
      switch request.method {
      case .get: return try await get(parts, Query(request))
      case .post: return try await post(parts, request)
      default: throw WebError(.badRequest, "Only GET and POST are known here.")
      }
    } catch let error as WebError {
      return failure(error)
    } catch {
      return failure(WebError(.refused, "\(error)"))
    }
  }

  private func file(_ path: ForeignText, _ method: HTTPRequest.Method) throws(WebError) -> Response
  {
    guard method == .get || method == .head else {
      throw WebError(.badRequest, "Only GET is known here.")
    }
    guard let file = files.files[path] else {
      throw WebError(.notFound, "There is nothing at this address.")
    }
    var headers = Self.headers(file.type)
    // Requested anew every time: a newer program brings newer files under the same names.
    headers[.cacheControl] = "no-cache"
    guard method == .get else { return Response(status: .ok, headers: headers) }
    return Response(
      status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: file.bytes)))
  }

  // MARK: Data

  private func get(_ parts: [ForeignText], _ query: Query) async throws -> Response {
    switch (parts.first?.word, parts.count) {
    case ("start", 1):
      return try json(await start())
    case ("events", 1):
      var room: RoomView?
      if let key = query["room"] { room = try await find(key) }
      return events(room, since: query["since"].flatMap { Int($0) }, run: query["run"])
    case ("rooms", 3):
      return try await get(parts[2].word, of: find(parts[1].string), query)
    default:
      throw WebError(.notFound, "There is nothing at this address.")
    }
  }

  private func get(_ what: String, of room: RoomView, _ query: Query) async throws -> Response {
    let limit = min(max(query["limit"].flatMap { Int($0) } ?? Limits.page, 1), Limits.page)
    switch what {
    case "messages":
      let position: PagePosition
      if let id = try query.id("around") {
        position = .around(id)
      } else if let place = try query.place("before") {
        position = .before(place)
      } else if let place = try query.place("after") {
        position = .after(place)
      } else {
        position = query["from"].map { ForeignText($0).word } == "start" ? .oldest : .newest
      }
      guard let page = await room.page(position, limit: limit) else {
        throw WebError(.notFound, "That message is not here any more.")
      }
      return try json(page)
    case "message":
      guard let id = try query.id("key"), let message = await room.message(id) else {
        throw WebError(.notFound, "That message is not here any more.")
      }
      return try json(message)
    case "search":
      let text = VisibleText.prefix(query["q"] ?? "", bytes: 1_024)
      guard !ForeignText(text).isBlank else {
        return try json(Wire.SearchResult(found: [], isMore: false))
      }
      let place = try query.place("before")
      return try json(await room.search(text, before: place, limit: min(limit, 50)))
    case "share":
      guard let key = await room.identity?.room else { break }
      let link = RoomLink.link(to: key)
      return try json(
        Wire.Share(
          key: key.hex, link: link, code: QRCode(link)?.rows,
          page: pageURL.map { RoomLink.page(at: $0, of: key) }))
    case "recovery":
      guard let key = await room.identity?.room else { break }
      return try json(Wire.Recovery(try await rooms.recovery(of: key)))
    case "export":
      guard let format = Export(rawValue: ForeignText(query["format"] ?? "jsonl").word) else {
        throw WebError(.badRequest, "An export is jsonl or text.")
      }
      return export(format, room)
    default: break
    }
    throw WebError(.notFound, "There is nothing at this address.")
  }

  func start() async -> Wire.Start {
    var summaries: [Wire.RoomSummary] = []
    for room in await rooms.rooms() {
      if let summary = await room.summary { summaries.append(summary) }
    }
    summaries.sort { ($0.last?.order ?? 0, $0.key) > ($1.last?.order ?? 0, $1.key) }
    let canAdd = await rooms.canAdd
    return Wire.Start(
      rooms: summaries, username: await rooms.username, canMake: canAdd, canJoin: canAdd)
  }

  private func export(_ format: Export, _ room: RoomView) -> Response {
    let body = ResponseBody { writer in
      var place: Message.Place?
      repeat {
        let part = await room.export(format, after: place, limit: 500)
        if !part.text.isEmpty { try await writer.write(ByteBuffer(string: part.text)) }
        place = part.next
      } while place != nil
      try await writer.finish(nil)
    }
    return Response(status: .ok, headers: Self.headers(format.contentType), body: body)
  }

  func find(_ hex: String) async throws -> RoomView {
    if let key = PublicKey(hex: hex) {
      for room in await rooms.rooms() where await room.identity?.room == key { return room }
    }
    throw WebError(.notFound, "That room is not open here.")
  }
}

extension ForeignText {
  /// The text if it is ASCII and as short as the words of this server's addresses; otherwise empty.
  var word: String { utf8.count <= 32 && utf8.allSatisfy { $0 < 0x80 } ? string : "" }
}

internal import DatCoding
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HypercoreCrypto
internal import Hyperdrive
internal import NIOCore

/// A responder for an archive's files and folders.
struct ArchiveResponder: HTTPResponder {
  typealias Context = BasicRequestContext

  let archive: Archive
  let isOwn: Bool
  let gate: Gate
  let reading: ArchiveReadOptions

  func respond(to request: Request, context: Context) async throws -> Response {
    guard let guardian = gate.guardian, let host = request.head.authority,
      guardian.isOurs(ForeignText(host))
    else { return text(.misdirectedRequest, "This server does not answer to that name.") }
    guard request.method == .get || request.method == .head else {
      return text(.methodNotAllowed, "Only GET and HEAD are known here.")
    }
    do {
      let asked = try Asked(request)
      let version = await archive.version
      guard (asked.version ?? version) <= version else {
        return text(.notFound, "The archive has no version \(asked.version ?? 0).")
      }
      let view =
        if let version = asked.version { try await archive.checkout(version) } else {
          try await archive.checkout(options: reading)
        }
      return try await answer(request, asked, view)
    } catch let error as ArchiveError {
      let status: HTTPResponse.Status =
        switch error.code {
        case .notFound: .notFound
        case .timedOut, .notStored: .gatewayTimeout
        default: .internalServerError
        }
      return text(status, VisibleText.line(error.reason))
    } catch is BadRequest {
      return text(.badRequest, "The address can't be read.")
    }
  }

  private func answer(
    _ request: Request, _ asked: Asked, _ view: ArchiveCheckout
  ) async throws -> Response {
    let manifest = await self.manifest(view)
    var path = asked.path
    if let root = manifest.webRoot {
      path = ArchivePath(text: ArchivePath(root).stored + path.stored)
    }
    do {
      let stat = try await view.stat(path, options: reading)
      if stat.kind == .file { return try await file(request, path, stat, view) }
      guard asked.isFolder else { return redirect(asked) }
      if !asked.wantsSource {
        let index = path.appending("index.html".utf8)
        if let stat = try? await view.stat(index, options: reading), stat.kind == .file {
          return try await file(request, index, stat, view)
        }
      }
      return try await listing(request, asked, path, view)
    } catch let error as ArchiveError where error.code == .notFound {
      guard let name = manifest.fallbackPage else { throw error }
      let page = ArchivePath(name)
      let stat = try await view.stat(page, options: reading)
      guard stat.kind == .file else { throw error }
      return try await file(request, page, stat, view)
    }
  }

  /// The relevant fields of `dat.json`.
  private struct Manifest {
    var webRoot: String?
    var fallbackPage: String?
  }

  /// Reads `dat.json`; empty if it is missing, large or malformed.
  private func manifest(_ view: ArchiveCheckout) async -> Manifest {
    guard let content = try? await view.read("/dat.json", options: reading),
      let bytes = try? await content.collect(upTo: 65_536)
    else { return Manifest() }
    var manifest = Manifest()
    let bounds = JSONReader.Bounds(bytes: 65_536, depth: 32)
    do throws(JSONError) {
      try JSONReader.read(Array(bytes), within: bounds) { reader throws(JSONError) in
        try reader.readObject { name, reader throws(JSONError) in
          switch name {
          case "web_root": manifest.webRoot = try reader.readStringIfPresent()
          case "fallback_page": manifest.fallbackPage = try reader.readStringIfPresent()
          default: break
          }
        }
      }
    } catch {
      return Manifest()
    }
    return manifest
  }

  // MARK: Files

  private func file(
    _ request: Request, _ path: ArchivePath, _ stat: FileStat, _ view: ArchiveCheckout
  ) async throws -> Response {
    var headers = self.headers(ContentType.of(path))
    headers[.acceptRanges] = "bytes"
    headers[.eTag] = "\"\(archive.key.hex.prefix(16))-\(stat.offset)-\(view.version)\""
    if let known = request.headers[.ifNoneMatch], known == headers[.eTag] {
      return Response(status: .notModified, headers: headers)
    }
    var range: Range<UInt64> = 0..<stat.size
    var status = HTTPResponse.Status.ok
    if let field = request.headers[.range] {
      switch ByteRange.first(of: field, size: stat.size) {
      case .none: break
      case .unsatisfiable:
        headers[.contentRange] = "bytes */\(stat.size)"
        return Response(status: .rangeNotSatisfiable, headers: headers)
      case .range(let asked):
        range = asked
        status = .partialContent
        headers[.contentRange] = "bytes \(asked.lowerBound)-\(asked.upperBound - 1)/\(stat.size)"
      }
    }
    headers[.contentLength] = String(range.upperBound - range.lowerBound)
    guard request.method == .get else { return Response(status: status, headers: headers) }
    let content = try await view.read(path, range: range, options: reading)
    let body = ResponseBody(contentLength: Int(clamping: content.count)) { writer in
      for try await piece in content { try await writer.write(ByteBuffer(bytes: piece)) }
      try await writer.finish(nil)
    }
    return Response(status: status, headers: headers, body: body)
  }

  // MARK: Folders

  private func redirect(_ asked: Asked) -> Response {
    var headers = self.headers("text/plain; charset=utf-8")
    // Built of the path's parts: `//name` in an address would lead to another server.
    let parts = asked.path.components.map { "/" + HTMLText.percentEncoded($0) }
    headers[.location] = parts.joined() + "/" + (asked.query.isEmpty ? "" : "?" + asked.query)
    return Response(status: .found, headers: headers)
  }

  private func listing(
    _ request: Request, _ asked: Asked, _ path: ArchivePath, _ view: ArchiveCheckout
  ) async throws -> Response {
    let title = HTMLText.escaped(VisibleText.line(path.description))
    let newest = await archive.version
    let suffix = asked.version.map { "?version=\($0)" } ?? ""
    var page = """
      <!doctype html><meta charset="utf-8"><title>\(title)</title>
      <style>body{font:15px sans-serif;margin:2em;max-width:60em}td{padding:.1em 1em .1em 0}\
      td+td{text-align:right;color:#666}</style>
      <h1>\(title)</h1><p>Version \(view.version) of \(newest)
      """
    if view.version > 0 { page += " · <a href=\"?version=\(view.version - 1)\">earlier</a>" }
    if view.version < newest { page += " · <a href=\"?version=\(view.version + 1)\">later</a>" }
    page += "</p><table>\n"
    if path.count > 0 { page += "<tr><td><a href=\"../\(suffix)\">..</a></td></tr>\n" }
    for try await item in view.entries(in: path, options: reading) where item.path != path {
      let isFolder = item.stat.kind == .directory
      let href = HTMLText.percentEncoded(item.path.name) + (isFolder ? "/" : "") + suffix
      let name = HTMLText.escaped(
        VisibleText.line(String(decoding: item.path.name, as: UTF8.self)) + (isFolder ? "/" : ""))
      page +=
        "<tr><td><a href=\"./\(href)\">\(name)</a></td><td>\(isFolder ? "" : String(item.stat.size))</td></tr>\n"
      // The size of a folder must not determine the memory of a page.
      if page.utf8.count > 8 << 20 {
        page += "<tr><td>and more: use `dat ls`</td></tr>"
        break
      }
    }
    page += "</table>\n"
    var headers = self.headers("text/html; charset=utf-8")
    headers[.contentLength] = String(page.utf8.count)
    guard request.method == .get else { return Response(status: .ok, headers: headers) }
    return Response(
      status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: page)))
  }

  // MARK: Headers

  private func headers(_ type: String) -> HTTPFields {
    var headers = HTTPFields()
    headers[.contentType] = type
    headers[.cacheControl] = "no-cache"
    headers[.xContentTypeOptions] = "nosniff"
    if let name = HTTPField.Name("X-Frame-Options") { headers[name] = "DENY" }
    if let name = HTTPField.Name("Referrer-Policy") { headers[name] = "no-referrer" }
    if !isOwn {
      headers[.contentSecurityPolicy] =
        "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'self' "
        + "'unsafe-inline'; font-src 'self'; frame-ancestors 'none'"
    }
    if let name = HTTPField.Name("Hyperdrive-Key") { headers[name] = archive.key.hex }
    return headers
  }

  private func text(_ status: HTTPResponse.Status, _ text: String) -> Response {
    Response(
      status: status, headers: headers("text/plain; charset=utf-8"),
      body: ResponseBody(byteBuffer: ByteBuffer(string: text + "\n")))
  }
}

/// A request that can't be read.
private struct BadRequest: Error {}

/// The target of a request.
private struct Asked {
  let query: String
  let path: ArchivePath
  let isFolder: Bool
  var version: UInt64?
  var wantsSource = false

  init(_ request: Request) throws {
    let raw = Array(request.uri.path.utf8)
    query = request.uri.query ?? ""
    guard raw.first == UInt8(ascii: "/"), raw.count <= 8192,
      let bytes = HTMLText.percentDecoded(raw)
    else { throw BadRequest() }
    path = ArchivePath(text: bytes)
    isFolder = raw.last == UInt8(ascii: "/")
    for part in ForeignText(query).split(separator: UInt8(ascii: "&")) {
      if part.starts(with: "version=") { version = UInt64(part.dropFirst(bytes: 8).string) }
      if part == ForeignText("viewSource") { wantsSource = true }
    }
  }
}

/// The first range of a `Range` field.
enum ByteRange: Equatable {
  case none
  case unsatisfiable
  case range(Range<UInt64>)

  static func first(of field: String, size: UInt64) -> ByteRange {
    let field = ForeignText(field)
    guard field.starts(with: "bytes="),
      let first = field.dropFirst(bytes: 6).split(separator: UInt8(ascii: ","))
        .first(where: { !$0.utf8.isEmpty })
    else { return .none }
    let parts = first.split(separator: UInt8(ascii: "-"), limit: 3).map(\.string)
    guard parts.count == 2 else { return .none }
    if parts[0].isEmpty {
      guard let count = UInt64(parts[1]) else { return .none }
      return count == 0 || size == 0 ? .unsatisfiable : .range(size - min(count, size)..<size)
    }
    guard let start = UInt64(parts[0]) else { return .none }
    guard start < size else { return .unsatisfiable }
    guard !parts[1].isEmpty else { return .range(start..<size) }
    guard let end = UInt64(parts[1]) else { return .none }
    return end < start ? .none : .range(start..<min(end, size - 1) + 1)
  }
}

/// Text to be put into a page or an address.
enum HTMLText {
  static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  static func percentEncoded(_ bytes: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in bytes {
      switch byte {
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e:
        text.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        text += "%" + (digits.count == 1 ? "0" : "") + digits
      }
    }
    return text
  }

  /// Nil if a `%` is not followed by two hex digits.
  static func percentDecoded(_ bytes: [UInt8]) -> [UInt8]? {
    var decoded: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] != UInt8(ascii: "%") {
        decoded.append(bytes[index])
        index += 1
        continue
      }
      guard index + 2 < bytes.count,
        let value = UInt8(String(decoding: bytes[index + 1...index + 2], as: UTF8.self), radix: 16)
      else { return nil }
      decoded.append(value)
      index += 3
    }
    return decoded
  }
}

/// The type of a file, by the ending of its name.
enum ContentType {
  private static let types = [
    "html": "text/html; charset=utf-8", "htm": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8", "json": "application/json",
    "txt": "text/plain; charset=utf-8", "md": "text/plain; charset=utf-8",
    "xml": "text/xml; charset=utf-8", "svg": "image/svg+xml", "png": "image/png",
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "ico": "image/x-icon", "pdf": "application/pdf", "wasm": "application/wasm",
    "mp3": "audio/mpeg", "ogg": "audio/ogg", "wav": "audio/wav", "mp4": "video/mp4",
    "webm": "video/webm", "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf",
    "csv": "text/csv; charset=utf-8", "zip": "application/zip",
  ]

  static func of(_ path: ArchivePath) -> String {
    guard let dot = path.name.lastIndex(of: UInt8(ascii: ".")), path.name.count <= 255 else {
      return "application/octet-stream"
    }
    let ending = ForeignText(bytes: path.name[(dot + 1)...]).asciiLowercased
    // Known endings are short, and ASCII.
    guard ending.utf8.count <= 8, ending.utf8.allSatisfy({ $0 < 0x80 }) else {
      return "application/octet-stream"
    }
    return types[ending.string] ?? "application/octet-stream"
  }
}

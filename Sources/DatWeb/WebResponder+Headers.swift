internal import DatCoding
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HypercoreCrypto
internal import NIOCore
internal import Saga

/// Header fields that have no name of their own in HTTPTypes. The names are valid constants, so the
/// initializers succeed.
enum Fields {
  static let secret = HTTPField.Name("Dat-Secret")!
  static let site = HTTPField.Name("Sec-Fetch-Site")!
  fileprivate static let referrer = HTTPField.Name("Referrer-Policy")!
  fileprivate static let frame = HTTPField.Name("X-Frame-Options")!
  fileprivate static let opener = HTTPField.Name("Cross-Origin-Opener-Policy")!
  fileprivate static let resource = HTTPField.Name("Cross-Origin-Resource-Policy")!
  fileprivate static let permissions = HTTPField.Name("Permissions-Policy")!
}

extension WebResponder {
  /// Only this server's own files: no inline script, no markup from text, no frames.
  static let policy = [
    "default-src 'self'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
    "connect-src 'self'", "object-src 'none'", "base-uri 'none'", "form-action 'none'",
    "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
  ].joined(separator: "; ")

  /// Returns the header fields of every answer.
  static func headers(_ type: String) -> HTTPFields {
    var headers = HTTPFields()
    headers[.contentType] = type
    headers[.contentSecurityPolicy] = policy
    headers[.xContentTypeOptions] = "nosniff"
    headers[.cacheControl] = "no-store"
    headers[Fields.referrer] = "no-referrer"
    headers[Fields.frame] = "DENY"
    headers[Fields.opener] = "same-origin"
    headers[Fields.resource] = "same-origin"
    headers[Fields.permissions] = "camera=(), microphone=(), geolocation=()"
    return headers
  }

  func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    let data = try JSONEncoder().encode(value)
    return Response(
      status: status, headers: Self.headers("application/json; charset=utf-8"),
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: data)))
  }

  func failure(_ error: WebError) -> Response {
    let body = Wire.Failure(error: .init(code: error.code.rawValue, reason: error.reason))
    let response = try? json(body, status: Self.status(error.code))
    return response ?? Response(status: .internalServerError)
  }

  private static func status(_ code: WebError.Code) -> HTTPResponse.Status {
    switch code {
    case .foreignHost, .foreignOrigin: .forbidden
    case .noSecret: .unauthorized
    case .notJSON: .unsupportedMediaType
    case .badRequest: .badRequest
    case .notFound: .notFound
    case .tooLong: .contentTooLarge
    case .refused, .filesMissing, .cannotListen: .conflict
    }
  }
}

/// The part of an address after `?`, decoded.
struct Query {
  private var values: [ForeignText: String] = [:]

  init(_ request: Request) {
    for pair in ForeignText(request.uri.query ?? "").split(separator: UInt8(ascii: "&")) {
      let sides = pair.split(separator: UInt8(ascii: "="), limit: 2)
      guard sides.count == 2 else { continue }
      values[sides[0]] = sides[1].string.removingPercentEncoding
    }
  }

  subscript(name: String) -> String? { values[ForeignText(name)] }

  /// Returns the message that a parameter and `feed` name.
  func id(_ name: String) throws(WebError) -> Message.ID? {
    guard let key = self[name] else { return nil }
    guard let feed = PublicKey(hex: self["feed"] ?? "") else {
      throw WebError(.badRequest, "A message is named by its key and its feed, 64 hex digits.")
    }
    return Message.ID(key: key, feed: feed)
  }

  /// Returns a place in the history, written as time, `~`, feed, `~` and key.
  func place(_ name: String) throws(WebError) -> Message.Place? {
    guard let text = self[name] else { return nil }
    let sides = ForeignText(text).split(separator: UInt8(ascii: "~"), limit: 3)
    guard sides.count == 3, let time = Int64(sides[0].string),
      let feed = PublicKey(hex: sides[1].string)
    else {
      throw WebError(.badRequest, "A place in the history is a number, ~, a feed, ~ and a key.")
    }
    return Message.Place(timestamp: time, id: Message.ID(key: sides[2].string, feed: feed))
  }
}

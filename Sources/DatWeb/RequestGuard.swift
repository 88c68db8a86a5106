internal import DatCoding

/// A check that a request comes from this server's own page.
///
/// Another page in the same browser can make the browser send requests here, and can point a name
/// of its own at this address. But it can't choose the Host and Origin that the browser sends, and it
/// doesn't know the secret.
struct RequestGuard: Sendable {
  /// The parts of a request that matter.
  struct Facts: Sendable {
    var host: ForeignText?
    var origin: ForeignText?
    /// `Sec-Fetch-Site`.
    var site: ForeignText?
    var secret: ForeignText?
    var contentType: ForeignText?
    var isPost = false
  }

  /// The address that the server listens at, as text: `127.0.0.1`, `::1`, a name.
  let boundHost: String
  let port: Int
  /// Further names that may be used, without port.
  let names: [String]
  let secret: String

  /// Checks a request for a page, script or style, which hold no data.
  func checkFile(_ facts: Facts) throws(WebError) {
    guard let host = facts.host, isOurs(host) else {
      throw WebError(
        .foreignHost,
        "This server does not answer to the name \(Self.quote(facts.host)); open the address that "
          + "dat printed.")
    }
    if let origin = facts.origin, origin != ForeignText("http://\(host.string)") {
      throw WebError(.foreignOrigin, "A page of \(Self.quote(origin)) may not use this server.")
    }
  }

  /// Checks a request for data or an action.
  func checkData(_ facts: Facts) throws(WebError) {
    try checkFile(facts)
    if let site = facts.site, site != ForeignText("same-origin") {
      throw WebError(.foreignOrigin, "Only this server's own page may ask for its data.")
    }
    guard let given = facts.secret, Secret.matches(given.string, secret) else {
      throw WebError(
        .noSecret, "The secret is missing or of another run; open the address that dat printed.")
    }
    guard facts.isPost else { return }
    guard facts.origin != nil else {
      throw WebError(.foreignOrigin, "A post must say which page it comes from.")
    }
    let type = facts.contentType?.split(separator: UInt8(ascii: ";"), limit: 2).first?.trimmed
    guard type?.asciiLowercased == ForeignText("application/json") else {
      throw WebError(.notJSON, "What is posted must be application/json.")
    }
  }

  /// Returns whether a Host field names this server: one of its names and exactly its port.
  func isOurs(_ field: ForeignText) -> Bool {
    let field = field.asciiLowercased
    let end = ForeignText(":\(port)")
    var name = field
    if field.ends(with: end) {
      name = field.cut(toBytes: field.utf8.count - end.utf8.count)
    } else if port != 80 {
      return false
    }
    let isLoopback = Self.loopback.contains(boundHost)
    if isLoopback || Self.anywhere.contains(boundHost) {
      if Self.loopbackNames.contains(name) { return true }
    }
    if name == ForeignText(boundHost) || name == ForeignText("[\(boundHost)]") {
      return !Self.anywhere.contains(boundHost)
    }
    if names.contains(where: { ForeignText($0).asciiLowercased == name }) { return true }
    // Bound to every address: any of them may be used, but no name, since the owner of a name can point it
    // here.
    return Self.anywhere.contains(boundHost) && Self.isAddress(name)
  }

  private static let loopbackNames = ["localhost", "127.0.0.1", "[::1]"].map { ForeignText($0) }
  private static let loopback: Set<String> = ["127.0.0.1", "::1", "localhost"]
  private static let anywhere: Set<String> = ["0.0.0.0", "::"]

  private static func isAddress(_ text: ForeignText) -> Bool {
    if text.starts(with: "["), text.utf8.last == UInt8(ascii: "]") {
      return text.utf8.dropFirst().dropLast().allSatisfy {
        Hex.value($0) != nil || $0 == UInt8(ascii: ":")
      }
    }
    let parts = text.split(separator: UInt8(ascii: "."), limit: 5)
    return parts.count == 4 && parts.allSatisfy { UInt8($0.string) != nil }
  }

  private static func quote(_ text: ForeignText?) -> String {
    guard let text else { return "(none)" }
    return "“\(text.cut(toBytes: 100).line())”"
  }
}

/// Decides whether a request comes from our own page.
///
/// Another page in the same browser can make the browser send requests here, and can point a name
/// of its own at this address. It can't choose the Host and Origin that the browser sends, and it
/// doesn't know the secret.
struct RequestGuard: Sendable {
  /// The parts of a request that are looked at.
  struct Facts: Sendable {
    var host: String?
    var origin: String?
    /// `Sec-Fetch-Site`.
    var site: String?
    var secret: String?
    var contentType: String?
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
    if let origin = facts.origin, origin != "http://\(host)" {
      throw WebError(.foreignOrigin, "A page of \(Self.quote(origin)) may not use this server.")
    }
  }

  /// Checks a request for data or an action.
  func checkData(_ facts: Facts) throws(WebError) {
    try checkFile(facts)
    if let site = facts.site, site != "same-origin" {
      throw WebError(.foreignOrigin, "Only this server's own page may ask for its data.")
    }
    guard let given = facts.secret, Secret.matches(given, secret) else {
      throw WebError(
        .noSecret, "The secret is missing or of another run; open the address that dat printed.")
    }
    guard facts.isPost else { return }
    guard facts.origin != nil else {
      throw WebError(.foreignOrigin, "A post must say which page it comes from.")
    }
    let type = facts.contentType?.split(separator: ";").first ?? ""
    guard type.filter({ $0 != " " }).lowercased() == "application/json" else {
      throw WebError(.notJSON, "What is posted must be application/json.")
    }
  }

  /// Returns whether a Host field names this server: a name of ours and exactly our port.
  func isOurs(_ field: String) -> Bool {
    let field = field.lowercased()
    let name: Substring
    if field.hasSuffix(":\(port)") {
      name = field.dropLast(String(port).count + 1)
    } else if port == 80 {
      name = field[...]
    } else {
      return false
    }
    let isLoopback = Self.loopback.contains(boundHost)
    if isLoopback || Self.anywhere.contains(boundHost) {
      if name == "localhost" || name == "127.0.0.1" || name == "[::1]" { return true }
    }
    if name == boundHost || name == "[\(boundHost)]" { return !Self.anywhere.contains(boundHost) }
    if names.contains(where: { $0.lowercased() == name }) { return true }
    // Bound to every address: any of them may be used, but no name, for a name can be pointed here
    // by its owner.
    return Self.anywhere.contains(boundHost) && Self.isAddress(name)
  }

  private static let loopback: Set<String> = ["127.0.0.1", "::1", "localhost"]
  private static let anywhere: Set<String> = ["0.0.0.0", "::"]

  private static func isAddress(_ text: Substring) -> Bool {
    if text.first == "[", text.last == "]" {
      return text.dropFirst().dropLast().allSatisfy { $0.isHexDigit || $0 == ":" }
    }
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
  }

  private static func quote(_ text: String?) -> String {
    guard let text else { return "(none)" }
    return "“\(VisibleText.line(VisibleText.prefix(text, bytes: 100)))”"
  }
}

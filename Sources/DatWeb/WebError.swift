/// Why the page's server refused or failed. Programs read ``code``; people read ``reason``.
public struct WebError: Error, Sendable, CustomStringConvertible {
  @nonexhaustive
  public enum Code: String, Hashable, Sendable {
    /// The request's Host is not one of this server's names: another site's name leads here.
    case foreignHost
    /// The request was made by a page of another origin.
    case foreignOrigin
    /// The secret is missing or wrong.
    case noSecret
    /// A post whose content is not said to be JSON.
    case notJSON
    /// The request can't be understood.
    case badRequest
    /// There is no such page, room or message.
    case notFound
    /// The message is longer than is shown anywhere.
    case tooLong
    /// The room did not take it; the reason is the room's.
    case refused
    /// The page's files are not where the program expects them.
    case filesMissing
    /// The system does not let this server listen at the wanted port.
    case cannotListen
  }

  public let code: Code
  /// A sentence that says what, where, and what to do.
  public let reason: String

  public init(_ code: Code, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  public var description: String { reason }
}

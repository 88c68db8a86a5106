/// The error of the page's server. Programs read ``code``; people read ``reason``.
public struct WebError: Error, Sendable, CustomStringConvertible {
  @nonexhaustive
  public enum Code: String, Hashable, Sendable {
    /// The request's Host is not one of this server's names: another site's name points here.
    case foreignHost
    /// The request was made by a page of another origin.
    case foreignOrigin
    /// The secret is missing or wrong.
    case noSecret
    /// The content of a post is not declared as JSON.
    case notJSON
    /// The request can't be understood.
    case badRequest
    /// There is no such page, room or message.
    case notFound
    /// The message is longer than any that is shown.
    case tooLong
    /// The room refused it; the reason is the room's.
    case refused
    /// The page's files are not where the program expects them.
    case filesMissing
    /// The system does not let this server listen at the wanted port.
    case cannotListen
  }

  public let code: Code
  /// A sentence with the fault, its location and the next step.
  public let reason: String

  public init(_ code: Code, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  public var description: String { reason }
}

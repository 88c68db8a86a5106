/// The error of a signal hub or its client. Programs read ``code``; people read ``reason``.
public struct SignalError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kinds of failures.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    /// The address to listen on can't be used.
    case listen
    /// The folder of a page is missing, too large or without an `index.html`.
    case page
    /// A certificate or key can't be read.
    case certificate
    /// A URL names no hub.
    case address
    /// A hub can't be reached, or has closed the connection.
    case unreachable
    /// A server answers, but not as a hub does.
    case notAHub
  }

  /// The kind of failure.
  public let code: Code
  /// A sentence that says what happened and what can be done.
  public let reason: String

  /// Makes an error of these parts.
  public init(_ code: Code, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  public var description: String { reason }
}

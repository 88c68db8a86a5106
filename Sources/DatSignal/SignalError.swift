/// The error of a signal hub or its client. Programs read ``code``; people read ``reason``.
public struct SignalError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kinds of failures.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    /// The address to listen on can't be used.
    case listen
    /// The folder of a page isn't a folder.
    case page
    /// A certificate or key that can't be read.
    case certificate
    /// A URL that names no hub.
    case address
    /// A hub that can't be reached, or closes the connection.
    case unreachable
    /// A server that answers, and is no hub.
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

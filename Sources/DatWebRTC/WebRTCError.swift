/// The error of a signal hub or a data channel. Programs read ``code``; people read
/// ``reason``.
public struct WebRTCError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kinds of failures.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    /// The address of a hub, or of a STUN or TURN server, is malformed.
    case address
    /// A hub can't be reached, or isn't one.
    case hub
    /// An offer or answer can't be read.
    case description
    /// No pair of addresses works, or the connection was lost.
    case unreachable
    /// The certificate is not the one that the description names.
    case certificate
    /// The other side did what no working peer does.
    case offence
    /// The connection was closed, on this side or in order on the other.
    case closed
    /// A library or the system failed.
    case failed
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

/// The reason for which a connection was closed or refused a call. Programs read ``code``; people read
/// ``reason``.
public struct ProtocolError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of failure, for programs.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    // Faults of a peer; the connection is closed.

    /// Nothing arrived from the remote for one and a half times the timeout.
    case remoteTimedOut
    /// The remote sent no Handshake in time.
    case handshakeTimedOut
    /// A frame began and was not finished in time.
    case frameTimedOut
    /// A frame, or the length that it announces, exceeds the limit.
    case remoteFrameTooLarge
    /// A frame doesn't start with a readable channel and type.
    case invalidHeader
    /// A Feed message can't be read or opens what is open already; or a message arrived on a channel that the
    /// remote has not opened.
    case invalidFeed
    /// A message's body can't be read or has values out of range.
    case invalidMessage
    /// An extension message can't be read, or names an extension that was not announced.
    case invalidExtension
    /// A channel number exceeds the limit, or this side opened too many feeds.
    case tooManyFeeds
    /// The remote's first Feed has no nonce, so the remote doesn't encrypt.
    case nonceMissing
    /// The two sides started with different feeds.
    case firstFeedMismatch
    /// Too much arrived on a channel that is not open here.
    case tooManyMessages
    /// Too much arrived before the key was known here.
    case tooManyParkedBytes
    /// More bytes were passed in than were read as events.
    case tooManyUnparsedBytes
    /// The remote replays what somebody once sent.
    case replayed
    /// The remote is this side itself.
    case connectedToItself

    // Faults of this side; nothing was sent and the connection goes on.

    /// The message is larger than 8 MiB, and no peer would take it.
    case frameTooLarge
    /// The options have more than a peer would take.
    case invalidOptions
    /// The extension is not among those in the options.
    case extensionNotAnnounced
    /// The channel was closed on this side, or never opened.
    case channelClosed
    /// The connection is closed.
    case connectionClosed
  }

  /// The kind of failure, for programs.
  public let code: Code
  /// A sentence about what happened. If the reference destroys a stream for the same cause, it is the
  /// reference's text.
  public let reason: String

  /// Creates a failure with its reason.
  public init(_ code: Code, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  public var description: String { reason }

  /// True if the remote did what no working peer does, rather than falling silent, being slow or expecting
  /// another feed. A remote that does so repeatedly is not worth another connection.
  public var isOffence: Bool {
    switch code {
    case .remoteFrameTooLarge, .invalidHeader, .invalidFeed, .invalidMessage, .invalidExtension,
      .tooManyFeeds, .tooManyMessages, .tooManyParkedBytes, .replayed:
      true
    default: false
    }
  }
}

extension ProtocolError {
  static let remoteTimedOut = ProtocolError(.remoteTimedOut, "Remote timed out")
  static let handshakeTimedOut = ProtocolError(
    .handshakeTimedOut, "Remote sent no handshake in time")
  static let frameTimedOut = ProtocolError(
    .frameTimedOut, "Remote began a message and did not finish it within 60 seconds")
  static let remoteFrameTooLarge = ProtocolError(
    .remoteFrameTooLarge, "Remote message is larger than 8MB (max allowed)")
  static let earlyFrameTooLarge = ProtocolError(
    .remoteFrameTooLarge, "Remote message before its handshake is larger than 128KB (max allowed)")
  static let invalidHeader = ProtocolError(.invalidHeader, "Remote sent invalid header")
  static let invalidFeed = ProtocolError(.invalidFeed, "Remote sent invalid feed message")
  static let nonceMissing = ProtocolError(.nonceMissing, "Remote did not include a nonce")
  static let firstFeedMismatch = ProtocolError(
    .firstFeedMismatch, "First shared hypercore must be the same")
  static let tooManyMessages = ProtocolError(
    .tooManyMessages, "Remote sent too many messages on an unopened feed")
  static let tooManyParkedBytes = ProtocolError(
    .tooManyParkedBytes, "Remote sent too many bytes before the key of its feed was known")
  static let tooManyUnparsedBytes = ProtocolError(
    .tooManyUnparsedBytes, "More was received than was parsed: ask for events after every receive")
  /// The remote's nonce was used before.
  public static let replayed = ProtocolError(
    .replayed, "Remote sent a recording of an earlier connection")
  /// The remote has this side's own id.
  public static let connectedToItself = ProtocolError(
    .connectedToItself, "The connection leads back to this peer itself")
  static let invalidExtension = ProtocolError(
    .invalidExtension, "Remote sent an extension message that it did not announce")
  static let frameTooLarge = ProtocolError(
    .frameTooLarge, "The message is larger than 8 MiB with its proof and can't be sent")
  static let channelClosed = ProtocolError(
    .channelClosed, "The feed is not open on this connection; a feed can be opened once on each")
  static let connectionClosed = ProtocolError(.connectionClosed, "The connection is closed")

  static func tooManyFeeds(_ limit: Int) -> ProtocolError {
    ProtocolError(
      .tooManyFeeds,
      "Only \(limit) feeds currently supported. Open a Github issue if you need more")
  }

  static func invalidMessage(_ type: MessageType, on channel: Int) -> ProtocolError {
    ProtocolError(
      .invalidMessage, "Remote sent an invalid \(type) message on its channel \(channel)")
  }
}

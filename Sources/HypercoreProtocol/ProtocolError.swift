/// Why a connection was closed, or why it refused a call. Programs read ``code``; people read
/// ``reason``.
public struct ProtocolError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of failure it is, for programs.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    // What a peer did; the connection is closed.

    /// Nothing came from the remote for one and a half times the timeout.
    case remoteTimedOut
    /// The remote sent no Handshake in time.
    case handshakeTimedOut
    /// A frame began and was not finished in time.
    case frameTimedOut
    /// A frame, or what its length promises, is over the limit.
    case remoteFrameTooLarge
    /// A frame doesn't start with a readable channel and type.
    case invalidHeader
    /// A Feed message can't be read or opens what is open; or a message came on a channel that the
    /// remote has not opened.
    case invalidFeed
    /// A message's body can't be read or holds values out of range.
    case invalidMessage
    /// An extension message can't be read, or names an extension that was not announced.
    case invalidExtension
    /// A channel number is over the limit, or this side opened too many feeds.
    case tooManyFeeds
    /// The remote's first Feed has no nonce, so the remote doesn't encrypt.
    case nonceMissing
    /// The two sides started with different feeds.
    case firstFeedMismatch
    /// Too much came on a channel that is not open here.
    case tooManyMessages
    /// Too much came before the key was known here.
    case tooManyParkedBytes
    /// More bytes were handed in than were asked for as events.
    case tooManyUnparsedBytes
    /// The remote plays back what somebody once sent.
    case replayed
    /// The remote is this side itself.
    case connectedToItself

    // What this side did; nothing was sent and the connection goes on.

    /// The message is over 8 MiB and no peer would take it.
    case frameTooLarge
    /// The options hold more than a peer would take.
    case invalidOptions
    /// The extension is not among those in the options.
    case extensionNotAnnounced
    /// The channel was closed on this side, or never opened.
    case channelClosed
    /// The connection is closed.
    case connectionClosed
  }

  /// What kind of failure it is, for programs.
  public let code: Code
  /// A sentence saying what happened. Where the reference destroys a stream for the same cause, its
  /// own text.
  public let reason: String

  /// A failure with its reason.
  public init(_ code: Code, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  public var description: String { reason }

  /// Whether the remote did what no working peer does, rather than fall silent, be slow or mean another
  /// feed. Who does so again and again is not worth the next connection.
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

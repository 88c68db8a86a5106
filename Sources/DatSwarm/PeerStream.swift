/// One end of a conversation between two peers, as bytes, which a transport drives.
///
/// A transport calls ``receive(_:)`` and ``finishInput()`` from one task, one call at a time, and
/// ``nextOutput()`` from another.
public protocol PeerStream: Sendable {
  /// Takes bytes that arrived. The transport reads no more while this call is suspended: this is the
  /// stream's back-pressure.
  func receive(_ bytes: [UInt8]) async throws

  /// Returns the bytes to send next, or suspends until there are some; nil once this end has finished. Called
  /// only when the socket has room, so output that is produced on demand never piles up.
  func nextOutput() async throws -> [UInt8]?

  /// Notes that the remote end has finished.
  func finishInput() async

  /// Notes the end of the connection, with an error if it failed. Suspended calls return. May be called more
  /// than once.
  func close(_ error: (any Error)?) async

  /// The error with which it ended, if the remote end did what no working peer does.
  var offence: (any Error)? { get async }
}

extension PeerStream {
  public var offence: (any Error)? { nil }
}

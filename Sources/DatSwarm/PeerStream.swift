/// What a transport drives: one end of a conversation between two peers, as bytes.
///
/// A transport calls ``receive(_:)`` and ``finishInput()`` from one task, one call at a time, and
/// ``nextOutput()`` from another.
public protocol PeerStream: Sendable {
  /// Takes bytes that arrived. The transport reads no more while this is suspended, so that is how a
  /// stream slows its peer down.
  func receive(_ bytes: [UInt8]) async throws

  /// The bytes to send next, waiting for some; nil once this end has said all. Called only when the
  /// socket has room, so what is produced on demand never piles up.
  func nextOutput() async throws -> [UInt8]?

  /// The remote end has said all.
  func finishInput() async

  /// The connection is over, for the given reason if it did not end well. Calls that are suspended
  /// return. Called once or more.
  func close(_ error: (any Error)?) async

  /// Why it ended, where the remote end did what no working peer does.
  var offence: (any Error)? { get async }
}

extension PeerStream {
  public var offence: (any Error)? { nil }
}

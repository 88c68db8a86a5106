public import Hypercore

/// A receiver of copies of all bytes that go over one connection, such as a recorder's.
///
/// The calls for each direction come one after the other, those for the two directions from different tasks.
public protocol ConnectionTap: Sendable {
  /// Takes bytes that arrived.
  func received(_ bytes: [UInt8])
  /// Takes bytes that are handed to the transport.
  func sent(_ bytes: [UInt8])
  /// Notes the end of the connection; called at least once, and maybe more often.
  func ended()
}

/// A stream that passes a copy of all bytes to a tap.
public struct TappedStream: PeerStream {
  private let stream: ReplicationStream
  private let tap: any ConnectionTap

  /// Creates a stream for a transport in place of `stream`.
  public init(_ stream: ReplicationStream, _ tap: any ConnectionTap) {
    self.stream = stream
    self.tap = tap
  }

  public func receive(_ bytes: [UInt8]) async throws {
    tap.received(bytes)
    await stream.receive(bytes)
  }

  public func nextOutput() async throws -> [UInt8]? {
    let output = await stream.nextOutput()
    if let output { tap.sent(output) }
    return output
  }

  public func finishInput() async { await stream.finishInput() }

  public func close(_ error: (any Error)?) async {
    tap.ended()
    await stream.close(error)
  }

  public var offence: (any Error)? { get async { await stream.offence } }
}

internal import Foundation

/// The pipe to which the signal handler writes; none before a command listens.
///
/// Unsafe, with this proof: it is set before the handler is, and a handler can only read it.
nonisolated(unsafe) private var interruptionPipe: Int32 = -1

/// The signals that ask a command to end.
enum Interruption {
  /// Returns a stream that yields once for each Ctrl-C or termination request, which then don't kill the
  /// process, and once if standard output can't be written any more. Call it once, before there is anything to
  /// end in order: from its return on no signal is lost.
  static func requests() -> AsyncStream<Void> {
    AsyncStream { continuation in
      var ends: [Int32] = [0, 0]
      // Without a pipe the signals have their default effect.
      guard pipe(&ends) == 0 else { return }
      for end in ends {
        _ = fcntl(end, F_SETFL, O_NONBLOCK)
        _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      }
      let reading = ends[0]
      let source = DispatchSource.makeReadSource(fileDescriptor: reading, queue: .global())
      source.setEventHandler {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(reading, &bytes, bytes.count) > 0 {}
        continuation.yield()
      }
      source.resume()
      interruptionPipe = ends[1]
      for number in [SIGINT, SIGTERM] {
        signal(number) { _ in
          let problem = errno
          var byte: UInt8 = 0
          _ = write(interruptionPipe, &byte, 1)
          errno = problem
        }
      }
      StandardStreams.whenLost { continuation.yield() }
      let holder = SignalSource(source: source)
      continuation.onTermination = { _ in holder.cancel() }
    }
  }
}

/// Keeps the source alive until its stream ends.
///
/// Unchecked, with this proof: the source never changes, and cancelling one is safe from any thread.
private final class SignalSource: @unchecked Sendable {
  private let source: any DispatchSourceRead

  init(source: any DispatchSourceRead) { self.source = source }

  func cancel() { source.cancel() }
}

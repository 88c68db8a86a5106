internal import NIOCore

/// Runs tasks on the thread of an event loop.
@available(macOS 15.0, *)
private final class LoopExecutor: TaskExecutor {
  private let loop: any EventLoop

  init(_ loop: any EventLoop) { self.loop = loop }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}

/// Where the work for a connection is done.
///
/// A message that comes alone is read, understood and answered on the thread of its socket: to change
/// threads costs more than all of that. A burst is worked on beside it. Where the system is too old for
/// that, everything is done beside it.
enum Workplace {
  /// From so many bytes at once on it is a burst.
  private static let burst = 16 << 10

  /// Runs work on the thread of the socket.
  static func atSocket(
    _ loop: any EventLoop, _ work: () async throws -> Void
  ) async throws {
    guard #available(macOS 15.0, *) else { return try await work() }
    try await withTaskExecutorPreference(LoopExecutor(loop), operation: work)
  }

  /// Within ``atSocket(_:_:)``: runs the work on so many bytes where it is best done.
  static func on<Result: Sendable>(
    _ bytes: Int, _ work: () async throws -> Result
  ) async throws -> Result {
    guard #available(macOS 15.0, *), bytes >= burst else { return try await work() }
    return try await withTaskExecutorPreference(globalConcurrentExecutor, operation: work)
  }
}

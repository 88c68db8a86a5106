internal import NIOCore

/// Runs tasks on the thread that serves a socket, so that what arrives is read, taken in and answered
/// without a change of threads.
///
/// As a task's preferred executor it serves the actors as well that the task calls, unless they have
/// one of their own.
@available(macOS 15, *)
final class LoopExecutor: TaskExecutor {
  private let loop: any EventLoop

  init(_ loop: any EventLoop) { self.loop = loop }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}

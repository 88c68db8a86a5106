#if WebRTC
  internal import CDataChannel
  internal import Foundation
  internal import NIOConcurrencyHelpers

  /// The isolation of everything that touches the C libraries: one thread of the process, on which their
  /// loop runs.
  @globalActor
  package actor WebRTCActor {
    package static let shared = WebRTCActor()
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
      WebRTCLoop.shared.asUnownedSerialExecutor()
    }

    /// Runs a callback of the C libraries, which call on their thread.
    ///
    /// A callback can't declare its isolation otherwise; the precondition inside `assumeIsolated` checks it.
    static func assume<Value: Sendable>(_ work: @WebRTCActor () throws -> Value) rethrows -> Value {
      typealias Work = () throws -> Value
      shared.preconditionIsolated()
      return try withoutActuallyEscaping(work) { work in
        try unsafeBitCast(work, to: Work.self)()
      }
    }
  }

  /// The thread of all WebRTC, as an executor: jobs run between the steps of the libraries.
  ///
  /// The thread begins with the first job and lasts as long as the process, waiting in `epoll` while there is
  /// nothing to do. One loop serves all peers, since usrsctp has one set of timers a process.
  final class WebRTCLoop: SerialExecutor, Sendable {
    static let shared = WebRTCLoop()

    private struct State {
      var thread: pthread_t?
      var jobs: [UnownedJob] = []
      var phase = Phase.idle
    }

    /// Without a thread; with one that looks at the jobs before it waits; or with one that waits, or handles what
    /// arrived, and has to be woken for a job.
    private enum Phase { case idle, awake, waiting }

    private let state = NIOLockedValueBox(State())

    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      let phase = state.withLockedValue { state in
        state.jobs.append(job)
        defer { state.phase = .awake }
        return state.phase
      }
      switch phase {
      case .idle: start()
      case .awake: break
      case .waiting: cdc_loop_wake()
      }
    }

    private func start() {
      let thread = Thread { [self] in
        let failure = cdc_loop_open(
          { context in
            guard let context else { return }
            Unmanaged<WebRTCLoop>.fromOpaque(context).takeUnretainedValue().runJobs()
          }, Unmanaged.passUnretained(self).toOpaque())
        precondition(failure == 0, "libre's loop could not be opened: \(failure)")
        state.withLockedValue { $0.thread = pthread_self() }
        runJobs()
        cdc_loop_run()
      }
      thread.name = "dat.webrtc"
      // OpenSSL's and usrsctp's calls need more stack than a secondary thread of Darwin has.
      thread.stackSize = 1 << 20
      thread.start()
    }

    /// True if the caller is on the loop's thread, also outside of a job: in a callback of the libraries.
    func isIsolatingCurrentContext() -> Bool? {
      guard let thread = state.withLockedValue({ $0.thread }) else { return false }
      return pthread_equal(thread, pthread_self()) != 0
    }

    func checkIsolated() {
      precondition(isIsolatingCurrentContext() == true, "not on the thread of WebRTC")
    }

    private func runJobs() {
      while true {
        let jobs = state.withLockedValue { state in
          if state.jobs.isEmpty { state.phase = .waiting }
          defer { state.jobs = [] }
          return state.jobs
        }
        if jobs.isEmpty { return }
        for job in jobs { job.runSynchronously(on: asUnownedSerialExecutor()) }
      }
    }
  }
#endif

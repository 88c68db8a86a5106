internal import Foundation

/// Returns the processor time of the calling thread in `body`, in seconds. The work of other processes
/// meanwhile does not count.
public func processorTime(of body: () throws -> Void) rethrows -> Double {
  let start = threadTime()
  try body()
  return threadTime() - start
}

private func threadTime() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Text that is slow to normalise: one letter with this many bytes of combining marks of two classes in turn,
/// which sorting has to move past each other.
public func slowText(bytes count: Int) -> String {
  "a" + String(repeating: "\u{301}\u{316}", count: max(0, count - 1) / 4)
}

/// Returns the processor time of the whole process during `body`, in seconds: for work in other threads.
/// Tests that run at the same time count as well.
public func processTime(
  of body: () async throws -> Void, isolation: isolated (any Actor)? = #isolation
) async rethrows -> Double {
  func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
  let start = now()
  try await body()
  return now() - start
}

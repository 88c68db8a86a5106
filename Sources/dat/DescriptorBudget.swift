internal import Foundation

/// How the files and sockets that a process may have open are shared out by a host.
struct DescriptorBudget {
  /// How many there are.
  let limit: Int
  /// Keys that are open at a time: each has a lock.
  let keys: Int
  /// Connections that others open, at most.
  let connections: Int

  /// - Parameter limit: all that the process may have open.
  init(limit: Int) {
    self.limit = limit
    // Standard streams, signals, event loops, listeners, sources of peers, the control socket, the page of
    // metrics, a look-up of a name and a file that is written: a reserve that nothing else may use.
    let reserve = 32 + 4 * ProcessInfo.processInfo.activeProcessorCount
    // Files of feeds, as the storage opens and closes them.
    let files = max(4, min(128, limit / 2))
    connections = max(4, limit / 8)
    keys = max(1, limit - reserve - files - connections)
  }

  /// Takes as many as the system lets us have.
  static func raised() -> DescriptorBudget {
    var limit = rlimit()
    #if canImport(Glibc)
      let which = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
      let which = RLIMIT_NOFILE
    #endif
    guard getrlimit(which, &limit) == 0 else { return DescriptorBudget(limit: 1024) }
    var wanted = limit
    wanted.rlim_cur = limit.rlim_max
    if setrlimit(which, &wanted) == 0 { limit = wanted }
    // Beyond this nobody has them, and a sum must not overflow.
    return DescriptorBudget(limit: min(Int(clamping: limit.rlim_cur), 1 << 24))
  }
}

internal import Foundation

/// The way in which a host shares out the files and sockets that a process may have open.
struct DescriptorBudget {
  /// The number of descriptors.
  let limit: Int
  /// The most keys that are open at a time: each has a lock.
  let keys: Int
  /// The most inbound connections.
  let connections: Int

  /// - Parameter limit: the number of descriptors that the process may have open.
  init(limit: Int) {
    self.limit = limit
    // Standard streams, signals, event loops, listeners, sources of peers, the control socket, the page of
    // metrics, a look-up of a name and a file that is written: a reserve for nothing else.
    let reserve = 32 + 4 * ProcessInfo.processInfo.activeProcessorCount
    // Files of feeds, as the storage opens and closes them.
    let files = max(4, min(128, limit / 2))
    connections = max(4, limit / 8)
    keys = max(1, limit - reserve - files - connections)
  }

  /// Raises the limit as far as the system allows.
  static func raised() -> DescriptorBudget {
    let limit = DescriptorLimit.raise()
    guard limit > 0 else { return DescriptorBudget(limit: 1024) }
    // No system has more, and a sum must not overflow.
    return DescriptorBudget(limit: min(limit, 1 << 24))
  }
}

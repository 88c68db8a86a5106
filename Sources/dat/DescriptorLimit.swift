internal import ArgumentParser
internal import Foundation

/// The limit on files and sockets that the process may have open.
enum DescriptorLimit {
  /// The needs of the smallest command: the streams, the runtime's own, and a database's files at once.
  static let minimum = 32
  /// The additional needs, for each processor, of a command that connects to peers: its threads wait for
  /// sockets, and end the process if they get no descriptors.
  private static let perProcessor = 4

  /// Raises the limit as far as the system allows.
  ///
  /// - Returns: the limit from now on.
  @discardableResult
  static func raise() -> Int {
    var limit = rlimit()
    #if canImport(Glibc)
      let which = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
      let which = RLIMIT_NOFILE
    #endif
    guard getrlimit(which, &limit) == 0 else { return 0 }
    var wanted = limit
    #if canImport(Darwin)
      // More is refused there, although the limit reads as endless.
      wanted.rlim_cur = min(limit.rlim_max, rlim_t(OPEN_MAX))
    #else
      wanted.rlim_cur = limit.rlim_max
    #endif
    if wanted.rlim_cur > limit.rlim_cur, setrlimit(which, &wanted) == 0 { limit = wanted }
    return Int(clamping: limit.rlim_cur)
  }

  /// Checks that there are enough.
  ///
  /// - Parameter isOnline: true if the command connects to peers.
  /// - Throws: a sentence with both numbers.
  static func check(isOnline: Bool = false) throws {
    try check(needing: isOnline ? 2 * minimum + forSockets : minimum)
  }

  /// Checks that there are enough for a host, which opens few keys at a time if there are few.
  static func checkHost() throws { try check(needing: minimum + forSockets + 4) }

  private static var forSockets: Int {
    perProcessor * ProcessInfo.processInfo.activeProcessorCount
  }

  private static func check(needing needed: Int) throws {
    let limit = raise()
    guard limit > 0, limit < needed else { return }
    throw ValidationError(
      "Only \(limit) open files are allowed, and the command needs \(needed): raise the limit "
        + "(ulimit -n \(needed)).")
  }
}

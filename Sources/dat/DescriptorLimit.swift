internal import ArgumentParser
internal import Foundation

/// How many files and sockets the process may have open.
enum DescriptorLimit {
  /// What the smallest command needs: the streams, the runtime's own, and a database's files at once.
  static let minimum = 32
  /// What a command that speaks to peers needs beside that for each processor, for the threads that wait
  /// for its sockets. They end the process if they get none.
  private static let perProcessor = 4

  /// Takes as many as the system lets us have.
  ///
  /// - Returns: the limit from now on.
  @discardableResult
  static func raise() -> Int {
    var limit = rlimit()
    let which = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(which, &limit) == 0 else { return 0 }
    var wanted = limit
    wanted.rlim_cur = limit.rlim_max
    if setrlimit(which, &wanted) == 0 { limit = wanted }
    return Int(clamping: limit.rlim_cur)
  }

  /// Makes sure that there are enough.
  ///
  /// - Parameter isOnline: whether the command speaks to peers.
  /// - Throws: a sentence with both numbers.
  static func check(isOnline: Bool = false) throws {
    try check(needing: isOnline ? 2 * minimum + forSockets : minimum)
  }

  /// Makes sure that there are enough for a host, which opens few keys at a time where there are few.
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

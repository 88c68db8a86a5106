internal import Foundation

/// The results of a campaign of crashes: the number of disk states that were opened, and their faults.
public struct CrashTally: CustomStringConvertible {
  public private(set) var states = 0
  public private(set) var histories = 0
  /// The number of states in which something acknowledged was missing or wrong.
  public private(set) var lost = 0
  /// The number of states from which two histories could have come.
  public private(set) var forks = 0
  /// The first failures, each with the means to repeat it.
  public private(set) var failures: [String] = []
  /// The fraction of the current history's points that are crashed at.
  private var share = 1.0
  /// The number of states to open.
  public let quota: Int
  private let name: String

  /// - Parameters:
  ///   - share: this campaign's share of all states that the suite opens.
  ///   - standard: the number of all states in a normal run, unless the environment variable `CRASH_STATES`
  ///     says otherwise.
  ///   - onlyProcess: true if only the process dies in this campaign, of whose states there are a quarter as
  ///     many.
  public init(_ name: String, share: Double, standard: Int, onlyProcess: Bool = false) {
    self.name = name
    let environment = ProcessInfo.processInfo.environment
    let wanted = environment["CRASH_STATES"].flatMap(Int.init).map { $0 / (onlyProcess ? 4 : 1) }
    quota = Int((Double(wanted ?? standard) * share).rounded(.up))
  }

  /// True if there is more to do; false after a few failures, which tell enough.
  public var goesOn: Bool { states < quota && failures.count < 5 }

  /// Starts the next history. One history in ten is crashed at every point; the others are crashed at a few
  /// points, spread over them, so that the states come from many histories.
  ///
  /// - Parameter points: the number of its points, each crashed at in `ways` ways.
  public mutating func beginHistory(points: Int, ways: Int) {
    let isWhole = histories % 10 == 0
    histories += 1
    share = isWhole ? 1 : min(1, Self.statesOfHistory / Double(max(points * ways, 1)))
  }

  /// Returns whether to crash at the next point of the history.
  public func takesPoint(_ random: inout SeededRandom) -> Bool { random.chance(share) }

  private static var statesOfHistory: Double { 60 }

  /// Counts a state, and the error of its check.
  public mutating func count(_ where: @autoclosure () -> String, _ check: () throws -> Void) {
    states += 1
    do { try check() } catch { note(error, `where`()) }
  }

  /// Counts a state, and the error of its check.
  public mutating func count(
    _ where: @autoclosure () -> String, isolation: isolated (any Actor)? = #isolation,
    _ check: () async throws -> Void
  ) async {
    states += 1
    do { try await check() } catch { note(error, `where`()) }
  }

  private mutating func note(_ error: any Error, _ place: String) {
    if case .fork = error as? CrashFault { forks += 1 } else { lost += 1 }
    if failures.count < 5 { failures.append("\(place): \(error)") }
  }

  public var description: String {
    "\(name): \(states) crash states of \(histories) histories, \(lost) lost, \(forks) forks"
  }
}

/// The faults that must not be found after a crash.
public enum CrashFault: Error, CustomStringConvertible {
  case lost(String)
  case fork(String)

  public var description: String {
    switch self {
    case .lost(let what), .fork(let what): what
    }
  }
}

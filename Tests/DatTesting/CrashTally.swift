internal import Foundation

/// What a campaign of crashes found: how many states of a disk were opened, and what was wrong.
public struct CrashTally: CustomStringConvertible {
  public private(set) var states = 0
  public private(set) var histories = 0
  /// States in which something acknowledged was missing or wrong.
  public private(set) var lost = 0
  /// States from which two histories could have come.
  public private(set) var forks = 0
  /// The first failures, each with what repeats it.
  public private(set) var failures: [String] = []
  /// Of the points of the history that is under way, how many are crashed at.
  private var share = 1.0
  /// How many states to look at.
  public let quota: Int
  private let name: String

  /// - Parameters:
  ///   - share: of all states that the suite looks at together, so many are this campaign's.
  ///   - standard: how many states that are in a normal run; the environment variable `CRASH_STATES`
  ///     says otherwise.
  ///   - onlyProcess: whether it is about the death of the process alone, of which there are a quarter
  ///     as many.
  public init(_ name: String, share: Double, standard: Int, onlyProcess: Bool = false) {
    self.name = name
    let environment = ProcessInfo.processInfo.environment
    let wanted = environment["CRASH_STATES"].flatMap(Int.init).map { $0 / (onlyProcess ? 4 : 1) }
    quota = Int((Double(wanted ?? standard) * share).rounded(.up))
  }

  /// Whether there is more to do: also false after a few failures, which tell enough.
  public var goesOn: Bool { states < quota && failures.count < 5 }

  /// Starts on the next history: of one in ten every point is crashed at, of the others so many, spread
  /// over them, that the states come from many histories.
  ///
  /// - Parameter points: how many points it has, each crashed at in `ways` ways.
  public mutating func beginHistory(points: Int, ways: Int) {
    let isWhole = histories % 10 == 0
    histories += 1
    share = isWhole ? 1 : min(1, Self.statesOfHistory / Double(max(points * ways, 1)))
  }

  /// Whether to crash at the next point of the history.
  public func takesPoint(_ random: inout SeededRandom) -> Bool { random.chance(share) }

  private static var statesOfHistory: Double { 60 }

  /// Counts a state, and what its check throws.
  public mutating func count(_ where: @autoclosure () -> String, _ check: () throws -> Void) {
    states += 1
    do { try check() } catch { note(error, `where`()) }
  }

  /// Counts a state, and what its check throws.
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

/// What must not be found after a crash.
public enum CrashFault: Error, CustomStringConvertible {
  case lost(String)
  case fork(String)

  public var description: String {
    switch self {
    case .lost(let what), .fork(let what): what
    }
  }
}

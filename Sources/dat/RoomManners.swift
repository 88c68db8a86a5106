internal import ArgumentParser
internal import HyperDB
internal import Saga

/// The rules for those who come and go.
struct RoomManners: ParsableArguments {
  /// The newcomers that are let in.
  enum Authorization: String, ExpressibleByArgument, CaseIterable {
    case open
    case ask
  }

  @Option(
    help: ArgumentHelp(
      "Who may write: open lets everybody who has the key, ask waits for your answer.",
      valueName: "open|ask"))
  var authorize = Authorization.open

  @Option(
    help: ArgumentHelp(
      "How many newcomers may be let in within a minute; more have to wait.", valueName: "count"))
  var newcomers = AuthorizationLimits().perMinute

  @Option(
    help: ArgumentHelp(
      "How long somebody is away before it shows.", valueName: "seconds"))
  var patience: Double = 30

  func validate() throws {
    guard newcomers >= 1 else { throw ValidationError("--newcomers takes a number, 1 or more.") }
    guard (0...86_400).contains(patience) else {
      throw ValidationError("--patience takes a number of seconds, 0 to 86400.")
    }
  }

  var patienceTime: Duration { .seconds(patience) }

  /// The room's options that follow.
  var options: SagaOptions {
    var options = SagaOptions()
    if authorize == .ask { options.authorization = .ask }
    options.limits.perMinute = newcomers
    return options
  }
}

internal import ArgumentParser
internal import HyperDB
internal import Saga

/// The name that others see.
enum UserName {
  /// The most bytes of a name: more are shown nowhere.
  private static let limit = 200

  static func check(_ name: String) throws {
    guard name.utf8.count <= limit else {
      throw ValidationError("A name can have \(limit) bytes at most.")
    }
    guard name.contains(where: { !$0.isWhitespace }) else {
      throw ValidationError("--name is empty: say the name that others see.")
    }
  }
}

/// The rules for newcomers and for leaves.
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
      "How long a person is away before it shows.", valueName: "seconds"))
  var patience: Double = 30

  @OptionGroup(title: "Disk") var disk: DiskOptions

  func validate() throws {
    guard newcomers >= 1 else { throw ValidationError("--newcomers takes a number, 1 or more.") }
    guard (0...86_400).contains(patience) else {
      throw ValidationError("--patience takes a number of seconds, 0 to 86400.")
    }
  }

  var patienceTime: Duration { .seconds(patience) }

  /// The resulting options of a room.
  var options: Saga.Options {
    var options = Saga.Options()
    if authorize == .ask { options.authorization = .ask }
    options.limits.perMinute = newcomers
    options.database.disk = disk.limits(or: Saga.Options.disk)
    return options
  }
}

internal import ArgumentParser

/// The command `dat`.
@main
struct Dat: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dat",
    abstract: "Feeds, databases and chat rooms in the Dat formats of 2018.",
    version: "0.1.0",
    subcommands: [ChatCommand.self, FeedCommand.self, DbCommand.self])
}

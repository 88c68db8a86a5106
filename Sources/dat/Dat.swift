internal import ArgumentParser

@main
struct Dat: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dat", abstract: "Feeds, databases and chat rooms in the Dat formats of 2018.")
}

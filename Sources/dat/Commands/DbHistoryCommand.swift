internal import ArgumentParser
internal import HyperDB

/// `dat db history`.
struct DbHistoryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history",
    abstract: "Show every entry of every writer, each after all that its writer knew.",
    discussion: "With --json every line is a node.")

  @OptionGroup var folder: DbFolder
  @OptionGroup var values: DbValues
  @OptionGroup var raw: DbRaw

  @Flag(help: "Show the newest first.")
  var reverse = false

  func run() async throws {
    try await folder.reading { db in
      let output = DatabaseOutput(folder.output, values.encoding)
      for try await node in db.history(reverse: reverse, raw: raw.raw) { output.print(node) }
    }
  }
}

internal import ArgumentParser
internal import DatCoding
internal import HyperDB

/// `dat db version`.
struct DbVersionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "version",
    abstract: "Show the name of the state that the database is in, for `dat db diff --from`.",
    discussion: """
      EXAMPLES
        dat db version ~/people
      """)

  @OptionGroup var folder: DbFolder

  func run() async throws {
    try await folder.reading { db in
      let version = DatabaseOutput.hex(try await db.version())
      if folder.json {
        folder.output.object(["version": .string(version)])
      } else {
        folder.output.line(version)
      }
    }
  }
}

internal import ArgumentParser
internal import HyperDB

/// `dat db del`.
struct DbDelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "del", abstract: "Delete a key.")

  @OptionGroup var folder: DbFolder

  @Argument(help: "The key.")
  var key: String

  @OptionGroup var newness: DbNewness

  func run() async throws {
    try await folder.writing(creates: false, isNew: newness.isNew) { db in
      let node = try await db.delete(key)
      let output = DatabaseOutput(folder.output)
      if folder.json { output.output.value(try output.json(node)) }
    }
  }
}

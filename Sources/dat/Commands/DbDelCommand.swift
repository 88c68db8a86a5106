internal import ArgumentParser
internal import DatCoding
internal import HyperDB

/// `dat db del`.
struct DbDelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "del", abstract: "Delete a key.",
    discussion: """
      Ends with 1 if there is no such key, and writes nothing then; so it does with --missing-ok, which \
      ends with 0.
      """)

  @OptionGroup var folder: DbFolder

  @Argument(help: "The key.")
  var key: String

  @Flag(help: "Take a key that is not there as deleted.")
  var missingOk = false

  func run() async throws {
    try await folder.writing(creates: false) { db in
      guard try await !db.get(key).isEmpty else {
        if missingOk {
          if folder.json { folder.output.value(.null) }
          return
        }
        throw ValidationError("There was no such key: \(SafeText.line(key, limit: 200)).")
      }
      let node = try await db.delete(key)
      let output = DatabaseOutput(folder.output)
      if folder.json { output.output.value(try output.json(node)) }
      await folder.noteIfUnauthorized(db)
    }
  }
}

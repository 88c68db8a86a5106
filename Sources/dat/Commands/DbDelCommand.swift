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

      EXAMPLES
        dat db del ~/people ana/city
        dat db del ~/people ana/city --missing-ok
      """)

  @OptionGroup var folder: DbFolder

  @OptionGroup var key: DbKey

  @Flag(help: "Take a key that is not there as deleted.")
  var missingOk = false

  @OptionGroup var newness: DbNewness

  func run() async throws {
    try await folder.writing(creates: false, isNewKey: newness.isNewKey) { db in
      let name = try key.bytes
      guard try await !db.get(name).isEmpty else {
        if missingOk {
          if folder.json { folder.output.value(.null) }
          return
        }
        throw ValidationError("There was no such key: \(SafeText.line(key.key, limit: 200)).")
      }
      let node = try await db.delete(name)
      let output = DatabaseOutput(folder.output)
      if folder.json { output.output.value(output.json(node)) }
      await folder.noteIfUnauthorized(db)
    }
  }
}

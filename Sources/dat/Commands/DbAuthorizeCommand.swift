internal import ArgumentParser
internal import HyperDB
internal import HypercoreCrypto

/// `dat db authorize`.
struct DbAuthorizeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "authorize",
    abstract: "Let another replica write, for good: there is no way to take it back.")

  @OptionGroup var folder: DbFolder

  @Argument(help: "The key of the feed that the other replica writes to, in hex.")
  var key: String

  @OptionGroup var newness: DbNewness

  func run() async throws {
    try await folder.writing(creates: false, isNew: newness.isNew) { db in
      let key = try RoomKey.parse(key)
      try await db.authorize(key)
      if folder.json {
        folder.output.object(["authorized": .string(key.hex)])
      } else {
        folder.output.line("\(key.hex) may write")
      }
    }
  }
}

internal import ArgumentParser
internal import DatCoding
internal import HyperDB
internal import HypercoreCrypto

/// `dat db authorize`.
struct DbAuthorizeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "authorize",
    abstract: "Let another replica write, for good: there is no way to take it back.",
    discussion: """
      `dat db sync` and `dat db serve` of the other replica print the key of its feed.

      EXAMPLES
        dat db authorize ~/people 77d0..1a
      """)

  @OptionGroup var folder: DbFolder

  @Argument(
    help: "The key of the feed that the other replica writes to, in hex, or - for standard input.")
  var key: String?

  @OptionGroup var keyFile: KeyFile

  @OptionGroup var newness: DbNewness

  func validate() throws { try keyFile.checkAny([key].compactMap(\.self)) }

  func run() async throws {
    try await folder.writing(creates: false, isNewKey: newness.isNewKey) { db in
      guard let key = try await keyFile.read(key).key else { return }
      try await db.authorize(key)
      await folder.noteIfUnauthorized(db)
      if folder.json {
        folder.output.object(["authorized": .string(key.hex)])
      } else {
        let once = await db.isLocalAuthorized ? "" : ", once this replica may"
        folder.output.line("\(key.hex) may write\(once)")
      }
    }
  }
}

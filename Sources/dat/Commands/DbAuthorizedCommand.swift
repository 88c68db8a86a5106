internal import ArgumentParser
internal import DatCoding
internal import HyperDB
internal import HypercoreCrypto

/// `dat db authorized`.
struct DbAuthorizedCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "authorized",
    abstract: "Say whether a replica may write.",
    discussion: """
      Without KEY it is asked about the replica in DIR. Ends with 1 if it may not, or if that is not \
      known yet: a copy that has met nobody knows of no writers. With --json {"key", "authorized"} is \
      printed; "authorized" is null while it is not known.

      EXAMPLES
        dat db authorized ~/copy
        dat db authorized ~/people 4c1f..e9
      """)

  @OptionGroup var folder: DbFolder

  @Argument(
    help: "The key of the feed that the other replica writes to, in hex, or - for standard input.")
  var key: String?

  @OptionGroup var keyFile: KeyFile

  func run() async throws {
    try await folder.reading { db in
      let key = try await keyFile.read(key).key ?? db.localKey
      let feeds = await db.feeds
      let isKnown = key == db.key || feeds.contains { $0.key == db.key && $0.length > 0 }
      let isAuthorized = key == db.key || feeds.contains { $0.key == key && $0.isAuthorized }
      if folder.json {
        folder.output.object([
          "key": .string(key.hex), "authorized": isKnown ? .bool(isAuthorized) : .null,
        ])
      } else if isAuthorized {
        folder.output.line("\(key.hex) may write")
      } else if isKnown {
        folder.output.failure("\(key.hex) may not write: no writer has authorized it.")
      } else {
        folder.output.failure(
          "It is not known yet whether \(key.hex) may write: nothing of the database's owner is here. "
            + "Sync first: dat db sync.")
      }
      if !isAuthorized { throw ExitCode(1) }
    }
  }
}

internal import ArgumentParser
internal import HyperDB
internal import HypercoreCrypto

/// `dat db heads`.
struct DbHeadsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "heads",
    abstract: "Show the newest entries and the feeds of the database.",
    discussion: """
      Several heads are writers who did not know of each other's last entries.

      EXAMPLES
        dat db heads ~/people
        dat db heads ~/people --json
      """)

  @OptionGroup var folder: DbFolder
  @OptionGroup var values: DbValues

  func run() async throws {
    try await folder.reading { db in
      let output = DatabaseOutput(folder.output, values.encoding)
      let heads = try await db.heads()
      let feeds = await db.feeds
      if folder.json {
        output.output.object(["heads": output.json(heads), "feeds": DatabaseOutput.json(feeds)])
        return
      }
      for head in heads { output.print(head) }
      for feed in feeds {
        let notes = [
          feed.isLocal ? "written here" : nil, feed.isAuthorized ? nil : "not authorized",
        ]
        .compactMap { $0 }
        let note = notes.isEmpty ? "" : " (\(notes.joined(separator: ", ")))"
        output.output.line("feed \(feed.key.hex): \(Amount.count(feed.length, "block"))\(note)")
      }
    }
  }
}

internal import ArgumentParser
internal import HyperDB

/// `dat db diff`.
struct DbDiffCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Show what is different from an earlier version.",
    discussion: """
      With --json every line is {"left", "right"}: the nodes of a key now and then, null where it has \
      none. Without --from everything is new.

      EXAMPLES
        before=$(dat db version ~/people)
        dat db diff ~/people --from "$before"
      """)

  @OptionGroup var folder: DbFolder

  @Argument(help: "A folder of keys; everything if it is left out.")
  var prefix = ""

  @Option(
    help: ArgumentHelp("The earlier state, as `dat db version` prints it.", valueName: "version"))
  var from: String?

  @OptionGroup var values: DbValues
  @OptionGroup var raw: DbRaw

  func run() async throws {
    try await folder.reading { db in
      let output = DatabaseOutput(folder.output, values.encoding)
      var earlier: Checkout?
      if let from {
        do { earlier = try await db.checkout(hex: from) } catch let error as HyperDBError
          where error.code == .invalidVersion
        {
          throw ValidationError("\(error.reason). --from takes what dat db version printed.")
        }
      }
      let options = ListingOptions(raw: raw.raw)
      for try await change in db.diff(earlier, prefix: prefix, options: options) {
        output.print(change)
      }
    }
  }
}

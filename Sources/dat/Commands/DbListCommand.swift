internal import ArgumentParser
internal import HyperDB

/// `dat db list`.
struct DbListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Show the keys under a prefix and their values, in the order of the keys' hashes.",
    discussion: "With --json every line is an array of nodes of one key.")

  @OptionGroup var folder: DbFolder

  @Argument(help: "A folder of keys; everything where it is left out.")
  var prefix = ""

  @OptionGroup var values: DbValues
  @OptionGroup var raw: DbRaw

  @Flag(help: "Show one key for each folder below the prefix.")
  var nonRecursive = false

  @Flag(help: "Show the last first.")
  var reverse = false

  @Flag(help: "Leave the prefix itself out.")
  var gt = false

  @Flag(help: "Show deletes, too.")
  var deleted = false

  func run() async throws {
    try await folder.reading { db in
      let output = DatabaseOutput(folder.output, values.encoding)
      let options = ListingOptions(
        recursive: !nonRecursive, reverse: reverse, after: gt, deletes: deleted, raw: raw.raw)
      for try await nodes in db.list(prefix, options: options) {
        output.print(nodes, withKey: true)
      }
    }
  }
}

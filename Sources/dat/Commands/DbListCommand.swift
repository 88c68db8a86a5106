internal import ArgumentParser
internal import HyperDB

/// `dat db list`.
struct DbListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Show the keys under a prefix and their values, in the order of the keys' hashes.",
    discussion: """
      With --json every line is an array of nodes of one key. A long list is had in pages: --limit says \
      how long one is, and --after goes on behind the key that the last one ended with, also if that was \
      deleted since.

      EXAMPLES
        dat db list ~/people
        dat db list ~/people ana --json
        dat db list ~/people --limit 100
        dat db list ~/people --limit 100 --after ana/city
      """)

  @OptionGroup var folder: DbFolder

  @Argument(help: "A folder of keys; everything if it is left out.")
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

  @Option(help: ArgumentHelp("Show at most this many keys.", valueName: "count"))
  var limit: UInt?

  @Option(help: ArgumentHelp("Go on after this key.", valueName: "key"))
  var after: String?

  func run() async throws {
    try await folder.reading { db in
      let output = DatabaseOutput(folder.output, values.encoding)
      let options = ListingOptions(
        recursive: !nonRecursive, reverse: reverse, after: gt, deletes: deleted || after != nil,
        raw: raw.raw)
      // The key may have been deleted since, so the walk includes deletes.
      var passed = after.map { Array($0.utf8.drop { $0 == UInt8(ascii: "/") }) }
      var left = limit ?? .max
      for try await nodes in db.list(prefix, options: options) {
        if let key = passed {
          if nodes.first?.keyBytes == key { passed = nil }
          continue
        }
        let shown = deleted || after == nil ? nodes : nodes.filter { !$0.isDeleted }
        guard !shown.isEmpty else { continue }
        guard left > 0 else { return }
        left -= 1
        output.print(shown, withKey: true)
      }
      if passed != nil, let after {
        throw ValidationError(
          "There is no key \(SafeText.line(after, limit: 200)) in this list to go on behind.")
      }
    }
  }
}

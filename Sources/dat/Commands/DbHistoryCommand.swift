internal import ArgumentParser
internal import HyperDB

/// `dat db history`.
struct DbHistoryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history",
    abstract: "Show every entry of every writer, each after all that its writer knew.",
    discussion: """
      With a PREFIX only entries of that key and of keys below it. With --json every line is a node.

      EXAMPLES
        dat db history ~/people
        dat db history ~/people ana --reverse --limit 10
      """)

  @OptionGroup var folder: DbFolder
  @Argument(help: "A folder of keys; everything if it is left out.")
  var prefix = ""

  @OptionGroup var values: DbValues
  @OptionGroup var raw: DbRaw

  @Flag(help: "Show the newest first.")
  var reverse = false

  @Option(help: ArgumentHelp("Show at most this many.", valueName: "count"))
  var limit: UInt?

  func run() async throws {
    try await folder.reading { db in
      let output = DatabaseOutput(folder.output, values.encoding)
      let folder = KeyFolder(prefix)
      var left = limit ?? .max
      for try await node in db.history(reverse: reverse, raw: raw.raw)
      where folder.holds(node.keyBytes) {
        guard left > 0 else { return }
        left -= 1
        output.print(node)
      }
    }
  }
}

/// A folder of keys, as a command's prefix names it.
struct KeyFolder {
  private let name: [UInt8]

  init(_ prefix: String) {
    let slash = UInt8(ascii: "/")
    var name = Array(prefix.utf8).drop { $0 == slash }
    while name.last == slash { name.removeLast() }
    self.name = Array(name)
  }

  /// Returns whether a key is the folder's own or one below it.
  func holds(_ key: [UInt8]) -> Bool {
    guard !name.isEmpty else { return true }
    return key.starts(with: name)
      && (key.count == name.count || key[name.count] == UInt8(ascii: "/"))
  }
}

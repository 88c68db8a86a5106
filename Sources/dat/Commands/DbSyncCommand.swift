internal import ArgumentParser
internal import DatCoding
internal import DatSwarm
internal import HyperDB
internal import HypercoreCrypto

/// `dat db sync`.
struct DbSyncCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sync",
    abstract: "Exchange everything with peers, then end.",
    discussion: """
      With KEY and a new folder a copy of that database is made. With --json the feeds are printed as \
      {"key", "local", "feeds"}; "local" is the feed for the owner to authorize.

      EXAMPLES
        dat db sync ~/copy --key-file key.txt --connect 192.0.2.7:3282
        dat db sync ~/copy --connect 192.0.2.7:3282
      """)

  @OptionGroup var folder: DbFolder

  @Argument(help: "The database to copy: its key in hex, a dat:// link, or - for standard input.")
  var key: String?

  @OptionGroup var keyFile: KeyFile
  @OptionGroup var recording: RecordOption

  @Option(help: ArgumentHelp("The peer; may be given several times.", valueName: "host:port"))
  var connect: [String] = []

  @Option(help: ArgumentHelp("How long to wait for a peer that is silent.", valueName: "seconds"))
  var timeout: Double = 30

  func validate() throws {
    if connect.isEmpty { throw ValidationError("Say with whom: --connect.") }
    guard timeout > 0, timeout < 1e6 else {
      throw ValidationError("--timeout takes a number of seconds, above 0.")
    }
  }

  func run() async throws {
    try await folder.writing(key: { try await keyFile.read(key).key }, creates: false) { db in
      let addresses = try connect.map { try PeerAddress(parsing: $0) }
      let recorder = try recording.recorder(folder.output)
      let peers = DatabasePeers(db: db, output: folder.output, recorder: recorder)
      for address in addresses {
        try await peers.exchange(with: address, timeout: .seconds(timeout))
      }
      let feeds = await db.feeds
      if folder.json {
        folder.output.object([
          "key": .string(db.key.hex), "local": .string(db.localKey.hex),
          "feeds": DatabaseOutput.json(feeds),
        ])
      } else {
        let blocks = feeds.reduce(0) { $0 + $1.length }
        folder.output.line(
          "\(Amount.count(UInt64(feeds.count), "feed")), \(Amount.count(blocks, "block"))")
        if await !db.isLocalAuthorized {
          folder.output.line("not authorized to write yet: \(db.localKey.hex)")
        }
      }
    }
  }
}

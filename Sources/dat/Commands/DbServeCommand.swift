internal import ArgumentParser
internal import DatSwarm
internal import HyperDB

/// `dat db serve`.
struct DbServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Share a database with peers until interrupted.",
    discussion: """
      With KEY and a new folder a copy of that database is made.

      EXAMPLES
        dat db serve ~/people --listen 0.0.0.0:3282
        dat db serve ~/copy --key-file key.txt --connect 192.0.2.7:3282
      """)

  @OptionGroup var folder: DbFolder

  @Argument(help: "The database to copy: its key in hex, a dat:// link, or - for standard input.")
  var key: String?

  @OptionGroup var keyFile: KeyFile

  @OptionGroup var addresses: DbAddresses
  @OptionGroup var recording: RecordOption

  func validate() throws {
    if addresses.listen.isEmpty, addresses.connect.isEmpty {
      throw ValidationError("Say where: --listen or --connect.")
    }
  }

  func run() async throws {
    try await folder.serving(key: { try await keyFile.read(key).key }) { db in
      let listen = try addresses.listen.map { try ListenAddress(parsing: $0) }
      let connect = try addresses.connect.map { try PeerAddress(parsing: $0) }
      let recorder = try recording.recorder(folder.output)
      try await DatabasePeers(db: db, output: folder.output, recorder: recorder)
        .run(listen: listen, connect: connect)
    }
  }
}

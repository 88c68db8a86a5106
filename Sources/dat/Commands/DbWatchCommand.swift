internal import ArgumentParser
internal import DatSwarm
internal import HyperDB

/// `dat db watch`.
struct DbWatchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch",
    abstract: "Stay in sync with peers and show what changes, until interrupted.",
    discussion: """
      With --json every change of a key is {"left", "right"}: its nodes now and before, null where it \
      has none; other events have a field "event".

      EXAMPLES
        dat db watch ~/people ana --connect 192.0.2.7:3282
      """)

  @OptionGroup var folder: DbFolder

  @Argument(help: "A folder of keys; everything if it is left out.")
  var prefix = ""

  @OptionGroup var values: DbValues
  @OptionGroup var addresses: DbAddresses
  @OptionGroup var recording: RecordOption

  func run() async throws {
    try await folder.writing(creates: false) { db in
      let listen = try addresses.listen.map { try ListenAddress(parsing: $0) }
      let connect = try addresses.connect.map { try PeerAddress(parsing: $0) }
      let output = DatabaseOutput(folder.output, values.encoding)
      let changes = await db.watch(prefix)
      let start = try await db.snapshot()
      let showing = Task {
        var before = start
        for try await _ in changes {
          do {
            let now = try await db.snapshot()
            for try await change in now.diff(before, prefix: prefix) { output.print(change) }
            before = now
          } catch let error as HyperDBError where error.code != .closed {
            // What could not be shown is shown with the next change.
            folder.output.problem(error.reason)
          }
        }
      }
      let recorder = try recording.recorder(folder.output)
      try await DatabasePeers(db: db, output: folder.output, recorder: recorder)
        .run(listen: listen, connect: connect)
      showing.cancel()
      do { try await showing.value } catch is CancellationError { return }
    }
  }
}

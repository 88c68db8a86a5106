internal import ArgumentParser
internal import Foundation
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// `dat db`: databases, from the command line.
struct DbCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "db",
    abstract: "Read, write and share databases.",
    discussion: """
      Every command takes the database's folder first. Commands that only read change nothing in it.

      EXAMPLES
        dat db put ~/people ana/city '"Lima"'
        dat db get ~/people ana/city
        dat db list ~/people ana --json
        dat db serve ~/people --listen 0.0.0.0:3282
        dat db sync ~/copy 4c1f..e9 --connect 192.0.2.7:3282
      """,
    subcommands: [
      DbGetCommand.self, DbPutCommand.self, DbDelCommand.self, DbListCommand.self,
      DbHistoryCommand.self, DbDiffCommand.self, DbVersionCommand.self, DbHeadsCommand.self,
      DbAuthorizeCommand.self, DbWatchCommand.self, DbImportCommand.self, DbExportCommand.self,
      DbServeCommand.self, DbSyncCommand.self,
    ])
}

/// What every `dat db` command takes.
struct DbFolder: ParsableArguments {
  @Argument(help: "The folder of the database.", completion: .directory)
  var dir: String

  @Flag(help: "Print JSON, one value a line.")
  var json = false

  var output: Output { Output(json: json) }

  /// Runs `body` with the database open for reading.
  func reading(_ body: (HyperDB) async throws -> Void) async throws {
    try await running {
      guard FileManager.default.fileExists(atPath: dir + "/source/key") else {
        throw ValidationError("There is no database in \(SafeText.line(dir)).")
      }
      return try await HyperDB.open(folder: dir, access: .readOnly, options: Self.options)
    } body: {
      try await body($0)
    }
  }

  /// Runs `body` with the database open for writing.
  ///
  /// - Parameters:
  ///   - key: the database to copy, where the folder is new.
  ///   - creates: whether a new database is made where there is none.
  ///   - isNew: whether nothing was ever written with the key pair that is there.
  func writing(
    key: String? = nil, creates: Bool, isNew: Bool = false, _ body: (HyperDB) async throws -> Void
  ) async throws {
    try await running {
      let key = try key.map(RoomKey.parse)
      if key == nil, !creates, !FileManager.default.fileExists(atPath: dir + "/source/key") {
        throw ValidationError("There is no database in \(SafeText.line(dir)).")
      }
      var options = Self.options
      options.isNew = isNew
      return try await HyperDB.open(folder: dir, key: key, options: options)
    } body: {
      try await body($0)
    }
  }

  private static var options: HyperDBOptions {
    var options = HyperDBOptions()
    // Nobody is connected to wait for.
    options.update = false
    return options
  }

  /// Failures become one sentence on standard error and the status 1.
  private func running(
    open: () async throws -> HyperDB, body: (HyperDB) async throws -> Void
  ) async throws {
    do {
      let db = try await open()
      do { try await body(db) } catch {
        await db.close()
        throw error
      }
      let (issues, forks) = await (db.issues, db.forks)
      await db.close()
      for issue in issues { output.failure(issue.reason) }
      for fork in forks { output.failure(FeedError.forked(fork).reason) }
    } catch {
      output.failure(Problem.sentence(for: error))
      throw ExitCode(1)
    }
  }
}

/// For commands that write.
struct DbNewness: ParsableArguments {
  @Flag(
    name: .customLong("new"), help: "Nothing was ever written with the key in DIR: write at once.")
  var isNew = false
}

/// For commands that show or take values.
struct DbValues: ParsableArguments {
  @Option(help: "How values are stored: json, utf8 or binary (base64 in JSON output).")
  var encoding = ValueFormat.json
}

/// For commands that have an answer of the reference's own.
struct DbRaw: ParsableArguments {
  @Flag(help: "Give the answer of the JavaScript implementation, its defects included.")
  var raw = false
}

/// For commands that speak to peers.
struct DbAddresses: ParsableArguments {
  @Option(
    help: ArgumentHelp("Accept peers here; port 0 takes any free one.", valueName: "host:port"))
  var listen: [String] = []

  @Option(
    help: ArgumentHelp("Stay connected to this peer; retried for ever.", valueName: "host:port"))
  var connect: [String] = []
}

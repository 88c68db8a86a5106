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
        dat db sync ~/copy --key-file key.txt --connect 192.0.2.7:3282
      """,
    subcommands: [
      DbGetCommand.self, DbPutCommand.self, DbDelCommand.self, DbListCommand.self,
      DbHistoryCommand.self, DbDiffCommand.self, DbVersionCommand.self, DbHeadsCommand.self,
      DbAuthorizeCommand.self, DbAuthorizedCommand.self, DbWatchCommand.self, DbImportCommand.self,
      DbExportCommand.self,
      DbServeCommand.self, DbSyncCommand.self,
    ])
}

/// The arguments of every `dat db` command.
struct DbFolder: ParsableArguments {
  @Argument(help: "The folder of the database.", completion: .directory)
  var dir: String

  @Flag(help: "Print JSON, one value a line.")
  var json = false

  var output: Output { Output(json: json) }

  func validate() throws {
    try FolderLook.checkName(dir, example: "dat db sync FOLDER KEY --connect HOST:PORT copies it.")
  }

  /// Runs `body` with the database open for reading.
  func reading(_ body: (HyperDB) async throws -> Void) async throws {
    try await running {
      guard try FolderLook(dir).check(for: .database) else { throw missing }
      return try await HyperDB.open(folder: dir, access: .readOnly, options: Self.options)
    } body: {
      try await body($0)
    }
  }

  /// Runs `body` with the database open for peers, even on a disk that can't be written.
  ///
  /// - Parameter key: as for ``writing(key:creates:_:)``, whose folder is created if it is missing.
  func serving(
    key: () async throws -> PublicKey?, _ body: (HyperDB) async throws -> Void
  ) async throws {
    guard FileManager.default.fileExists(atPath: dir + "/source/key") else {
      return try await writing(key: key, creates: true, body)
    }
    try await running {
      let key = try await key()
      do {
        return try await open(key)
      } catch  where ReadOnlyDisk.isReason(for: error) {
        let db = try await HyperDB.open(
          folder: dir, key: key, access: .readOnly, options: Self.options)
        output.failure("\(dir) can't be written: what is there is served, and nothing is fetched.")
        return db
      }
    } body: {
      try await body($0)
    }
  }

  /// Runs `body` with the database open for writing. If it fails before anything of a new copy is here, the
  /// copy is removed.
  ///
  /// - Parameters:
  ///   - key: returns the database to copy, if the folder is new.
  ///   - creates: true to create a new database if there is none.
  ///   - isNewKey: true if nothing was ever written with the key pair that is there.
  func writing(
    key: () async throws -> PublicKey? = { nil }, creates: Bool, isNewKey: Bool = false,
    _ body: (HyperDB) async throws -> Void
  ) async throws {
    let before = FolderRemains(before: dir)
    var isNew = false
    try await running {
      let key = try await key()
      isNew = try !FolderLook(dir).check(for: .database)
      if key == nil, !creates, isNew { throw missing }
      do { return try await open(key, isNewKey: isNewKey) } catch {
        if isNew { before.restore() }
        throw error
      }
    } body: { db in
      do { try await body(db) } catch {
        if isNew, await !db.hasContent {
          await db.close()
          before.restore()
        }
        throw error
      }
    }
  }

  private func open(_ key: PublicKey?, isNewKey: Bool = false) async throws -> HyperDB {
    var options = Self.options
    options.isNew = isNewKey
    do {
      return try await HyperDB.open(folder: dir, key: key, options: options)
    } catch let error as FeedError where error.code == .anotherFeedStored {
      guard EmptyCopy.remove(in: dir) else {
        throw StoredKey.refusal(of: dir, asked: key, error)
      }
      return try await HyperDB.open(folder: dir, key: key, options: options)
    }
  }

  private var missing: ValidationError {
    ValidationError("There is no database in \(SafeText.line(dir)).")
  }

  private static var options: HyperDB.Options {
    var options = HyperDB.Options()
    // There is no connection to wait for.
    options.update = false
    return options
  }

  /// Runs `body`. An error becomes one sentence on standard error and the status 1.
  private func running(
    open: () async throws -> HyperDB, body: (HyperDB) async throws -> Void
  ) async throws {
    do {
      let db = try await open()
      for (feed, report) in await db.repairReports { output.findings(report, of: feed.hex) }
      do { try await body(db) } catch {
        await db.close()
        throw error
      }
      let (issues, forks) = await (db.issues, db.forks)
      await db.close()
      for issue in issues { output.failure(issue.reason) }
      for fork in forks { output.failure(FeedError.forked(fork).reason) }
    } catch {
      throw output.ending(with: error)
    }
  }

  /// Reports that others don't see yet what was written, if that is so.
  func noteIfUnauthorized(_ db: HyperDB) async {
    guard await !db.isLocalAuthorized else { return }
    output.failure(
      "This replica is not authorized yet: what was written stays here until a writer of the database "
        + "authorizes its feed, \(db.localKey.hex).")
  }
}

/// The arguments of commands about one key.
struct DbKey: ParsableArguments {
  @Argument(help: "The key.")
  var key: String

  @Flag(
    name: .customLong("base64-key"),
    help: "KEY is base64, as JSON output has keys that are not UTF-8.")
  var isBase64 = false

  /// The key's bytes.
  ///
  /// - Throws: a sentence if the key is empty or no base64.
  var bytes: [UInt8] {
    get throws {
      guard !key.isEmpty else {
        throw Misuse("A key has at least one character; the empty one names nothing.")
      }
      guard isBase64 else { return Array(key.utf8) }
      guard let data = Data(base64Encoded: key) else {
        throw Misuse("\(SafeText.line(key, limit: 80)) is no base64.")
      }
      return Array(data)
    }
  }
}

/// The options of commands that write.
struct DbNewness: ParsableArguments {
  @Flag(
    name: .customLong("new"), help: "Nothing was ever written with the key in DIR: write at once.")
  var isNewKey = false
}

/// The options of commands that show or take values.
struct DbValues: ParsableArguments {
  @Option(help: "The encoding of values: json, utf8 or binary (base64 in JSON output).")
  var encoding = ValueFormat.json
}

/// The options of commands to which the reference has an answer of its own.
struct DbRaw: ParsableArguments {
  @Flag(help: "Give the answer of the JavaScript implementation, its defects included.")
  var raw = false
}

/// The options of commands that connect to peers.
struct DbAddresses: ParsableArguments {
  @Option(
    help: ArgumentHelp("Accept peers here; port 0 takes any free one.", valueName: "host:port"))
  var listen: [String] = []

  @Option(
    help: ArgumentHelp("Stay connected to this peer; retried for ever.", valueName: "host:port"))
  var connect: [String] = []
}

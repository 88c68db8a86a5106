internal import ArgumentParser
internal import DatCoding
internal import Foundation
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import Hyperdrive
internal import RandomAccessStorage
internal import Saga

/// `dat doctor`: an examination of what is stored in a folder.
struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Check what is stored in a folder, and mend it; or look for the peers of a link.",
    discussion: """
      Takes the folder of a feed, a database, a chat room or an archive. Checks locks, headers, lengths, every hash \
      and signature, the bitfield against the data, in a database every entry, and in a room its index. Changes nothing \
      without --repair, which mends what can be mended without a risk of forking a feed, and says \
      what it did. Ends with 1 where something is wrong, and still is.

      Of a link to an archive it looks for peers and says whom it met and what they have; with 1 if nobody.

      EXAMPLES
        dat doctor ~/room
        dat doctor dat://4c1f..e9
        dat doctor ~/numbers --repair
        dat doctor ~/room --json
      """)

  @Argument(help: "A folder, or a dat:// link.", completion: .directory)
  var dir: String

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "What the names of its files start with, such as metadata. in an old .dat folder.",
      valueName: "text"))
  var prefix = ""

  @OptionGroup(title: "Peers of a link") var peers: ArchivePeers

  @Flag(help: "Mend what can be mended.")
  var repair = false

  /// The folder, as the commands about feeds take it.
  private var folder: FeedFolder {
    var folder = FeedFolder()
    (folder.dir, folder.json, folder.prefix) = (dir, json, prefix)
    return folder
  }

  func validate() throws {
    if dir.isEmpty { try folder.validate() }
  }

  func run() async throws {
    try await folder.run { output in
      if !FileManager.default.fileExists(atPath: dir),
        let link = ArchiveLink(try await peers.lookup.link(dir))
      {
        let isThere = try await ArchiveLinkDoctor(output: output, peers: peers).examine(link)
        if !isThere { throw ExitCode(1) }
        return
      }
      try folder.validate()
      let look = try FolderLook(folder.dir, prefix: folder.prefix)
      if case .file = look.content { throw ValidationError(look.words ?? "") }
      if folder.prefix.isEmpty, let kind = try Archive.kind(of: folder.dir) {
        let isHealthy = try await ArchiveDoctor(output: output).examine(folder.dir, kind, repair)
        if !output.json, isHealthy { output.line(output.bold("healthy")) }
        if !isHealthy { throw ExitCode(1) }
        return
      }
      let storage = FolderStorage(path: folder.dir)
      let isHealthy: Bool
      if folder.prefix.isEmpty, try storage.exists("source/key") {
        let examination = try await HyperDB.examine(
          storage, folders: Self.feedFolders(in: folder.dir), repairing: repair)
        isHealthy = examination.isHealthy
        // If the database can't be opened, that is the result.
        let index = try? await Saga.examineIndex(storage, removing: repair)
        printReport(examination, index ?? .missing, output)
      } else {
        guard
          try storage.exists(folder.prefix + "key") || storage.exists(folder.prefix + "secret_key")
        else {
          throw FeedError(
            code: .noFeedStored, reason: "Neither a feed nor a database is stored in \(folder.dir)."
          )
        }
        let examination = try examineFeed(storage)
        isHealthy = examination.isHealthy
        if output.json {
          output.object([
            "kind": "feed", "healthy": .bool(isHealthy),
            "feeds": [Self.json(examination, folder: "")],
          ])
        } else {
          printReport(examination, name: "feed", output)
        }
      }
      if !output.json, isHealthy { output.line(output.bold("healthy")) }
      if !isHealthy { throw ExitCode(1) }
    }
  }

  /// Returns the folders of a database that may hold its feeds.
  private static func feedFolders(in path: String) -> [String] {
    func names(_ folder: String) -> [String] {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(path)/\(folder)")) ?? []
      return names.filter { DiscoveryKey(hex: $0) != nil }.sorted().map { "\(folder)/\($0)/" }
    }
    return ["local/"] + names("peers") + names("content")
  }

  private func examineFeed(_ storage: FolderStorage) throws -> FeedExamination {
    let isShown = StandardStreams.isErrorTerminal
    defer { if isShown { StandardStreams.complain("\r\u{1b}[K") } }
    return try Feed.examine(storage, prefix: folder.prefix, repairing: repair) { blocks in
      if isShown { StandardStreams.complain("\r\u{1b}[K\(blocks) blocks checked") }
    }
  }

  // MARK: For people

  private func printReport(_ examination: FeedExamination, name: String, _ output: Output) {
    var line = "\(name) \(examination.key?.hex ?? "without a key"): "
    line += "\(Amount.count(examination.length, "block")), \(Amount.bytes(examination.byteLength))"
    if examination.storedBlocks < examination.length {
      line += ", \(examination.storedBlocks) of them here"
    }
    line += ", \(Amount.count(examination.validSignatures, "good signature"))"
    if examination.isOwned { line += ", written here" }
    output.line(line)
    for repair in examination.repairs { output.line("  mended: \(SafeText.line(repair))") }
    for problem in examination.problems {
      let advice = problem.isRepairable && !repair ? output.dim(" (--repair mends it)") : ""
      output.line(
        "  \(problem.isFault ? "wrong" : "note"): \(SafeText.line(problem.message))\(advice)")
    }
  }

  private func printReport(
    _ examination: DatabaseExamination, _ index: RoomIndexState, _ output: Output
  ) {
    if output.json {
      output.object([
        "kind": "database", "healthy": .bool(examination.isHealthy),
        "feeds": .array(examination.feeds.map { Self.json($0.examination, folder: $0.folder) }),
        "entries": .integer(Int64(examination.entryCount)),
        "badEntries": .array(
          examination.badEntries.map {
            [
              "feed": .string($0.feed.hex), "seq": .integer(Int64($0.seq)),
              "message": .string($0.message),
            ]
          }),
        "silentWriters": .array(examination.silentWriters.map { .string($0.hex) }),
        "index": .string(Self.word(for: index)),
        "failure": .optional(examination.failure),
      ])
      return
    }
    for feed in examination.feeds { printReport(feed.examination, name: feed.folder, output) }
    output.line("\(Amount.count(UInt64(max(examination.entryCount, 0)), "entry")) read")
    for entry in examination.badEntries {
      output.line(
        "  left out: block \(entry.seq) of feed \(entry.feed.hex): \(SafeText.line(entry.message))")
    }
    for writer in examination.silentWriters {
      output.line("  note: writer \(writer.hex) is authorized, but nothing of it ever came")
    }
    if index == .unusable {
      output.line(
        repair
          ? "  mended: \"room-index\" didn't fit the feeds and was emptied; it is made anew when the room opens"
          : "  note: \"room-index\" doesn't fit the feeds; it is made anew when the room opens")
    }
    if let failure = examination.failure { output.line("  wrong: \(SafeText.line(failure))") }
  }

  // MARK: For programs

  private static func word(for index: RoomIndexState) -> String {
    switch index {
    case .missing: "missing"
    case .usable: "usable"
    case .unusable: "unusable"
    }
  }

  private static func json(_ examination: FeedExamination, folder: String) -> JSON {
    [
      "folder": .string(folder), "key": .optional(examination.key?.hex),
      "length": .integer(Int64(examination.length)),
      "byteLength": .integer(Int64(examination.byteLength)),
      "storedBlocks": .integer(Int64(examination.storedBlocks)),
      "validSignatures": .integer(Int64(examination.validSignatures)),
      "writable": .bool(examination.isOwned), "healthy": .bool(examination.isHealthy),
      "problems": .array(
        examination.problems.map {
          [
            "code": .string($0.code.rawValue), "message": .string($0.message),
            "fault": .bool($0.isFault), "repairable": .bool($0.isRepairable),
          ]
        }),
      "repairs": .array(examination.repairs.map { .string($0) }),
    ]
  }
}

internal import ArgumentParser
internal import DatCoding
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import Hyperdrive

/// `dat create`.
struct ArchiveCreateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Make an archive of a folder's files; nothing is served.",
    discussion: """
      EXAMPLES
        dat create ~/site --title Mine
      """)

  @Argument(help: "The folder.", completion: .directory)
  var dir = "."

  @Option(help: "The title in dat.json.")
  var title: String?

  @Option(help: "The description in dat.json.")
  var description: String?

  @Flag(inversion: .prefixedNo, help: "Leave out files whose names start with a dot.")
  var ignoreHidden = true

  @Flag(help: "Print JSON.")
  var json = false

  func run() async throws {
    try await ArchiveRun.run(json: json) { output in
      if try Archive.kind(of: dir) != nil {
        throw ValidationError(
          "There is an archive in \(dir) already: `dat share \(dir)` serves it.")
      }
      try FolderLook(dir).checkForFiles()
      let archive = try await Archive.open(workFolder: dir)
      let result = await Result<Void, any Error>.of {
        if title != nil || description != nil { try writeManifest(archive.key) }
        try await ArchiveImport(archive: archive, output: output, ignoresHidden: ignoreHidden).run()
        try await output.status(archive)
      }
      try await archive.close()
      try result.get()
    }
  }

  private func writeManifest(_ key: PublicKey) throws {
    let path = dir + "/dat.json"
    guard !FileManager.default.fileExists(atPath: path) else { return }
    var fields = ["url": "dat://\(key.hex)"]
    fields["title"] = title
    fields["description"] = description
    let data = try JSONSerialization.data(
      withJSONObject: fields, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
    try data.write(to: URL(fileURLWithPath: path))
  }
}

/// An import of a folder's files, with a report.
struct ArchiveImport {
  let archive: Archive
  let output: Output
  let ignoresHidden: Bool

  func run() async throws {
    let shown = ImportLine(output: output)
    let report = try await archive.importFolder(ignoresHidden: ignoresHidden) { shown.show($0) }
    shown.clear()
    for (path, reason) in report.leftOut
    where !["it is hidden", "it is the archive's own folder", "it is named in .datignore"].contains(
      reason)
    {
      output.failure("\(ArchiveOutput.shown(path)) is left out: \(reason)")
    }
  }
}

/// The progress of an import on a line of the terminal; for programs its steps, a line each.
///
/// Unchecked, with this proof: what changes is touched under the lock only.
private final class ImportLine: @unchecked Sendable {
  private let output: Output
  private let isShown = StandardStreams.isErrorTerminal
  private let lock = NSLock()
  private var last: ContinuousClock.Instant?

  init(output: Output) { self.output = output }

  func show(_ progress: ImportProgress) {
    if output.json, let step = progress.last {
      switch step {
      case .put(let path, let size):
        output.object([
          "event": "put", "path": .string(path.description), "size": ArchiveOutput.integer(size),
        ])
      case .remove(let path): output.object(["event": "del", "path": .string(path.description)])
      }
    }
    guard isShown, !output.json else { return }
    let now = ContinuousClock.now
    lock.lock()
    defer { lock.unlock() }
    if let last, now - last < .milliseconds(100) { return }
    last = now
    let done = progress.added + progress.unchanged
    StandardStreams.complain(
      "\r\u{1b}[K\(done)/\(progress.totalFiles) files  \(Amount.bytes(progress.bytes)) of "
        + Amount.bytes(progress.totalBytes))
  }

  func clear() {
    if isShown, last != nil { StandardStreams.complain("\r\u{1b}[K") }
  }
}

/// `dat share`.
struct ArchiveShareCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "share",
    abstract: "Make or open the archive of a folder, take in what changed, and serve it.",
    discussion: """
      Stays until interrupted, and takes in what changes meanwhile.

      EXAMPLES
        dat share ~/site
      """)

  @Argument(help: "The folder.", completion: .directory)
  var dir = "."

  @Flag(
    name: .customLong("no-import"),
    help: "Serve what was taken in before; do not look at the files.")
  var noImport = false

  @Flag(inversion: .prefixedNo, help: "Take in what changes while it is served.")
  var watch = true

  @Flag(inversion: .prefixedNo, help: "Leave out files whose names start with a dot.")
  var ignoreHidden = true

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  @OptionGroup var peers: ArchivePeers

  func run() async throws {
    try await ArchiveRun.run(json: json) { output in
      guard FileManager.default.fileExists(atPath: dir) else {
        throw ValidationError("There is no folder \(dir) to share.")
      }
      let kind = try Archive.kind(of: dir)
      guard kind != .feeds else {
        throw ValidationError("\(dir) holds feeds without files: `dat serve \(dir)` shows them.")
      }
      try FolderLook(dir).checkForFiles()
      var path = dir
      if case .workFolder(let folder)? = kind { path = folder }
      let archive = try await Archive.open(workFolder: path)
      guard await archive.isWritable else {
        let words = await archive.notWritableWords(in: dir)
        try await archive.close()
        throw ValidationError(words)
      }
      if kind == nil, !output.json { output.line("Created new dat in \(path)/.dat") }
      let result = await Result<Void, any Error>.of { try await serve(archive, output) }
      try await archive.close()
      try result.get()
    }
  }

  private func serve(_ archive: Archive, _ output: Output) async throws {
    let interruptions = Interruption.requests()
    await output.findings(of: archive)
    let troubles = ArchiveTroubles(archive, in: dir, output: output)
    let events = archive.events()
    let reporting = Task {
      for await event in events where event == .trouble { await troubles.look() }
    }
    let importing = ArchiveImport(archive: archive, output: output, ignoresHidden: ignoreHidden)
    let swarm = try await peers.join(archive, output: output)
    if !output.json { output.line(output.bold("dat://\(archive.key.hex)")) }
    let work = Task {
      if noImport { return }
      // Watched before the first import, so that nothing is missed in between.
      let changes = try await archive.folderChanges()
      try await importing.run()
      if output.json {
        output.object([
          "event": "imported", "key": .string(archive.key.hex),
          "version": ArchiveOutput.integer(await archive.version),
        ])
      } else {
        try await output.summary("Sharing dat", archive)
      }
      guard watch else { return }
      for await _ in changes { try await importing.run() }
    }
    let watching = Task {
      do { try await work.value } catch is CancellationError {
      } catch { output.problem(Problem.sentence(for: error)) }
    }
    for await _ in interruptions { break }
    work.cancel()
    reporting.cancel()
    await watching.value
    await swarm.close()
  }
}

/// `dat sync`.
struct ArchiveSyncCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sync",
    abstract: "Follow the archive in a folder and serve it, until interrupted.",
    discussion: """
      In a folder of one's own archive it does what `dat share` does.

      EXAMPLES
        dat sync ~/site
      """)

  @Argument(help: "The folder.", completion: .directory)
  var dir = "."

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  @OptionGroup var peers: ArchivePeers

  func run() async throws {
    try await ArchiveRun.run(json: json) { output in
      guard case .workFolder(let path)? = try Archive.kind(of: dir) else {
        throw ValidationError(
          "There is no archive with its files in \(dir): `dat clone LINK` makes one.")
      }
      let archive = try await Archive.open(workFolder: path)
      if await archive.isWritable {
        try await archive.close()
        var share = ArchiveShareCommand()
        (share.dir, share.json, share.peers) = (path, json, peers)
        (share.noImport, share.watch, share.ignoreHidden) = (false, true, true)
        return try await share.run()
      }
      let result = await Result<Void, any Error>.of { try await follow(archive, output) }
      try await archive.close()
      try result.get()
    }
  }

  private func follow(_ archive: Archive, _ output: Output) async throws {
    let interruptions = Interruption.requests()
    let events = archive.events()
    let swarm = try await peers.join(archive, output: output)
    if !output.json { output.line(output.bold("dat://\(archive.key.hex)")) }
    await output.findings(of: archive)
    let troubles = ArchiveTroubles(archive, in: dir, output: output)
    await troubles.look()
    let reporting = Task {
      for await event in events {
        // Of many events at once only the newest come: what is the matter is looked for at each.
        await troubles.look()
        switch event {
        case .update(let version):
          if output.json {
            output.object(["event": "update", "version": ArchiveOutput.integer(version)])
          }
        case .sync(let version):
          if output.json {
            output.object(["event": "sync", "version": ArchiveOutput.integer(version)])
          } else {
            output.line("dat synced, version \(version), waiting for updates.")
          }
          await output.leftOut(archive)
        default: break
        }
      }
    }
    for await _ in interruptions { break }
    reporting.cancel()
    await swarm.close()
  }
}

internal import ArgumentParser
internal import DatCoding
internal import Hypercore
internal import Hyperdrive

/// The arguments of commands that read an archive.
struct ArchiveLook: ParsableArguments {
  @Argument(
    help: "A folder with an archive, a dat:// link, or - to read one from standard input.",
    completion: .directory)
  var archive: String

  @OptionGroup var keyFile: KeyFile

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  @OptionGroup var peers: ArchivePeers

  func run(
    _ body: (Archive, ArchiveTarget, ArchiveReadOptions, Output) async throws -> Void
  ) async throws {
    try await ArchiveRun.run(json: json) { output in
      let target = try ArchiveTarget(
        parsing: try await peers.lookup.link(keyFile.link(archive)))
      try await target.view(peers) { archive, reading in
        try await body(archive, target, reading, output)
      }
    }
  }
}

extension Archive {
  /// Returns the archive as it was at a version, or as it is now.
  func view(_ version: UInt64?, _ options: ArchiveReadOptions) async throws -> ArchiveCheckout {
    if let version { return try checkout(version) }
    return try await checkout(options: options)
  }
}

/// `dat ls`.
struct ArchiveListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List a folder of an archive, here or elsewhere.",
    discussion: """
      From a link, only the entries that are needed are fetched. With --json, one object a line: path, type, size, \
      mode, mtime, ctime (in ms), blocks, offset, byteOffset, seq, stored.

      EXAMPLES
        dat ls ~/site
        dat ls dat://4c1f..e9 photos -r
        dat ls - --key-file key.txt
      """)

  @OptionGroup var look: ArchiveLook

  @Argument(help: "A folder or file in the archive; the root if left out.")
  var path: String?

  @Flag(name: [.customShort("r"), .long], help: "List everything below it.")
  var recursive = false

  @Option(help: "Show it as it was at this version.")
  var version: UInt64?

  func run() async throws {
    try await look.run { archive, target, reading, output in
      let folder = path.map { ArchivePath($0) } ?? target.path
      let view = try await archive.view(version ?? target.version, reading)
      for try await item in view.entries(in: folder, recursive: recursive, options: reading) {
        if output.json {
          var stored: UInt64 = 0
          if item.stat.kind == .file, let range = item.stat.blockRange,
            let content = await archive.content
          {
            stored = await content.downloaded(in: range)
          }
          output.value(ArchiveOutput.json(item, stored: stored))
        } else {
          let size = String(item.stat.size)
          output.line(
            "\(ArchiveOutput.mode(item.stat))  \(String(repeating: " ", count: max(0, 10 - size.count)))"
              + "\(size)  \(ArchiveOutput.time(item.stat.mtime))  \(ArchiveOutput.shown(item.path))"
          )
        }
      }
    }
  }
}

/// `dat cat`.
struct ArchiveCatCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cat", abstract: "Print a file of an archive, here or elsewhere.",
    discussion: """
      EXAMPLES
        dat cat ~/site index.html
        dat cat dat://4c1f..e9/index.html
      """)

  @OptionGroup var look: ArchiveLook

  @Argument(help: "The file; with a link to a file it can be left out.")
  var path: String?

  @Option(help: "Show it as it was at this version.")
  var version: UInt64?

  func run() async throws {
    try await look.run { archive, target, reading, output in
      let path = path.map { ArchivePath($0) } ?? target.path
      let view = try await archive.view(version ?? target.version, reading)
      for try await piece in try await view.read(path, options: reading) { output.bytes(piece) }
    }
  }
}

/// `dat log`.
struct ArchiveLogCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log", abstract: "Show every change of an archive, in order.",
    discussion: """
      With --json, one object a line: version, change (put or del), path, size.

      EXAMPLES
        dat log ~/site
        dat log ~/site --json
      """)

  @OptionGroup var look: ArchiveLook

  func run() async throws {
    try await look.run { archive, _, reading, output in
      var (puts, deletions): (UInt64, UInt64) = (0, 0)
      for try await entry in archive.history(options: reading) {
        let size = entry.stat?.size ?? 0
        if entry.isDeletion { deletions += 1 } else { puts += 1 }
        if output.json {
          output.object([
            "version": ArchiveOutput.integer(entry.seq),
            "change": .string(entry.isDeletion ? "del" : "put"),
            "path": .string(entry.path.description), "size": ArchiveOutput.integer(size),
          ])
        } else {
          let blocks = entry.stat.map {
            " \(Amount.bytes(size)) (\(Amount.count($0.blocks, "block")))"
          }
          output.line(
            "\(ArchiveOutput.number(entry.seq)) [\(entry.isDeletion ? "del" : "put")] "
              + "\(ArchiveOutput.shown(entry.path))\(blocks ?? "")")
        }
      }
      for (seq, issue) in await archive.issues.sorted(by: { $0.key < $1.key }) {
        output.failure("version \(seq): \(issue.reason)")
      }
      if !output.json {
        output.line("\n\(Amount.count(puts + deletions, "change")): +\(puts) -\(deletions)")
      }
    }
  }
}

/// `dat diff`.
struct ArchiveDiffCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Show the changes from one version of an archive to another.",
    discussion: """
      Sorted by path; an overwritten file has a line for what is removed and one for what is put. With --json, \
      one object a line: change (put or del), path, seq.

      EXAMPLES
        dat diff ~/site 3
        dat diff ~/site 3 8
      """)

  @OptionGroup var look: ArchiveLook

  @Argument(help: "The version to start from; 0 is the empty archive.")
  var from: UInt64

  @Argument(help: "The version to end with; the newest if it is left out.")
  var to: UInt64?

  func run() async throws {
    try await look.run { archive, _, reading, output in
      for change in try await archive.diff(from: from, to: to, options: reading) {
        let isPut = change.kind == .put
        if output.json {
          output.object([
            "change": .string(isPut ? "put" : "del"),
            "path": .string(change.entry.path.description),
            "seq": ArchiveOutput.integer(change.entry.seq),
          ])
        } else {
          output.line("\(isPut ? "+" : "-") \(ArchiveOutput.shown(change.entry.path))")
        }
      }
    }
  }
}

/// `dat find`.
struct ArchiveFindCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "find", abstract: "Find files of an archive by a part of their names.",
    discussion: """
      With --json, the lines of `dat ls --json`, but `stored` is always 0.

      EXAMPLES
        dat find ~/site '*.jpg'
      """)

  @OptionGroup var look: ArchiveLook

  @Argument(help: "A part of the path, or a pattern with * and ?.")
  var name: String

  @Option(help: "Show it as it was at this version.")
  var version: UInt64?

  func run() async throws {
    try await look.run { archive, target, reading, output in
      let isPattern = name.contains("*") || name.contains("?")
      let pattern = PathPattern(isPattern ? name : "*\(name)*")
      let view = try await archive.view(version ?? target.version, reading)
      for try await item in view.entries(in: target.path, recursive: true, options: reading)
      where pattern.matches(item.path) {
        if output.json {
          output.value(ArchiveOutput.json(item, stored: 0))
        } else {
          output.line(ArchiveOutput.shown(item.path))
        }
      }
    }
  }
}

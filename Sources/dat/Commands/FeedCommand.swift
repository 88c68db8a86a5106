internal import ArgumentParser
internal import HyperDB
internal import Hypercore
internal import RandomAccessStorage

/// `dat feed`: one feed in a folder, alone.
struct FeedCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "feed",
    abstract: "Look into feeds, write them, and exchange them with peers.",
    discussion: """
      A feed is a folder that holds key, tree, data, bitfield and signatures. Looking into one changes \
      nothing, and needs no other program to be ended first.

      EXAMPLES
        seq 5 | dat feed append ~/numbers
        dat feed cat ~/numbers
        dat feed serve ~/numbers --listen 0.0.0.0:3282
        dat feed clone ~/copy 4c1f..e9 --connect 192.0.2.7:3282
      """,
    subcommands: [
      FeedInfoCommand.self, FeedCatCommand.self, FeedAppendCommand.self, FeedServeCommand.self,
      FeedCloneCommand.self, FeedAuditCommand.self,
    ])
}

/// The arguments by which a command finds its feed, and the form of its output.
struct FeedFolder: ParsableArguments {
  @Argument(help: "The folder of the feed.", completion: .directory)
  var dir: String

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "What the names of its files start with, such as metadata. in an old .dat folder.",
      valueName: "text"))
  var prefix = ""

  var output: Output { Output(json: json) }

  func validate() throws {
    try FolderLook.checkName(
      dir, example: "dat feed clone FOLDER KEY --connect HOST:PORT copies it.")
  }

  /// Opens the feed for reading.
  ///
  /// - Parameter isQuiet: true if the caller reports what opening found.
  func view(isQuiet: Bool = false) async throws -> Feed {
    try check(isWriting: false)
    return try await open(.readOnly, Feed.Options(), isQuiet: isQuiet)
  }

  /// Checks that the folder holds nothing but a feed.
  ///
  /// - Parameter isWriting: true if the feed is to be written, which is not allowed for a single feed of a
  ///   database.
  /// - Returns: true if the feed exists.
  @discardableResult
  func check(isWriting: Bool) throws -> Bool {
    let look = try FolderLook(dir, prefix: prefix)
    if !isWriting, case .part = look.content { return true }
    return try look.check(for: .feed)
  }

  /// Opens the feed.
  func open(
    _ access: StorageAccess, _ options: Feed.Options, isQuiet: Bool = false
  ) async throws -> Feed {
    var options = options
    options.prefix = prefix
    do {
      let feed = try await Feed.open(folder: dir, access: access, options: options)
      if !isQuiet { output.findings(await feed.repairReport, of: nil) }
      return feed
    } catch let error as FeedError where error.code == .noFeedStored {
      throw missing
    } catch {
      throw StoredKey.refusal(of: dir, prefix: prefix, asked: options.key, error)
    }
  }

  var missing: FeedError {
    let name = SafeText.line(dir)
    var sentence = "No feed is stored in \(name)."
    if !prefix.isEmpty {
      let shown = SafeText.line(prefix, limit: 80)
      sentence = "No feed is stored in \(name) under the prefix \"\(shown)\"."
      if !prefix.hasSuffix("."), (try? FolderLook(dir, prefix: prefix + "."))?.content == .feed {
        sentence += " With a dot there is one: --prefix \(shown)."
      }
    }
    return FeedError(code: .noFeedStored, reason: sentence)
  }

  /// Opens the feed for peers, even on a disk that can't be written.
  func openToServe(_ options: Feed.Options) async throws -> Feed {
    do {
      return try await open(.readWrite, options)
    } catch let error as FeedError where ReadOnlyDisk.isReason(for: error) {
      let feed = try await open(.readOnly, options)
      output.failure("\(dir) can't be written: what is there is served, and nothing is fetched.")
      return feed
    }
  }

  /// Runs a command: an error is reported in a sentence, and ends the process with 1.
  func run(_ body: (Output) async throws -> Void) async throws {
    do { try await body(output) } catch { throw output.ending(with: error) }
  }
}

/// Amounts in the form that people read.
enum Amount {
  /// Returns an amount such as `1 block`, `2 blocks` or `2 entries`.
  static func count(_ count: UInt64, _ noun: String) -> String {
    if count == 1 { return "1 \(noun)" }
    return noun.hasSuffix("y") && !noun.hasSuffix("ey")
      ? "\(count) \(noun.dropLast())ies" : "\(count) \(noun)s"
  }

  /// Returns a size such as `12.3 MB`.
  static func bytes(_ count: UInt64) -> String {
    if count < 1000 { return "\(count) B" }
    var value = Double(count)
    for unit in ["kB", "MB", "GB", "TB", "PB"] {
      value /= 1000
      if value < 999.95 || unit == "PB" {
        return "\((value * 10).rounded() / 10) \(unit)"
      }
    }
    return "\(count) B"
  }

  /// Returns a duration such as `1:02:03` or `0:07`.
  static func time(_ duration: Duration) -> String {
    let seconds = max(duration.components.seconds, 0)
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
    func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
  }
}

/// The detection of a disk that can be read but not written.
enum ReadOnlyDisk {
  /// Returns whether that is why something can't be opened.
  static func isReason(for error: any Error) -> Bool {
    let cause = (error as? FeedError)?.cause ?? (error as? HyperDBError)?.cause
    if let storage = cause as? StorageError { return storage.code == .permission }
    return (cause as? FeedError).map(isReason) ?? false
  }
}

internal import ArgumentParser
internal import DatCoding
internal import Foundation
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage
internal import Saga

/// `dat rekey`: a way on for a folder that was copied and written in both places.
struct RekeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rekey",
    abstract: "Go on with a new key after a folder was copied and both copies were written.",
    discussion: """
      A feed that was written in two copies of its folder has two histories, and nobody takes both. This \
      command shows what this folder's history has that the other one lacks. With --yes the folder gets a new \
      writer key, and that is written again with it: messages under new ids, with their old text, name and \
      time. The old folder is moved aside and not changed.

      Run it in both copies: with --keep in the one whose messages the others have, without in the other one. \
      A new key waits until another writer of the database lets it in. If the forked feed is the only writer, \
      its entries are exported instead, to start a new room with. A feed alone becomes a feed of a new key \
      with the same blocks.

      EXAMPLES
        dat rekey ~/room
        dat rekey ~/room --yes
        dat rekey ~/laptop-room --keep --yes
      """)

  @Argument(help: "The folder of a room, a database or a feed.", completion: .directory)
  var dir: String

  @Flag(help: "Do it. Otherwise nothing is changed.")
  var yes = false

  @Flag(help: "Keep this folder's history whole, since the others have it: only take a new key.")
  var keep = false

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  func validate() throws {
    try FolderLook.checkName(dir, example: "dat rekey FOLDER shows what would be done.")
  }

  func run() async throws {
    let output = Output(json: json)
    do {
      let path = Self.absolute(dir)
      if let aside = try RecoveredFolder.finishEarlier(path) {
        output.failure("an earlier run was finished; the old folder is \(aside)")
        return
      }
      let folder = try await ForkedFolder.read(path)
      let isOnlyWriter = folder.isSource && folder.otherWriters.isEmpty
      printReport(folder, output, isOnlyWriter)
      guard yes else { return }
      if isOnlyWriter {
        try await export(folder, output)
      } else {
        printReport(
          try await RecoveredFolder(old: folder, keepsHistory: keep).make(), folder, output)
      }
    } catch {
      throw output.ending(with: error)
    }
  }

  private static func absolute(_ path: String) -> String {
    var path = FolderStorage(path: path).path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }

  // MARK: The plan

  private func printReport(_ folder: ForkedFolder, _ output: Output, _ isOnlyWriter: Bool) {
    let items = keep || isOnlyWriter ? [] : folder.items
    if output.json {
      output.object([
        "event": "fork", "kind": .string(folder.kind.rawValue), "key": .string(folder.key.hex),
        "commonLength": .integer(Int64(folder.common)), "length": .integer(Int64(folder.length)),
        "onlyWriter": .bool(isOnlyWriter), "items": .array(items.map(Self.json)),
      ])
      return
    }
    output.line(
      "feed \(folder.key.hex) has two histories; they agree on \(Amount.count(folder.common, "block")), and "
        + "this one has \(Amount.count(folder.length - folder.common, "block")) more")
    if folder.kind == .feed {
      output.line(
        "a feed of a new key with \(Amount.count(folder.length, "block")) takes its place")
    } else if isOnlyWriter {
      output.line(
        "nobody else writes here, so no new key can be let in: the entries are exported, for a new room"
      )
    } else if keep {
      output.line("this history stays as it is here, and the folder gets a new writer key")
    } else {
      output.line(
        items.isEmpty
          ? "the other history lacks nothing; the folder gets a new writer key"
          : "the folder gets a new writer key, and what the other history lacks is written again with it:"
      )
    }
    for item in items { output.line("  " + Self.line(item)) }
    if !yes { output.line(output.dim("nothing was changed; --yes does it")) }
  }

  private static func line(_ item: ForkedFolder.Item) -> String {
    let key = SafeText.line(ShownBytes(text: item.key).text, limit: 80)
    switch item.fate {
    case .message(let content, _):
      return "\(time(content.timestamp))  \(SafeText.name(content.username)): "
        + SafeText.line(content.text, limit: 200)
    case .entry(let isDeleted, _): return isDeleted ? "delete \(key)" : "put \(key)"
    case .left(let reason): return "not carried over: \(key): \(reason)"
    }
  }

  private static func time(_ milliseconds: Int64) -> String {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.dateFormat = "yyyy-MM-dd HH:mm"
    return formatter.string(from: Date(timeIntervalSince1970: Double(milliseconds) / 1000))
  }

  private static func json(_ item: ForkedFolder.Item) -> JSON {
    let what: String
    let fields: [(String, JSON)]
    switch item.fate {
    case .message(let content, _):
      what = "message"
      fields = [
        ("message", .string(content.text)), ("username", .string(content.username)),
        ("timestamp", .integer(content.timestamp)),
      ]
    case .entry(let isDeleted, _): (what, fields) = (isDeleted ? "delete" : "put", [])
    case .left(let reason): (what, fields) = ("nothing", [("reason", .string(reason))])
    }
    return .members(
      [("does", .string(what))] + ShownBytes(text: item.key).fields("key")
        + [("seq", .integer(Int64(clamping: item.seq)))] + fields)
  }

  // MARK: The result

  private func printReport(
    _ result: RecoveredFolder.Result, _ folder: ForkedFolder, _ output: Output
  ) {
    if output.json {
      output.object([
        "event": "recovered", "key": .string(result.newKey.hex), "folder": .string(folder.path),
        "oldFolder": .string(result.aside), "written": .integer(Int64(result.count)),
        "waits": .bool(result.waits),
      ])
      return
    }
    output.line(
      "\(Amount.count(UInt64(result.count), folder.kind == .feed ? "block" : "entry")) written")
    output.line("the old folder is \(SafeText.line(result.aside)): don't write in it any more")
    if folder.kind == .feed {
      output.line("\(output.bold("dat://\(result.newKey.hex)"))")
    } else {
      output.line(
        "the new key is \(result.newKey.hex); others read it once a writer has let it in, which an open room "
          + "does as soon as you meet")
    }
  }

  // MARK: No other writer

  /// Writes the newest entries of all keys to a file, for `dat db import`.
  private func export(_ folder: ForkedFolder, _ output: Output) async throws {
    let file = Self.freeFile(folder.path)
    var options = HyperDB.Options()
    options.update = false
    let db = try await HyperDB.open(folder: folder.path, access: .readOnly, options: options)
    var lines = Data()
    var count = 0
    for try await nodes in db.list("") {
      for node in nodes where !node.isDeleted {
        lines.append(Data((ValueFormat.json.exported(node).text + "\n").utf8))
        count += 1
      }
    }
    await db.close()
    try lines.write(to: URL(fileURLWithPath: file), options: [.atomic])
    if output.json {
      output.object([
        "event": "exported", "file": .string(file), "entries": .integer(Int64(count)),
      ])
    } else {
      output.line("\(Amount.count(UInt64(count), "entry")) exported to \(SafeText.line(file))")
      output.line(
        "start a new room with them: dat db import NEWDIR \(SafeText.line(file)), then dat chat NEWDIR "
          + "--name NAME, and share its key")
    }
  }

  private static func freeFile(_ path: String) -> String {
    var number = 1
    while FileManager.default.fileExists(atPath: "\(path)-history-\(number).jsonl") { number += 1 }
    return "\(path)-history-\(number).jsonl"
  }
}

internal import ArgumentParser
internal import Foundation

/// The output of `dat` without a command: what is in a folder, and what can be done with it.
struct Overview {
  let folder: String

  /// The most things that are shown of a folder.
  private static let shownLimit = 12

  func show(_ output: Output) {
    output.line(Dat.configuration.abstract)
    let found = found()
    if !found.isEmpty {
      output.line("\n\(output.bold("HERE"))")
      for (words, example) in found.prefix(Self.shownLimit) {
        output.line("  \(words.padded(to: 34)) \(example)")
      }
      if found.count > Self.shownLimit {
        output.line("  and \(found.count - Self.shownLimit) more")
      }
    }
    output.line("\n\(output.bold("WHAT YOU CAN DO"))")
    for (words, example) in Self.tasks { output.line("  \(words.padded(to: 34)) \(example)") }
    output.line("\ndat help shows all commands, and dat help chat, for example, one of them.")
  }

  private static let tasks = [
    ("make a chat room, or open it", "dat chat room"),
    ("join a room with its key", "dat chat copy --key-file key.txt"),
    ("have it on a page in the browser", "dat chat room --web"),
    ("write lines to a feed", "dat feed append log < lines.txt"),
    ("read them", "dat feed cat log"),
    ("keep values under keys", #"dat db put people ana/city '"Lima"'"#),
    ("look at them", "dat db list people"),
    ("fetch an archive of files", "dat clone - site --key-file key.txt"),
    ("share the files of a folder", "dat share site"),
    ("keep rooms online", "dat host hosted room:KEY"),
    ("check what is stored", "dat doctor room"),
  ]

  /// Returns what is here and below, each with an example.
  private func found() -> [(String, String)] {
    if let here = Self.example(".", in: folder) { return [here] }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { !$0.hasPrefix(".") }.prefix(1000).sorted()
      .compactMap { Self.example($0, in: folder) }
  }

  private static func example(_ name: String, in folder: String) -> (String, String)? {
    let path = "\(folder)/\(name)"
    guard let look = try? FolderLook(path) else { return nil }
    let shown = SafeText.line(name, limit: 40)
    let quoted = quoted(name)
    switch look.content {
    case .missing, .nothing, .file: return nil
    case .feed: return ("\(shown) is a feed", "dat feed cat \(quoted)")
    case .database:
      let isRoom = FileManager.default.fileExists(atPath: path + "/chat.json")
      return isRoom
        ? ("\(shown) is a chat room", "dat chat \(quoted)")
        : ("\(shown) is a database or room", "dat db list \(quoted)")
    case .part(let whole):
      return ("\(shown) is a feed of a database", "dat db list \(Self.quoted(whole))")
    case .archive: return ("\(shown) holds an archive of files", "dat ls \(quoted)")
    case .host: return ("\(shown) is the folder of a host", "dat host status --dir \(quoted)")
    case .rooms where name == ".": return nil
    case .rooms: return ("\(shown) holds rooms or databases", "dat rooms \(quoted)")
    }
  }

  /// Returns a name quoted for a shell.
  private static func quoted(_ name: String) -> String {
    let isPlain = name.utf8.allSatisfy {
      ($0 >= 0x61 && $0 <= 0x7a) || ($0 >= 0x41 && $0 <= 0x5a) || ($0 >= 0x30 && $0 <= 0x39)
        || $0 == 0x2d || $0 == 0x2e || $0 == 0x2f || $0 == 0x5f
    }
    guard !isPlain else { return name.hasPrefix("-") ? "./" + name : name }
    return "'" + SafeText.line(name).replacingOccurrences(of: "'", with: "'\\''") + "'"
  }
}

extension String {
  /// Returns the text padded with spaces to at least `width` characters.
  fileprivate func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }
}

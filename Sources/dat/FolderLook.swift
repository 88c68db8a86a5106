internal import ArgumentParser
internal import CMalloc
internal import Foundation

/// The content of a folder, judged only by the names in it: nothing is opened, locked or changed.
///
/// Every command looks before it writes, so that no feed lands among other data.
struct FolderLook {
  /// The kinds of content.
  enum Content: Equatable {
    case missing
    /// A folder with nothing of Dat's in it.
    case nothing
    case file
    case feed
    case database
    /// One feed of the database in that folder.
    case part(of: String)
    /// An archive of files, whose feeds are in that folder.
    case archive(String)
    case host
    /// Rooms or databases, each in a folder of its own.
    case rooms
  }

  let path: String
  let content: Content

  /// Examines a folder.
  ///
  /// - Parameter prefix: the prefix of the names of a feed's files.
  /// - Throws: a sentence if there is no permission to look.
  init(_ path: String, prefix: String = "") throws {
    self.path = path
    content = try Self.content(of: path, prefix)
  }

  private static func content(of path: String, _ prefix: String) throws -> Content {
    guard let found = try kind(of: path) else { return .missing }
    guard found == dat_folder else { return .file }
    if try holdsDatabase(path) { return .database }
    if let whole = try database(around: path) { return .part(of: whole) }
    if try holdsFeed(path, prefix) { return .feed }
    if prefix.isEmpty {
      for folder in [path + "/.dat", path] where try holdsFeed(folder, "metadata.") {
        return .archive(folder)
      }
    }
    if try holdsHost(path) { return .host }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    // A folder of many things is not searched through.
    for name in names.prefix(1000) where (try? holdsDatabase("\(path)/\(name)")) == true {
      return .rooms
    }
    return .nothing
  }

  private static func holdsHost(_ path: String) throws -> Bool {
    if try kind(of: path + "/replicas") == dat_folder || kind(of: path + "/control") == dat_socket {
      return true
    }
    return try kind(of: path + "/keys") == dat_plain && kind(of: path + "/lock") == dat_plain
  }

  private static func holdsDatabase(_ path: String) throws -> Bool {
    try holdsFeed(path, "source/")
  }

  private static func holdsFeed(_ path: String, _ prefix: String) throws -> Bool {
    for name in ["key", "secret_key", "tree"]
    where try kind(of: "\(path)/\(prefix)\(name)") == dat_plain {
      return true
    }
    return false
  }

  /// Returns the folder of the database that a folder is one feed of.
  private static func database(around path: String) throws -> String? {
    let url = URL(fileURLWithPath: path).standardizedFileURL
    let parent = url.deletingLastPathComponent()
    if ["source", "local"].contains(url.lastPathComponent), try holdsDatabase(parent.path) {
      return parent.path
    }
    let above = parent.deletingLastPathComponent()
    if ["peers", "content"].contains(parent.lastPathComponent), try holdsDatabase(above.path) {
      return above.path
    }
    return nil
  }

  /// Returns the kind of file at a path, such as `dat_folder`; nil if there is none.
  private static func kind(of path: String) throws -> Int? {
    let kind = dat_kind_at(path)
    switch -kind {
    case ENOENT, ENOTDIR: return nil
    case EACCES, EPERM:
      throw ValidationError(
        "There is no permission to look for \(SafeText.line(path)): check the owner and the mode of its "
          + "folder (ls -ld).")
    case let number where number > 0:
      throw ValidationError(
        "\(SafeText.line(path)) can't be looked for: \(Descriptor.message(number)).")
    default: return Int(kind)
    }
  }

  // MARK: Sentences

  /// The sentence about the folder's content and the command for it; nil if there is nothing of Dat's.
  var words: String? {
    let name = SafeText.line(path)
    switch content {
    case .missing, .nothing: return nil
    case .file: return "\(name) is a file, not a folder."
    case .feed: return "\(name) holds a single feed; dat feed is for it."
    case .database: return "\(name) holds a database or room; dat db and dat chat are for it."
    case .part(let whole):
      return
        "\(name) is one feed of the database in \(SafeText.line(whole)); writing to it alone would "
        + "spoil that. Name \(SafeText.line(whole)) to dat db or dat chat."
    case .archive(let feeds) where feeds == path:
      return
        "\(name) holds the feeds of an archive of files; dat ls \(name) shows the files, and --prefix metadata. "
        + "names a feed."
    case .archive(let feeds):
      return
        "\(name) holds an archive of files, with its feeds in \(SafeText.line(feeds)); dat ls \(name) "
        + "shows the files."
    case .host:
      return "\(name) is the folder of a host; dat host list --dir \(name) shows what it holds."
    case .rooms:
      return "\(name) holds rooms or databases in folders of their own; name one of them, or see "
        + "dat rooms \(name)."
    }
  }

  /// The content that a command expects.
  enum Use {
    case feed
    case database
    case host
  }

  /// Checks that the folder holds nothing but what a command is for.
  ///
  /// - Returns: true if that exists.
  /// - Throws: a sentence that names the other content.
  @discardableResult
  func check(for use: Use) throws -> Bool {
    switch (use, content) {
    case (.feed, .feed), (.database, .database), (.host, .host): return true
    case (_, .missing), (_, .nothing): return false
    // A single feed or a new database may stand above others.
    case (_, .rooms): return false
    default: throw ValidationError(words ?? "")
    }
  }

  /// Checks a folder's name as the user gave it: it is not empty, and no key.
  static func checkName(_ name: String, example: String) throws {
    guard !name.isEmpty else {
      throw ValidationError("The name of the folder is empty; write . for the folder you are in.")
    }
    if RoomKey.isMeant(by: name), !FileManager.default.fileExists(atPath: name) {
      throw ValidationError(
        "\(SafeText.line(name, limit: 80)) is a key, and the folder is missing: \(example)")
    }
  }
}

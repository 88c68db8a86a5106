internal import ArgumentParser
internal import DatCoding
internal import Foundation

/// The choices of a user for all rooms: the file `settings.json` in `$XDG_CONFIG_HOME/dat`, or in
/// `~/.config/dat`.
struct Settings: Codable, Hashable {
  /// The name that others see.
  var name: String?

  /// The most bytes of a file; a larger one was not written here.
  private static let sizeLimit = 1 << 16

  /// The location of the settings; nil if no home folder is known.
  ///
  /// A relative `XDG_CONFIG_HOME` is ignored, as its specification asks.
  static func file(
    _ environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> URL? {
    let folder: String
    if let base = environment["XDG_CONFIG_HOME"], base.hasPrefix("/") {
      folder = base
    } else if let home = environment["HOME"], home.hasPrefix("/") {
      folder = home + "/.config"
    } else {
      return nil
    }
    return URL(fileURLWithPath: folder + "/dat/settings.json")
  }

  init() {}

  /// Reads a file of settings; without one they are empty.
  ///
  /// - Throws: `ValidationError`, with a sentence, for a file that can't be read.
  init(_ file: URL?) throws {
    guard let file, FileManager.default.fileExists(atPath: file.path) else { return }
    do {
      guard let size = try file.resourceValues(forKeys: [.fileSizeKey]).fileSize,
        size <= Self.sizeLimit
      else { throw Misuse("it is too large") }
      self = try JSONText.decode(Settings.self, from: Array(try Data(contentsOf: file)))
    } catch {
      let why =
        error is DecodingError || error is JSONError
        ? "it is not what dat wrote" : Problem.sentence(for: error)
      throw ValidationError(
        "The settings in \(SafeText.line(file.path)) can't be read (\(why)): mend or delete that file, or give --name."
      )
    }
  }

  /// Writes the settings to a file that its owner alone can read.
  func write(to file: URL) throws {
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true,
      attributes: [.posixPermissions: 0o700])
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    try PrivateFile.write(try encoder.encode(self) + Data("\n".utf8), to: file)
  }
}

/// The name that a person goes by.
enum OwnName {
  /// The most times that the question is asked.
  private static let attempts = 3

  /// The name that was given; or that of the room's notes; or that of the settings; or, at a terminal, the answer to
  /// a question, which the settings keep.
  ///
  /// - Parameters:
  ///   - folder: the room's; nil if nothing is kept of it.
  ///   - mayAsk: true if a person may be there to answer.
  static func find(_ given: String?, in folder: String?, mayAsk: Bool) throws -> String {
    if let given { return given }
    if let name = folder.flatMap({ RoomNotes(folder: $0).name }), isName(name) { return name }
    let file = Settings.file()
    var settings = try Settings(file)
    if let name = settings.name {
      do { try UserName.check(name) } catch {
        throw ValidationError(
          "The name in \(SafeText.line(file?.path ?? "")) can't be used: mend or delete that file, or give --name."
        )
      }
      return name
    }
    guard mayAsk, isatty(STDIN_FILENO) == 1, StandardStreams.isOutputTerminal else {
      throw Misuse(
        "A room needs a name for you: give --name NAME; at a terminal dat chat asks for it once and remembers it."
      )
    }
    let name = try ask()
    settings.name = name
    remember(settings, file)
    return name
  }

  private static func isName(_ text: String) -> Bool { (try? UserName.check(text)) != nil }

  private static func ask() throws -> String {
    for _ in 0..<attempts {
      StandardStreams.write("Which name should others see? ")
      guard let line = readLine() else { break }
      let name = ForeignText(line).trimmed.string
      if isName(name) { return name }
      StandardStreams.complain("dat: A name has 1 to 200 bytes, and not only spaces.\n")
    }
    throw ValidationError("No name was given; --name NAME gives one, too.")
  }

  private static func remember(_ settings: Settings, _ file: URL?) {
    do {
      guard let file else { throw Misuse("no home folder is known") }
      try settings.write(to: file)
      StandardStreams.write(
        "It is noted in \(SafeText.line(file.path)) and used from now on; --name gives another.\n")
    } catch {
      StandardStreams.complain(
        "dat: The name can't be noted: \(SafeText.line(Problem.sentence(for: error)))\n")
    }
  }
}

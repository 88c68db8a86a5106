internal import ArgumentParser
internal import DatCoding
internal import Foundation
internal import HypercoreCrypto

/// The options of commands that take a key. It can be kept off the command line, which other users of the
/// machine can read in the list of processes.
struct KeyFile: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Take the key from the first line of this file, or of standard input for -: other users of the "
        + "machine see what is on the command line.", valueName: "path"),
    completion: .file())
  var keyFile: String?

  /// Returns the source of the key: a file's path, `-` for standard input; nil if there is none, or if the key
  /// is the argument.
  private func path(beside argument: String?) throws -> String? {
    guard let keyFile else { return argument == "-" ? "-" : nil }
    guard argument == nil else {
      throw Misuse("There are two keys: leave out KEY, or --key-file \(SafeText.line(keyFile)).")
    }
    return keyFile
  }

  /// Returns the key that was given in any of the three ways.
  ///
  /// - Parameter argument: the argument KEY: a key, or `-` for standard input.
  /// - Throws: ``Misuse`` for two keys, or if the first line is missing; a sentence if the text is not a key.
  func read(_ argument: String?) async throws -> GivenKey {
    guard let path = try path(beside: argument) else {
      return GivenKey(key: try argument.map(RoomKey.parse))
    }
    let first = try await Self.firstLine(of: path)
    return GivenKey(key: try RoomKey.parse(first.text), rest: first.rest)
  }

  /// Returns the link to an archive: the argument, or, if that is `-`, the first line of the file or of
  /// standard input. The argument precedes others, so it can't be left out.
  func link(_ argument: String) async throws -> String {
    if argument == "-" { return try await Self.firstLine(of: keyFile ?? "-").text }
    guard keyFile == nil else {
      throw Misuse("With --key-file write - in place of the link.")
    }
    return argument
  }

  /// Returns the first line of a file or of standard input, and what follows it on the latter.
  private static func firstLine(of path: String) async throws -> (text: String, rest: InputLines?) {
    let source = try InputSource(path: path)
    source.invite("Type the key")
    var lines = source.lines
    let first: InputLine?
    if path == "-" {
      first = try await lines.next()
    } else {
      let bytes = try await source.bytes(limit: 1 << 20)
      // Such as a feed's own file of that name, which is shorter than any key in hex.
      if bytes.count == 32, let key = PublicKey(bytes: bytes) { return (key.hex, nil) }
      var text = TextLines(limit: InputSource.limit)
      text.add(bytes)
      first = try (text.next() ?? text.last()).map {
        InputLine(bytes: $0, number: 1, source: source.name)
      }
    }
    guard let first, let text = trimmed(first) else {
      throw Misuse("The first line of \(source.name) has to be the key; there is none.")
    }
    return (text.string, path == "-" ? lines : nil)
  }

  /// Checks that there is at least one key, from any source.
  func checkAny(_ arguments: [String]) throws {
    guard keyFile != nil || !arguments.isEmpty else {
      throw ValidationError("Say which key: KEY, or --key-file PATH.")
    }
  }

  /// Returns all given keys, for commands that take several: those of the arguments, and one key a line.
  func readAll(_ arguments: [String]) async throws -> [String] {
    var keys = arguments.filter { $0 != "-" }
    guard let path = keyFile ?? (keys.count < arguments.count ? "-" : nil) else { return keys }
    let source = try InputSource(path: path)
    source.invite("Type the keys, one a line")
    let count = keys.count
    for try await line in source.lines {
      guard let text = Self.trimmed(line), !text.starts(with: "#") else { continue }
      keys.append(text.string)
    }
    guard keys.count > count else { throw Misuse("There is no key in \(source.name).") }
    return keys
  }

  /// Returns the text of a line. Text that is not UTF-8 is refused later, as not a key.
  private static func trimmed(_ line: InputLine) -> ForeignText? {
    let text = ForeignText(bytes: line.bytes).trimmed
    return text.utf8.isEmpty ? nil : text
  }
}

/// A given key, and the input behind it.
struct GivenKey: Sendable {
  /// The key; nil if none was given.
  let key: PublicKey?
  /// The rest of standard input after the key; nil if the key did not come from there.
  var rest: InputLines?
}

/// The key of a room as people share it.
enum RoomKey {
  /// Reads 64 hex digits, with or without `dat://` before them.
  static func parse(_ text: String) throws -> PublicKey {
    let digits = digits(of: ForeignText(text))
    guard let key = PublicKey(hex: digits.string) else {
      throw ValidationError(
        "\"\(SafeText.line(text, limit: 80))\" is no key: a key is 64 hex digits; this has "
          + "\(digits.utf8.count) characters.")
    }
    return key
  }

  /// Returns whether a text is a key, or is meant as one: a link.
  static func isMeant(by text: String) -> Bool {
    ForeignText(text).starts(with: "dat://") || PublicKey(hex: text) != nil
  }

  private static func digits(of text: ForeignText) -> ForeignText {
    let digits = text.starts(with: "dat://") ? text.dropFirst(bytes: 6) : text
    let endsInSlash = digits.utf8.last == UInt8(ascii: "/")
    return endsInSlash ? digits.cut(toBytes: digits.utf8.count - 1) : digits
  }
}

internal import ArgumentParser
internal import CMalloc
internal import DatCoding
internal import Foundation

/// A file, pipe or terminal that a command reads.
struct InputSource: Sendable {
  /// The most bytes of a line, or of a value as a whole: enough for the largest value in JSON, escaped. A
  /// longer one is not text that a person wrote, and would be held in memory until its end.
  static let limit = 64 << 20

  private let descriptor: Int32
  /// Its name in a sentence.
  let name: String
  /// True if a person types it.
  var isTerminal: Bool { isatty(descriptor) == 1 }

  /// Opens the file at `path`, or standard input if `path` is nil or `-`.
  ///
  /// - Throws: a sentence if it can't be read. Call it before anything is created.
  init(path: String? = nil) throws {
    guard let path, path != "-" else {
      (descriptor, name) = (STDIN_FILENO, "standard input")
      try Self.checkStandardInput()
      return
    }
    name = SafeText.line(path)
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ValidationError(Self.refusal(errno, name)) }
    guard !Self.isFolder(descriptor) else {
      close(descriptor)
      throw ValidationError("\(name) is a folder; a file is needed here.")
    }
  }

  private static func checkStandardInput() throws {
    let flags = fcntl(STDIN_FILENO, F_GETFL)
    guard flags >= 0, flags & O_ACCMODE != O_WRONLY else {
      throw ValidationError(
        "Standard input is closed, or not open for reading: redirect a file (< FILE) or a pipe.")
    }
    guard !isFolder(STDIN_FILENO) else {
      throw ValidationError("Standard input is a folder: redirect a file (< FILE) or a pipe.")
    }
  }

  private static func isFolder(_ descriptor: Int32) -> Bool {
    Int(dat_kind_of(descriptor)) == dat_folder
  }

  private static func refusal(_ number: Int32, _ name: String) -> String {
    switch number {
    case ENOENT, ENOTDIR: "There is no file \(name)."
    case EACCES, EPERM:
      "There is no permission to read \(name): check its owner and its mode (ls -l)."
    default: "\(name) can't be read: \(Descriptor.message(number))."
    }
  }

  /// Notes on standard error that the command waits for typed input, if that is so.
  func invite(_ what: String) {
    if isTerminal, StandardStreams.isErrorTerminal {
      StandardStreams.complain("\(what); Ctrl-D at the beginning of a line ends.\n")
    }
  }

  /// Returns the next bytes, up to `limit`; nil at the end. A thread of its own waits for the system, and
  /// nothing is read ahead.
  func piece(limit: Int = 1 << 16) async throws -> [UInt8]? {
    let piece = await withCheckedContinuation { continuation in
      DispatchQueue.global().async { [descriptor] in
        continuation.resume(returning: Descriptor.read(descriptor, limit: limit))
      }
    }
    switch piece {
    case .bytes(let bytes): return bytes.isEmpty ? nil : bytes
    case .failure(let number):
      throw ValidationError("Reading \(name) failed: \(Descriptor.message(number)).")
    }
  }

  /// Returns all bytes.
  ///
  /// - Throws: a sentence if there is more than `limit`, which would only fill the memory.
  func bytes(limit: Int = InputSource.limit) async throws -> [UInt8] {
    var all: [UInt8] = []
    while let piece = try await piece() {
      all += piece
      guard all.count <= limit else {
        throw ValidationError("There are more than \(limit >> 20) MiB on \(name).")
      }
    }
    return all
  }

  /// Its lines, which are read on demand.
  var lines: InputLines { InputLines(source: self) }
}

/// One line of a command's input.
struct InputLine: Sendable {
  /// The bytes without the line end.
  let bytes: [UInt8]
  /// The number, counted from 1.
  let number: Int
  /// The name of the input.
  let source: String

  /// The line as text. It has to be UTF-8, since nothing is changed silently.
  var text: String {
    get throws {
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw ValidationError(
          "Line \(number) of \(source) is not UTF-8; nothing of it was taken. Convert it first, "
            + "for example with iconv.")
      }
      return text
    }
  }
}

/// The lines of an input, as `TextLines` cuts them. What was read stays with the value: a copy goes on from
/// where it was made.
struct InputLines: AsyncSequence, AsyncIteratorProtocol, Sendable {
  typealias Element = InputLine
  let source: InputSource
  private var text = TextLines(limit: InputSource.limit)
  private var number = 0
  private var isAtEnd = false

  init(source: InputSource) { self.source = source }

  func makeAsyncIterator() -> InputLines { self }

  /// Returns the next line; nil at the end.
  mutating func next() async throws -> InputLine? {
    do {
      while !isAtEnd {
        if let line = try text.next() { return numbered(line) }
        if let piece = try await source.piece() { text.add(piece) } else { isAtEnd = true }
      }
      return try text.last().map { numbered($0) }
    } catch is TextLines.LineTooLong {
      throw ValidationError(
        "Line \(number + 1) of \(source.name) is longer than \(InputSource.limit >> 20) MiB.")
    }
  }

  private mutating func numbered(_ line: [UInt8]) -> InputLine {
    number += 1
    return InputLine(bytes: line, number: number, source: source.name)
  }
}

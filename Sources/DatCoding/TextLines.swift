/// A splitter of text that arrives in pieces into lines: of messages, key files, lists, imports, standard
/// input.
///
/// A line ends with a line feed, with or without a carriage return before it. A byte order mark at the
/// beginning is not part of the text. Lines are bytes, so invalid UTF-8 is kept.
package struct TextLines {
  /// The error for a line beyond the limit.
  package struct LineTooLong: Error, Hashable, Sendable, CustomStringConvertible {
    /// The most bytes of a line.
    package let limit: Int

    package var description: String {
      "a line has more than \(limit) bytes; split the input, or end its lines with line feeds"
    }
  }

  private static let mark: [UInt8] = [0xef, 0xbb, 0xbf]

  private let limit: Int
  /// The bytes that have arrived; those from ``start`` on were not returned yet.
  private var pending: [UInt8] = []
  private var start = 0
  /// The offset up to which there is no line feed.
  private var searched = 0
  private var isAtBeginning = true

  /// - Parameter limit: the most bytes of a line.
  package init(limit: Int = .max) { self.limit = limit }

  /// Adds the next piece of the text.
  package mutating func add(_ bytes: some Sequence<UInt8>) {
    if start > 0 {
      pending.removeSubrange(..<start)
      searched -= start
      start = 0
    }
    pending.append(contentsOf: bytes)
  }

  /// Returns the next complete line, without its end; nil if more of the text must arrive first.
  package mutating func next() throws(LineTooLong) -> [UInt8]? {
    guard let end = pending[searched...].firstIndex(of: 0x0a) else {
      searched = pending.count
      if pending.count - start > limit { throw LineTooLong(limit: limit) }
      return nil
    }
    defer {
      start = end + 1
      searched = start
    }
    return try line(pending[start..<end])
  }

  /// Returns the last line, if it has no end; nil if there is none. Call it after the last piece.
  package mutating func last() throws(LineTooLong) -> [UInt8]? {
    defer {
      pending = []
      start = 0
      searched = 0
    }
    let rest = try line(pending[start...])
    return rest.isEmpty ? nil : rest
  }

  private mutating func line(_ bytes: ArraySlice<UInt8>) throws(LineTooLong) -> [UInt8] {
    var bytes = bytes
    if isAtBeginning, bytes.starts(with: Self.mark) { bytes = bytes.dropFirst(3) }
    isAtBeginning = false
    if bytes.last == 0x0d { bytes = bytes.dropLast() }
    if bytes.count > limit { throw LineTooLong(limit: limit) }
    return Array(bytes)
  }

  /// Splits a whole text into its lines, including empty ones. An empty rest after the last line feed is not
  /// a line.
  package static func all(_ text: some Sequence<UInt8>) -> [[UInt8]] {
    var lines = TextLines()
    lines.add(text)
    var all: [[UInt8]] = []
    // Without a limit no line is too long.
    while let line = try? lines.next() { all.append(line) }
    if let last = try? lines.last() { all.append(last) }
    return all
  }

  /// Returns the bytes without a byte order mark at the beginning.
  package static func withoutMark(_ bytes: [UInt8]) -> [UInt8] {
    bytes.starts(with: mark) ? Array(bytes.dropFirst(3)) : bytes
  }
}

extension ForeignText {
  /// The lines of the text, as ``TextLines`` splits them; an empty text has one.
  package var lines: [ForeignText] {
    let lines = TextLines.all(utf8).map { ForeignText(bytes: $0) }
    return utf8.isEmpty || utf8.last == 0x0a ? lines + [ForeignText("")] : lines
  }
}

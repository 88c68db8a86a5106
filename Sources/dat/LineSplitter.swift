/// Cuts bytes that come in pieces into lines.
///
/// A line ends with a line feed, with or without a carriage return before it. A byte order mark at the
/// beginning belongs to no line, as editors of other systems put it there. What follows the last line end
/// is a line as well, unless it is empty.
struct LineSplitter {
  /// The number of bytes that a line can have: with room for the largest value in JSON, escaped. More is
  /// no text that anybody wrote, and would be held in memory until its end.
  static let limit = 64 << 20

  private var rest: [UInt8] = []
  private var isFirst = true

  /// Takes the next piece.
  ///
  /// - Returns: the lines that it completes, without their ends.
  /// - Throws: ``Overflow`` for a line over ``limit``.
  mutating func take(_ bytes: [UInt8]) throws(Overflow) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var start = bytes.startIndex
    while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
      rest += bytes[start..<end]
      if rest.last == UInt8(ascii: "\r") { rest.removeLast() }
      lines.append(line())
      start = end + 1
    }
    rest += bytes[start...]
    guard rest.count <= Self.limit else { throw Overflow() }
    return lines
  }

  /// The line that has no end; nil for none.
  mutating func finish() -> [UInt8]? {
    let last = line()
    return last.isEmpty ? nil : last
  }

  private mutating func line() -> [UInt8] {
    defer {
      rest = []
      isFirst = false
    }
    return isFirst && rest.starts(with: [0xef, 0xbb, 0xbf]) ? Array(rest.dropFirst(3)) : rest
  }

  /// A line is longer than ``LineSplitter/limit``.
  struct Overflow: Error {}
}

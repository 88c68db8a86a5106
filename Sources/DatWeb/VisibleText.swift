internal import DatCoding

/// Text of strangers, made harmless for files that end up in terminals and editors.
enum VisibleText {
  /// The text on one line, with what is hidden spelled out: see ``ForeignText/line(limit:)``.
  static func line(_ text: String) -> String { ForeignText(text).line() }

  /// At most `count` bytes of UTF-8, never half a character's scalar.
  static func prefix(_ text: String, bytes count: Int) -> String {
    ForeignText(text).cut(toBytes: count).string
  }
}

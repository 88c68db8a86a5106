internal import DatCoding

/// Text of strangers, made harmless for files that end up in terminals and editors.
enum VisibleText {
  /// Returns the text on one line, with hidden characters spelled out: see ``ForeignText/line(limit:)``.
  static func line(_ text: String) -> String { ForeignText(text).line() }

  /// Returns at most `count` bytes of UTF-8, and never half a scalar.
  static func prefix(_ text: String, bytes count: Int) -> String {
    ForeignText(text).cut(toBytes: count).string
  }
}

/// Text of strangers, made harmless for files that end up in terminals and editors.
///
/// Removed are the things that act instead of showing: control characters, direction overrides,
/// zero-width and other invisible characters. They are written as `\u{…}`.
enum VisibleText {
  /// Returns whether a scalar shows nothing of its own but may change how the rest is shown.
  static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
    // The joiners make emoji and are letters' neighbours in Persian and Indic writing; the
    // selector makes emoji of symbols.
    if scalar.value == 0x200C || scalar.value == 0x200D || scalar.value == 0xFE0F { return false }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: return true
    default: return scalar.properties.isDefaultIgnorableCodePoint
    }
  }

  /// The text on one line, with what is hidden spelled out.
  static func line(_ text: some StringProtocol) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      if scalar == "\n" {
        result += "\\n"
      } else if isHidden(scalar) {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// At most `count` bytes of UTF-8, never half a character's scalar.
  static func prefix(_ text: String, bytes count: Int) -> String {
    guard text.utf8.count > count else { return text }
    var end = text.utf8.index(text.startIndex, offsetBy: count)
    while end > text.startIndex, end.samePosition(in: text.unicodeScalars) == nil {
      end = text.utf8.index(before: end)
    }
    return String(text[..<end])
  }
}

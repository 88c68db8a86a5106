internal import DatCoding

/// A stranger's text for a terminal: see ``ForeignText/line(limit:)``.
enum SafeText {
  /// Returns `text` on one line, with everything escaped that could move the cursor, change colours, or reorder
  /// or hide the text around it.
  ///
  /// - Parameter limit: the number of letters that are kept; a cut is marked.
  static func line(_ text: String, limit: Int = 4096) -> String {
    ForeignText(text).line(limit: limit)
  }

  /// Returns a user's name: one line, and never empty.
  static func name(_ name: String) -> String {
    let shown = line(name, limit: 40)
    return ForeignText(shown).isBlank ? "(no name)" : shown
  }
}

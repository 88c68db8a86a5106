internal import DatCoding

/// A stranger's text on its way to a terminal: see ``ForeignText/line(limit:)``.
enum SafeText {
  /// `text` on one line with everything escaped that could move the cursor, change colours, reorder or
  /// hide what stands around it.
  ///
  /// - Parameter limit: how many letters are kept; a cut is marked.
  static func line(_ text: String, limit: Int = 4096) -> String {
    ForeignText(text).line(limit: limit)
  }

  /// A user's name: one line, and never empty.
  static func name(_ name: String) -> String {
    let shown = line(name, limit: 40)
    return ForeignText(shown).isBlank ? "(no name)" : shown
  }
}

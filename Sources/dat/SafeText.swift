/// A stranger's text on its way to a terminal.
enum SafeText {
  /// `text` with everything escaped that could move the cursor, change colours, reorder or hide what
  /// stands around it: control and format characters and line separators are shown as `\u{…}`.
  ///
  /// - Parameter limit: how many characters are kept; a cut is marked.
  static func line(_ text: String, limit: Int = 4096) -> String {
    var shown = ""
    var count = 0
    for character in text {
      if count == limit {
        shown += " […]"
        break
      }
      count += 1
      append(character, to: &shown)
    }
    return shown
  }

  /// A user's name: one line, and never empty.
  static func name(_ name: String) -> String {
    let shown = line(name, limit: 40)
    return shown.allSatisfy(\.isWhitespace) ? "(no name)" : shown
  }

  private static func append(_ character: Character, to shown: inout String) {
    let scalars = character.unicodeScalars
    // More than a few marks on one letter would climb over the lines above.
    for (place, scalar) in scalars.enumerated() where place < 12 {
      if isHarmless(scalar, in: scalars) {
        shown.unicodeScalars.append(scalar)
      } else {
        shown += "\\u{\(String(scalar.value, radix: 16))}"
      }
    }
  }

  private static func isHarmless(
    _ scalar: Unicode.Scalar, in scalars: Character.UnicodeScalarView
  ) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: false
    // Joiners hold families and flags together.
    case .format: scalar.value == 0x200d && scalars.contains { $0.properties.isEmojiPresentation }
    default: true
    }
  }
}

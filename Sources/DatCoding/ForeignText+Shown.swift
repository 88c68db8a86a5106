extension ForeignText {
  /// The most combining marks of one run that are shown. No language stacks as many. Each further mark would
  /// climb over the lines above, and cost quadratic time wherever the text is normalised.
  package static let markLimit = 32

  /// Returns whether a scalar affects the text around it, or shows nothing: controls, direction overrides,
  /// line separators, and scalars that are ignored by default. The blank of Braille looks like a space but is
  /// not one.
  package static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 0x7f { return scalar.value < 0x20 }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: return true
    default: return scalar.value == 0x2800 || scalar.properties.isDefaultIgnorableCodePoint
    }
  }

  /// Returns whether a scalar belongs to the one before it: marks, joiners and selectors.
  package static func isMark(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 0x300 { return false }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .spacingMark: return true
    default: return false
    }
  }

  /// The text on one line, fit for a terminal or an editor. Hidden, private and unassigned scalars are
  /// spelled as `\u{…}`, a line feed as `\n`. A run of marks ends after ``markLimit`` of them, and the text
  /// after `limit` letters; both cuts are marked.
  package func line(limit: Int = .max) -> String {
    if string.utf8.count <= limit, string.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) {
      return string
    }
    var shown = ShownLine()
    for scalar in string.unicodeScalars where !shown.add(scalar, limit: limit) { break }
    return shown.text
  }

  /// The text without the marks beyond ``markLimit`` in each run.
  package var withFewMarks: ForeignText {
    // A mark takes at least two bytes: shorter text can't hold too many.
    guard utf8.count > 2 * Self.markLimit, utf8.contains(where: { $0 >= 0xcc }) else {
      return self
    }
    var kept = String.UnicodeScalarView()
    var marks = 0
    for scalar in string.unicodeScalars {
      marks = Self.isMark(scalar) ? marks + 1 : 0
      if marks <= Self.markLimit { kept.append(scalar) }
    }
    return ForeignText(String(kept))
  }
}

/// A line that is being built.
private struct ShownLine {
  var text = ""
  private var letters = 0
  private var marks = 0
  private var previous: Unicode.Scalar = " "

  /// - Returns: true if there is room for more.
  mutating func add(_ scalar: Unicode.Scalar, limit: Int) -> Bool {
    if ForeignText.isMark(scalar), !ForeignText.isHidden(scalar) {
      marks += 1
      if marks <= ForeignText.markLimit {
        text.unicodeScalars.append(scalar)
      } else if marks == ForeignText.markLimit + 1 {
        text += "…"
      }
      return true
    }
    if joins(scalar) {
      text.unicodeScalars.append(scalar)
      previous = scalar
      return true
    }
    if letters >= limit {
      text += " […]"
      return false
    }
    letters += 1
    marks = 0
    previous = scalar
    if scalar == "\n" {
      text += "\\n"
    } else if ForeignText.isHidden(scalar) || isUnknown(scalar) {
      text += "\\u{\(String(scalar.value, radix: 16))}"
    } else {
      text.unicodeScalars.append(scalar)
    }
    return true
  }

  private func isUnknown(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 0x7f { return false }
    switch scalar.properties.generalCategory {
    case .surrogate, .unassigned, .privateUse: return true
    default: return false
    }
  }

  /// Returns whether this is a joiner or a selector in a place where writing needs it: in emoji, and between
  /// letters of Arabic and of the scripts of India and South-East Asia.
  private func joins(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0xfe0e, 0xfe0f: return previous.properties.isEmoji
    case 0x200d where previous.value == 0xfe0f || previous.properties.isEmoji && !isDigit:
      return true
    case 0x200c, 0x200d:
      return [0x600..<0xe00, 0xf00..<0x10a0, 0x1780..<0x18b0].contains {
        $0.contains(previous.value)
      }
    default: return false
    }
  }

  /// Digits, `#` and `*` count as emoji in Unicode, since keycaps begin with them.
  private var isDigit: Bool { previous.value < 0x7f }
}

internal import Foundation

/// The look of a name, to be compared with the looks of other names and never shown.
///
/// Anybody may take any name, so two names that look alike have to be distinguished by the keys behind them.
/// Two names have one look if their Unicode skeletons are equal (UTS 39, section 4), or differ only in case,
/// accents, spaces, dashes and dots, since people don't notice these either. Hidden characters are not part
/// of the look.
package struct NameLook: Hashable, Sendable {
  private let skeleton: ForeignText
  /// True if the letters are of scripts that no language mixes. Such a name is always shown with a key.
  package let mixesScripts: Bool

  /// The most letters that are shown of a name, and so belong to its look.
  package static let letterLimit = 40
  /// The most bytes of a name that are read.
  package static let byteLimit = 1024

  /// Creates the look of a name.
  package init(of name: ForeignText) {
    let visible = Self.visible(name)
    skeleton = ForeignText(Self.skeleton(visible))
    mixesScripts = Self.mixesScripts(visible)
  }

  package static func == (one: Self, other: Self) -> Bool { one.skeleton == other.skeleton }

  package func hash(into hasher: inout Hasher) { hasher.combine(skeleton) }

  /// The look as text, for programs that compare looks.
  package var text: String { skeleton.string }

  /// The letters that are shown of a name.
  private static func visible(_ name: ForeignText) -> String {
    var kept = String.UnicodeScalarView()
    var letters = 0
    var marks = 0
    for scalar in name.cut(toBytes: byteLimit).string.unicodeScalars {
      if ForeignText.isHidden(scalar) { continue }
      marks = ForeignText.isMark(scalar) ? marks + 1 : 0
      if marks == 0 { letters += 1 }
      if letters > letterLimit { break }
      if marks <= ForeignText.markLimit { kept.append(scalar) }
    }
    return String(kept)
  }

  // MARK: Skeletons

  private static func skeleton(_ name: String) -> String {
    let skeleton = mapped(name.decomposedStringWithCanonicalMapping.unicodeScalars)
    // The skeleton as Unicode defines it. People overlook more.
    var folded = String.UnicodeScalarView()
    for scalar in String(skeleton).decomposedStringWithCompatibilityMapping.unicodeScalars {
      folded.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
    }
    let letters = mapped(folded).filter { !isOverlooked($0) }
    // Capital I and lower-case l look the same.
    return String(String.UnicodeScalarView(letters.map { $0 == "l" ? "i" : $0 }))
  }

  private static func mapped(_ scalars: some Sequence<Unicode.Scalar>) -> String.UnicodeScalarView {
    var mapped = String.UnicodeScalarView()
    for scalar in scalars {
      guard let record = LookalikeTable.prototypes.last(upTo: scalar.value),
        LookalikeTable.prototypes.number(of: record, at: 0, digits: 4) == UInt64(scalar.value)
      else {
        mapped.append(scalar)
        continue
      }
      let first = Int(LookalikeTable.prototypes.number(of: record, at: 4, digits: 3))
      let count = Int(LookalikeTable.prototypes.number(of: record, at: 7, digits: 1))
      for index in first..<first + count {
        let code = UInt32(LookalikeTable.letters.number(of: index, at: 0, digits: 4))
        if let letter = Unicode.Scalar(code) { mapped.append(letter) }
      }
    }
    return mapped
  }

  private static func isOverlooked(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .spaceSeparator, .dashPunctuation,
      .connectorPunctuation:
      true
    default: scalar == "." || scalar == "'" || ForeignText.isHidden(scalar)
    }
  }

  // MARK: Scripts

  /// A set of scripts.
  private struct Scripts {
    var masks: [UInt64]

    init(_ set: Int) {
      masks = (0..<4).map { LookalikeTable.scriptSets.number(of: set, at: 8 * $0, digits: 8) }
    }

    mutating func formIntersection(_ other: Scripts) {
      for index in masks.indices { masks[index] &= other.masks[index] }
    }

    var isEmpty: Bool { masks.allSatisfy { $0 == 0 } }
  }

  /// Returns whether no single script has all the letters: UTS 39, section 5.1. Characters that go with any
  /// script don't count.
  private static func mixesScripts(_ name: String) -> Bool {
    var common: Scripts?
    for scalar in name.unicodeScalars {
      guard let record = LookalikeTable.scripts.last(upTo: scalar.value),
        LookalikeTable.scripts.number(of: record, at: 4, digits: 4) >= UInt64(scalar.value)
      else { continue }
      let scripts = Scripts(Int(LookalikeTable.scripts.number(of: record, at: 8, digits: 2)))
      if common == nil { common = scripts } else { common?.formIntersection(scripts) }
      if common?.isEmpty == true { return true }
    }
    return false
  }
}

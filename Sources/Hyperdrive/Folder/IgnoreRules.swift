/// The rules for files of a folder that are left out of its archive.
///
/// They are those of the command of 2018: hidden names, `.DS_Store`, the globs of `.datignore`. Two kinds of
/// lines that it takes for mistakes have the same meaning as for git: `#` begins a comment, and a leading `/`
/// is the folder itself.
///
/// Source: dat-ignore `index.js`.
public struct IgnoreRules: Sendable {
  private var globs: [Glob] = []
  private var exemptions: [Glob] = []
  private let ignoresHidden: Bool

  /// - Parameter text: the content of `.datignore`; nil if there is none.
  /// - Parameter ignoresHidden: true to leave out names that start with a dot.
  /// - Parameter isFolder: returns whether a line is the name of an existing folder, which is then left out at
  ///   any depth.
  public init(
    datignore text: [UInt8]? = nil, ignoresHidden: Bool = true,
    isFolder: ([UInt8]) -> Bool = { _ in false }
  ) {
    self.ignoresHidden = ignoresHidden
    for line in (text ?? []).split(whereSeparator: { $0 == 10 || $0 == 13 }).prefix(10_000) {
      var line = Self.trimmed(line)
      guard let first = line.first, first != UInt8(ascii: "#"), line.count <= 1024 else { continue }
      if first == UInt8(ascii: "!") {
        exemptions.append(Glob(Array(line.dropFirst())))
        continue
      }
      if line.last == UInt8(ascii: "/") { line = line.dropLast() }
      let isRooted = line.first == UInt8(ascii: "/")
      if isRooted { line = line.dropFirst() }
      if line.isEmpty { continue }
      if !isRooted, isFolder(Array(line)) {
        let name = Array(line.split(separator: UInt8(ascii: "/")).last ?? [])
        globs.append(Glob(Array("**/".utf8) + name))
        globs.append(Glob(Array("**/".utf8) + name + Array("/**".utf8)))
      } else {
        globs.append(Glob(Array(line)))
        if isRooted { globs.append(Glob(Array(line) + Array("/**".utf8))) }
      }
    }
  }

  private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var line = line
    while let first = line.first, first == 32 || first == 9 { line = line.dropFirst() }
    while let last = line.last, last == 32 || last == 9 { line = line.dropLast() }
    return line
  }

  /// Returns the reason why a file or folder is left out; nil if it is not.
  public func reason(for path: ArchivePath) -> String? {
    if let first = path.components.first, LayoutRules.isOwnFolder(first) {
      return "it is the archive's own folder"
    }
    let name = Array(path.bytes.dropFirst())
    if path.name.elementsEqual("dat".utf8), path.parent.name.elementsEqual(".well-known".utf8) {
      return nil
    }
    if exemptions.contains(where: { $0.matches(name) }) { return nil }
    if path.name.elementsEqual(".DS_Store".utf8) { return "it is a .DS_Store" }
    if ignoresHidden, path.components.contains(where: { $0.first == UInt8(ascii: ".") }) {
      return "it is hidden"
    }
    return globs.contains { $0.matches(name) } ? "it is named in .datignore" : nil
  }

  /// The reason why a link to a file is left out; nil if the file may be imported. A folder that came from
  /// somebody else may have links to private files.
  ///
  /// - Parameter isInside: true if the file is in the folder; otherwise the path has the names that lead to it from
  ///   the last folder that both are in.
  func reason(forLinkTo target: ArchivePath, _ isInside: Bool) -> String? {
    if isInside {
      return reason(for: target).map { "the file that it links to is left out: \($0)" }
    }
    let isHidden = target.components.contains { name in
      LayoutRules.isOwnFolder(name) || ignoresHidden && name.first == UInt8(ascii: ".")
    }
    return isHidden ? "it is a link to a hidden file" : nil
  }

  /// Returns whether nothing below a folder can be imported, so that it need not be scanned.
  func prunes(_ folder: ArchivePath) -> Bool {
    guard exemptions.isEmpty, let reason = reason(for: folder) else { return false }
    // `.well-known/dat` is imported although its folder is hidden.
    return reason != "it is hidden" || !folder.name.elementsEqual(".well-known".utf8)
  }
}

/// A pattern in the syntax of micromatch: `*` and `?` within a name, `**` over several, `[…]`, `{a,b}`.
///
/// It is compared with bytes. Braces are expanded at the start, and each alternative is matched row by row,
/// so no pattern takes exponential time.
struct Glob: Sendable {
  private let patterns: [[UInt8]]
  private static let mostAlternatives = 64

  init(_ pattern: [UInt8]) {
    var open = [pattern]
    var done: [[UInt8]] = []
    while let next = open.popLast(), done.count + open.count < Self.mostAlternatives {
      if let written = Self.expanded(next) { open += written } else { done.append(next) }
    }
    patterns = done
  }

  /// Returns the alternatives of the first brace, or of the first `@(`; nil if the pattern has none.
  private static func expanded(_ pattern: [UInt8]) -> [[UInt8]]? {
    for (open, close, bar) in [("{", "}", ","), ("(", ")", "|")] {
      guard let start = pattern.firstIndex(of: open.utf8.first ?? 0) else { continue }
      if open == "(", start == 0 || pattern[start - 1] != UInt8(ascii: "@") { continue }
      guard let end = pattern[start...].firstIndex(of: close.utf8.first ?? 0) else { continue }
      let parts = pattern[(start + 1)..<end].split(
        separator: bar.utf8.first ?? 0, omittingEmptySubsequences: false)
      if parts.count < 2, open == "{" { continue }
      let before = pattern[..<(open == "(" ? start - 1 : start)]
      return parts.map { Array(before + $0 + pattern[(end + 1)...]) }
    }
    return nil
  }

  func matches(_ name: [UInt8]) -> Bool { patterns.contains { Self.matches($0, name) } }

  private static func matches(_ pattern: [UInt8], _ name: [UInt8]) -> Bool {
    // True if the pattern up to an offset matches the name up to an index, row by row.
    let slash = UInt8(ascii: "/")
    let star = UInt8(ascii: "*")
    var row = [Bool](repeating: false, count: name.count + 1)
    row[0] = true
    var offset = 0
    while offset < pattern.count {
      var next = [Bool](repeating: false, count: name.count + 1)
      let byte = pattern[offset]
      if byte == star, offset + 1 < pattern.count, pattern[offset + 1] == star {
        // `**/` also matches the empty string.
        let includesSlash = offset + 2 < pattern.count && pattern[offset + 2] == slash
        var isOpen = false
        for index in 0...name.count {
          if row[index] {
            isOpen = true
            next[index] = true
          }
          if isOpen {
            if includesSlash {
              if index > 0, name[index - 1] == slash { next[index] = true }
            } else {
              next[index] = true
            }
          }
        }
        offset += includesSlash ? 3 : 2
      } else if byte == star || byte == UInt8(ascii: "?") {
        for index in 0...name.count where row[index] {
          // Neither matches a leading dot.
          let atStart = index == 0 || name[index - 1] == slash
          if byte == star { next[index] = true }
          var end = index
          while end < name.count, name[end] != slash, !(atStart && end == index && name[end] == 46)
          {
            end += 1
            next[end] = true
            if byte != star { break }
          }
        }
        offset += 1
      } else if byte == UInt8(ascii: "["), let set = CharacterSet(pattern, from: offset) {
        for index in 0..<name.count where row[index] && name[index] != slash {
          if set.contains(name[index]) { next[index + 1] = true }
        }
        offset = set.end
      } else {
        for index in 0..<name.count where row[index] && name[index] == byte {
          next[index + 1] = true
        }
        offset += 1
      }
      row = next
    }
    return row[name.count]
  }

  private struct CharacterSet {
    private let isNegated: Bool
    private var ranges: [ClosedRange<UInt8>] = []
    let end: Int

    init?(_ pattern: [UInt8], from start: Int) {
      var offset = start + 1
      isNegated = offset < pattern.count && (pattern[offset] == 0x21 || pattern[offset] == 0x5e)
      if isNegated { offset += 1 }
      let first = offset
      while offset < pattern.count, pattern[offset] != UInt8(ascii: "]") || offset == first {
        if offset + 2 < pattern.count, pattern[offset + 1] == UInt8(ascii: "-"),
          pattern[offset + 2] != UInt8(ascii: "]"), pattern[offset] <= pattern[offset + 2]
        {
          ranges.append(pattern[offset]...pattern[offset + 2])
          offset += 3
        } else {
          ranges.append(pattern[offset]...pattern[offset])
          offset += 1
        }
      }
      guard offset < pattern.count else { return nil }
      end = offset + 1
    }

    func contains(_ byte: UInt8) -> Bool { ranges.contains { $0.contains(byte) } != isNegated }
  }
}

/// A pattern for whole paths: `*` stands for any bytes, `?` for one.
public struct PathPattern: Sendable {
  private let pattern: [UInt8]

  /// Makes a pattern of `*`, `?` and bytes that stand for themselves.
  public init(_ pattern: String) { self.pattern = Array(pattern.utf8.prefix(1024)) }

  /// Returns whether a path matches this pattern. The cost is at most the product of the lengths.
  public func matches(_ path: ArchivePath) -> Bool {
    let name = path.stored
    var (offset, index) = (0, 0)
    var back: (offset: Int, index: Int)?
    while index < name.count {
      if offset < pattern.count, pattern[offset] == UInt8(ascii: "*") {
        back = (offset, index)
        offset += 1
      } else if offset < pattern.count,
        pattern[offset] == UInt8(ascii: "?") || pattern[offset] == name[index]
      {
        offset += 1
        index += 1
      } else if let last = back {
        offset = last.offset + 1
        index = last.index + 1
        back = (last.offset, index)
      } else {
        return false
      }
    }
    return pattern[offset...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}

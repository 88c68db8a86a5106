internal import DatCoding
internal import Foundation

/// The rules for names of an archive that become files in a folder. Its owner may be anybody.
enum LayoutRules {
  /// Returns the reason why a path is not laid out; nil if it may be.
  static func refusal(of path: ArchivePath) -> String? {
    guard path.count > 0 else { return "its name is that of the folder itself" }
    guard path.bytes.count <= ArchiveLimits.nameBytes else {
      return "its name has more than \(ArchiveLimits.nameBytes) bytes"
    }
    guard path.count <= ArchiveLimits.components else {
      return "its name has more than \(ArchiveLimits.components) parts"
    }
    guard !path.bytes.contains(0), !path.bytes.contains(UInt8(ascii: "\\")) else {
      return "its name has a zero byte or a backslash"
    }
    guard String(validating: path.bytes, as: UTF8.self) != nil else {
      return "its name is not UTF-8"
    }
    for component in path.components {
      if component.isEmpty { return "a part of its name is empty" }
      if component.elementsEqual(".".utf8) || component.elementsEqual("..".utf8) {
        return "a part of its name leads to another folder"
      }
      if component.count > ArchiveLimits.componentBytes {
        return "a part of its name has more than \(ArchiveLimits.componentBytes) bytes"
      }
    }
    if let first = path.components.first, isOwnFolder(first) {
      return "the folder .dat is the archive's own"
    }
    return nil
  }

  /// Returns whether a name in the archive's folder is `.dat`, or may be to a file system that folds case,
  /// ignores some characters or drops what Windows drops.
  static func isOwnFolder(_ name: some Collection<UInt8>) -> Bool {
    guard name.count <= ArchiveLimits.componentBytes else { return false }
    if name.allSatisfy(isPrintable) { return isOwnFolder(folded: name.map(lowercase)) }
    let text = String(decoding: name, as: UTF8.self).decomposedStringWithCompatibilityMapping
    var folded = String.UnicodeScalarView()
    for scalar in text.unicodeScalars where !isIgnored(scalar) {
      folded.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
    }
    return isOwnFolder(folded: Array(String(folded).utf8))
  }

  private static func isOwnFolder(folded name: [UInt8]) -> Bool {
    var bytes = name
    // To Windows the part after a colon names a stream of the file.
    if let colon = bytes.firstIndex(of: UInt8(ascii: ":")) { bytes.removeSubrange(colon...) }
    while let last = bytes.last, last == UInt8(ascii: ".") || last == UInt8(ascii: " ") {
      bytes.removeLast()
    }
    return bytes == Array(".dat".utf8) || bytes == Array("dat~1".utf8)
  }

  /// Returns whether a file is a feed's secret key, with which anybody can write in the owner's name.
  static func isSecret(_ path: ArchivePath, _ size: UInt64) -> Bool {
    size == 64
      && (path.name.elementsEqual("secret_key".utf8)
        || path.name.suffix(11).elementsEqual(".secret_key".utf8))
  }

  private static func isIgnored(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isDefaultIgnorableCodePoint || scalar.properties.generalCategory == .format
      || scalar.properties.generalCategory == .control
  }

  /// Returns a name as a file system has it that folds case and normalises: equal for names that collide there.
  static func folded(_ path: ArchivePath) -> [UInt8] {
    let bytes = path.bytes.prefix(ArchiveLimits.nameBytes)
    if bytes.allSatisfy(isPrintable) { return bytes.map(lowercase) }
    return Array(
      ForeignText(bytes: bytes).withFewMarks.string
        .decomposedStringWithCanonicalMapping.lowercased().utf8)
  }

  // Most names are of printable ASCII, which is its own normal form.

  private static func isPrintable(_ byte: UInt8) -> Bool { 0x20..<0x7f ~= byte }

  private static func lowercase(_ byte: UInt8) -> UInt8 {
    UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte ? byte | 0x20 : byte
  }
}

internal import DatCoding
internal import Foundation
internal import Hyperdrive

/// The form in which commands show the content of archives.
enum ArchiveOutput {
  /// Returns a path for people.
  static func shown(_ path: ArchivePath) -> String { SafeText.line(path.description) }

  /// Returns a mode such as `-rw-r--r--`.
  static func mode(_ stat: FileStat) -> String {
    var text = stat.kind == .directory ? "d" : "-"
    for shift in [6, 3, 0] {
      let bits = stat.permissions >> UInt32(shift)
      text +=
        (bits & 4 != 0 ? "r" : "-") + (bits & 2 != 0 ? "w" : "-") + (bits & 1 != 0 ? "x" : "-")
    }
    return text
  }

  /// Returns a time such as `2018-06-26 09:20`, in UTC.
  static func time(_ milliseconds: UInt64) -> String {
    if milliseconds == 0 { return "                " }
    let seconds = min(milliseconds / 1000, 253_402_300_799)
    let text = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    return String(text.prefix(16)).replacing("T", with: " ")
  }

  /// Returns a version's number as the command of 2018 shows it.
  static func number(_ version: UInt64) -> String {
    let digits = String(version)
    return String(repeating: "0", count: max(0, 3 - digits.count)) + digits
  }

  static func integer(_ number: UInt64) -> JSON { .integer(Int64(clamping: number)) }

  /// Returns `{"path","type","size","mode","mtime","ctime","blocks","offset","byteOffset","seq","stored"}`.
  static func json(_ item: ArchiveListing.Item, stored: UInt64) -> JSON {
    let stat = item.stat
    return .object([
      "path": .string(item.path.description),
      "type": .string(stat.kind == .directory ? "directory" : "file"),
      "size": integer(stat.size), "mode": .integer(Int64(stat.mode)), "mtime": integer(stat.mtime),
      "ctime": integer(stat.ctime), "blocks": integer(stat.blocks), "offset": integer(stat.offset),
      "byteOffset": integer(stat.byteOffset), "seq": item.seq.map(integer) ?? .null,
      "stored": integer(stored),
    ])
  }
}

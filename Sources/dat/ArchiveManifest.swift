internal import DatCoding
internal import Foundation

/// The file `dat.json`, which says what an archive is.
enum ArchiveManifest {
  private static let bounds = JSONReader.Bounds(bytes: 65_536, depth: 32)

  /// The link that a `dat.json`, or the one in a folder, has; nil if there is none.
  static func link(at path: String) -> String? {
    var path = path
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { return nil }
    if isFolder.boolValue { path += "/dat.json" }
    guard let file = FileHandle(forReadingAtPath: path),
      let data = try? file.read(upToCount: bounds.bytes + 1)
    else { return nil }
    var link: String?
    do throws(JSONError) {
      try JSONReader.read(Array(data), within: bounds) { reader throws(JSONError) in
        try reader.readObject { name, reader throws(JSONError) in
          if name == "url" {
            link = try reader.readStringIfPresent()
          } else {
            _ = try reader.skip()
          }
        }
      }
    } catch { return nil }
    return link
  }
}

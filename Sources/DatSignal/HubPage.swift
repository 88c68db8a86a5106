internal import Foundation

/// The files of a built web app: exactly those that are in the folder when the hub starts.
///
/// The list is made once, without following links, so no path of a request ever reaches the file
/// system.
struct HubPage: Sendable {
  struct File: Sendable {
    var bytes: [UInt8]
    var kind: String
  }

  /// The most that is read, in bytes and files.
  static let limits = (bytes: 64 << 20, files: 2000)

  private let files: [[UInt8]: File]

  init(folder: URL) throws(SignalError) {
    let path = folder.resolvingSymlinksInPath().path
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue
    else {
      throw SignalError(.page, "There is no folder \(folder.path) with a page.")
    }
    var files: [[UInt8]: File] = [:]
    var total = 0
    for name in FileManager.default.enumerator(atPath: path) ?? FileManager.DirectoryEnumerator() {
      guard let name = name as? String else { continue }
      let full = path + "/" + name
      let attributes = try? FileManager.default.attributesOfItem(atPath: full)
      guard attributes?[.type] as? FileAttributeType == .typeRegular,
        !name.utf8.split(separator: UInt8(ascii: "/")).contains(where: {
          $0.first == UInt8(ascii: ".")
        }),
        let data = FileManager.default.contents(atPath: full)
      else { continue }
      total += data.count
      guard total <= Self.limits.bytes, files.count < Self.limits.files else {
        throw SignalError(
          .page,
          "The folder \(folder.path) has more than 2,000 files or 64 MiB: name the folder of the built page."
        )
      }
      files[Array(name.utf8)] = File(bytes: Array(data), kind: Self.kind(of: Array(name.utf8)))
    }
    guard files[Array("index.html".utf8)] != nil else {
      throw SignalError(
        .page, "The folder \(folder.path) has no index.html: name the folder of the built page.")
    }
    self.files = files
  }

  /// Returns the file at a path without a leading slash; for a folder its `index.html`.
  func file(at path: [UInt8]) -> File? {
    if let file = files[path] { return file }
    let folder = path.isEmpty || path.last == UInt8(ascii: "/") ? path : path + [UInt8(ascii: "/")]
    return files[folder + Array("index.html".utf8)]
  }

  private static func kind(of name: [UInt8]) -> String {
    let kinds: [(StaticString, String)] = [
      (".html", "text/html; charset=utf-8"), (".js", "text/javascript; charset=utf-8"),
      (".mjs", "text/javascript; charset=utf-8"), (".css", "text/css; charset=utf-8"),
      (".json", "application/json"), (".map", "application/json"), (".svg", "image/svg+xml"),
      (".png", "image/png"), (".jpg", "image/jpeg"), (".gif", "image/gif"), (".webp", "image/webp"),
      (".ico", "image/x-icon"), (".woff", "font/woff"), (".woff2", "font/woff2"),
      (".wasm", "application/wasm"), (".txt", "text/plain; charset=utf-8"),
      (".webmanifest", "application/manifest+json"),
    ]
    for (ending, kind) in kinds
    where ending.withUTF8Buffer({ name.suffix($0.count).elementsEqual($0) }) {
      return kind
    }
    return "application/octet-stream"
  }
}

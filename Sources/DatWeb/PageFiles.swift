internal import DatCoding
internal import Foundation

/// The page's files, read once. They hold no data and are the same for everybody.
struct PageFiles: Sendable {
  struct File: Sendable {
    let type: String
    let bytes: [UInt8]
  }

  /// The files by path: `/`, `/style.css` and so on.
  let files: [ForeignText: File]

  private static let types = [
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
  ]

  /// Reads the files of a folder; by default of the folder that was built with the program.
  init(folder: URL? = nil) throws(WebError) {
    let candidates = folder.map { [$0] } ?? Self.candidates
    for candidate in candidates {
      guard let names = try? FileManager.default.contentsOfDirectory(atPath: candidate.path),
        names.contains("index.html")
      else { continue }
      var files: [ForeignText: File] = [:]
      for name in names {
        guard let type = Self.types[(name as NSString).pathExtension],
          let data = try? Data(contentsOf: candidate.appendingPathComponent(name))
        else { continue }
        files[ForeignText(name == "index.html" ? "/" : "/\(name)")] = File(
          type: type, bytes: Array(data))
      }
      self.files = files
      return
    }
    let places = candidates.map(\.path).joined(separator: ", ")
    throw WebError(
      .filesMissing,
      "The page's files are in none of these folders: \(places). Install the folder "
        + "\(Self.bundleName) beside the program.")
  }

  #if os(Linux)
    private static let bundleName = "dat-swift_DatWeb.resources"
  #else
    private static let bundleName = "dat-swift_DatWeb.bundle"
  #endif

  /// The folders that may hold the package's resources. (`Bundle.module` would end the program without them.)
  private static var candidates: [URL] {
    var parents: [URL] = [Bundle.main.bundleURL]
    if let folder = Bundle.main.resourceURL { parents.append(folder) }
    if let program = Bundle.main.executableURL?.resolvingSymlinksInPath() {
      let folder = program.deletingLastPathComponent()
      parents.append(folder)
      parents.append(folder.deletingLastPathComponent().appendingPathComponent("share/dat"))
    }
    // Under test on macOS the program is the test runner.
    for bundle in Bundle.allBundles { parents.append(bundle.bundleURL.deletingLastPathComponent()) }
    var result: [URL] = []
    for parent in parents {
      let bundle = parent.appendingPathComponent(bundleName)
      for folder in [
        bundle.appendingPathComponent("Page"),
        bundle.appendingPathComponent("Contents/Resources/Page"),
      ] where !result.contains(folder) { result.append(folder) }
    }
    return result
  }
}

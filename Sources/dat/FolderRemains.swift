internal import Foundation
internal import Hypercore

/// The content of a folder before a command created something in it, so that a command that fails leaves
/// nothing behind.
struct FolderRemains {
  private let path: String
  /// The outermost missing folder on the way; nil if the folder itself existed.
  private let firstMissing: String?
  private let names: Set<String>

  /// Notes the content of a folder before anything is created in it.
  init(before path: String) {
    self.path = path
    names = Set((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [])
    var missing: String?
    var url = URL(fileURLWithPath: path).standardizedFileURL
    while url.path != "/", !FileManager.default.fileExists(atPath: url.path) {
      missing = url.path
      url.deleteLastPathComponent()
    }
    firstMissing = missing
  }

  /// Removes what was created since. What can't be removed stays: the command failed for another reason,
  /// which is the one to report.
  func restore() {
    if let firstMissing {
      try? FileManager.default.removeItem(atPath: firstMissing)
      return
    }
    for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    where !names.contains(name) {
      try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }
  }
}

/// A copy of a database or room of which nothing has come yet, and in which nothing was written.
enum EmptyCopy {
  /// The sizes of a file's header, and of the signature over a writer's first block, which only names the
  /// kind of the feed.
  private static let header = 32
  private static let signature = 64

  /// Removes such a copy, so that a wrong key doesn't stand in the right one's way.
  ///
  /// - Returns: true if the folder held nothing else.
  static func remove(in folder: String) -> Bool {
    guard
      !FileManager.default.fileExists(atPath: folder + "/source/secret_key"),
      !hasKeyWithoutBlocks(folder + "/local"),
      size(of: folder + "/source/signatures") <= header, size(of: folder + "/source/data") == 0,
      size(of: folder + "/local/signatures") <= header + signature,
      names(in: folder + "/peers").isEmpty, names(in: folder + "/content").isEmpty
    else { return false }
    for name in ["source", "local"] {
      do { try FileManager.default.removeItem(atPath: "\(folder)/\(name)") } catch { return false }
    }
    return true
  }

  /// Returns whether a feed's key pair came without its blocks: it may be the only copy of one that was
  /// written elsewhere.
  private static func hasKeyWithoutBlocks(_ feed: String) -> Bool {
    guard FileManager.default.fileExists(atPath: feed + "/secret_key") else { return false }
    return size(of: feed + "/signatures") < header
      || FileManager.default.contents(atPath: feed + "/marker") == Data(FeedCore.restoringMark)
  }

  private static func size(of path: String) -> Int {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    return attributes?[.size] as? Int ?? 0
  }

  private static func names(in folder: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
  }
}

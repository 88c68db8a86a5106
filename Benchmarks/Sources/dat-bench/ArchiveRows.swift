internal import Foundation
internal import Hyperdrive

/// Folders as archives: taken in, cloned between two processes, and listed. Each works in a process of its
/// own, whose memory is measured with it.
enum ArchiveRows {
  static let all: [Row] = [
    Row(group: "archive.import.small") { settings in
      let tree = FileTree.small(settings)
      return try measureImport("archive.import.small", tree, rate: Double(tree.count), "/s")
    },
    Row(group: "archive.import.large") { settings in
      let tree = FileTree.large(settings)
      return try measureImport("archive.import.large", tree, rate: tree.megabytes, "MB/s")
    },
    Row(group: "archive.clone.small") { settings in
      let tree = FileTree.small(settings)
      return try clone("archive.clone.small", tree, rate: Double(tree.count), "/s")
    },
    Row(group: "archive.clone.large") { settings in
      let tree = FileTree.large(settings)
      return try clone("archive.clone.large", tree, rate: tree.megabytes, "MB/s")
    },
    Row(group: "archive.list", isHeavy: true) { settings in
      try list("archive.list", .deep(settings), folder: "/0/3/1", settings)
    },
    // Each entry names all that are beside it, so that this one's metadata grows with the square of its names.
    Row(group: "archive.flat", isHeavy: true) { settings in
      try list("archive.flat", .flat(settings), folder: nil, settings)
    },
  ]

  /// A sample of a rate or a time, and one of the memory that it took.
  private static func samples(
    _ name: String, _ told: [String: Any], _ unit: String, _ value: (Double) -> Double
  ) -> [Sample] {
    [
      Sample(name: name, value: value(told["seconds"] as? Double ?? .nan), unit: unit),
      Sample(
        name: name + ".memory", value: (told["peak"] as? Double ?? .nan) / 1e6, unit: "MB"),
    ]
  }

  private static func measureImport(
    _ name: String, _ tree: FileTree, rate: Double, _ unit: String
  ) throws -> [Sample] {
    let folder = try tree.make()
    defer { Scratch.remove(folder) }
    let child = try Child(["peer", "import-archive", folder])
    defer { child.end() }
    return samples(name, try child.expect("seconds"), unit) { rate / $0 }
  }

  private static func clone(
    _ name: String, _ tree: FileTree, rate: Double, _ unit: String
  ) throws -> [Sample] {
    let (source, target) = (try tree.make(), Scratch.folder())
    defer {
      Scratch.remove(source)
      Scratch.remove(target)
    }
    let server = try Child(["peer", "serve-archive", source])
    defer { server.end() }
    let told = try server.expect("port")
    let reader = try Child([
      "peer", "clone-archive", target, told["key"] as? String ?? "", "\(told["port"] ?? 0)",
    ])
    defer { reader.end() }
    let result = try reader.expect("seconds")
    guard result["count"] as? Int == tree.count else {
      throw BenchFailure("\(result["count"] ?? 0) of \(tree.count) files came")
    }
    return samples(name, result, unit) { rate / $0 }
  }

  /// Lists the root, one folder and all of an archive, here and by its link, whose blocks are counted.
  private static func list(
    _ name: String, _ tree: FileTree, folder: String?, _ settings: Settings
  ) throws -> [Sample] {
    let source = try tree.make()
    defer { Scratch.remove(source) }
    let server = try Child(["peer", "serve-archive", source])
    defer { server.end() }
    let told = try server.expect("port")
    var all = samples(name + ".import", told, "/s") { Double(tree.count) / $0 }
    let link = [told["key"] as? String ?? "", "\(told["port"] ?? 0)"]
    let walks = [("root", "/"), ("folder", folder), ("all", "-r")].compactMap { name, path in
      path.map { (name, $0) }
    }
    for (kind, path) in walks {
      let child = try Child(["peer", "list-archive", source, path])
      defer { child.end() }
      all += samples("\(name).\(kind)", try child.expect("seconds"), "ms") { $0 * 1e3 }
    }
    for (kind, path) in walks where path != "-r" {
      let child = try Child(["peer", "list-link", path] + link)
      defer { child.end() }
      let told = try child.expect("seconds")
      all += samples("\(name).\(kind).link", told, "ms") { $0 * 1e3 }
      all.append(
        Sample(
          name: "\(name).\(kind).link.blocks", value: told["blocks"] as? Double ?? .nan,
          unit: "blocks"))
    }
    return all
  }
}

/// Files to make an archive of.
struct FileTree {
  let count: Int
  let size: Int
  let path: @Sendable (Int) -> String

  var megabytes: Double { Double(count * size) / 1e6 }

  /// 10,000 files of 4 KB in folders of 100.
  static func small(_ settings: Settings) -> FileTree {
    FileTree(count: settings.scale(10_000), size: 4096) { "\($0 / 100)/\($0 % 100).bin" }
  }

  /// 1 GB in 8 files.
  static func large(_ settings: Settings) -> FileTree {
    FileTree(count: 8, size: settings.scale(125_000_000)) { "large-\($0).bin" }
  }

  /// 100,000 files as 10 × 10 × 10 folders of 100.
  static func deep(_ settings: Settings) -> FileTree {
    FileTree(count: settings.scale(100_000), size: 100) {
      "\($0 / 10_000)/\($0 / 1000 % 10)/\($0 / 100 % 10)/\($0 % 100).txt"
    }
  }

  /// So many files in one folder.
  static func flat(_ settings: Settings) -> FileTree {
    FileTree(count: settings.scale(100_000), size: 100) { "\($0).txt" }
  }

  /// Makes the files in a folder.
  func make() throws -> String {
    let root = Scratch.folder()
    var last = ""
    for number in 0..<count {
      let file = "\(root)/\(path(number))"
      let folder = (file as NSString).deletingLastPathComponent
      if folder != last {
        try FileManager.default.createDirectory(
          atPath: folder, withIntermediateDirectories: true)
        last = folder
      }
      guard let stream = fopen(file, "w") else { throw BenchFailure("\(file) can't be made") }
      for start in stride(from: 0, to: size, by: 1 << 20) {
        let piece = makeBlocks(
          1, size: min(1 << 20, size - start), from: number * 1000 + start >> 20)[0]
        _ = piece.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, stream) }
      }
      fclose(stream)
    }
    return root
  }
}

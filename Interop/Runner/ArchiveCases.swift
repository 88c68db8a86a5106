import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import Hyperdrive

/// One archive in a folder with its files, opened by Node or by Swift.
private protocol ArchiveEnd: Sendable {
  func open(folder: String, key: String?) async throws -> String
  /// Opens somebody's archive in memory, of which only what is asked for is fetched.
  func openSparse(key: String) async throws
  /// One file's bytes in hex, from peers where they are not here.
  func read(_ path: String) async throws -> String
  /// The blocks of both feeds that are here.
  func stored() async throws -> (metadata: Int, content: Int)
  func write(_ path: String, _ text: String) async throws
  func remove(_ path: String) async throws
  func listen() async throws -> Int
  func connect(_ port: Int) async throws
  func version() async throws -> Int
  /// The newest version's files by their paths, in hex.
  func files() async throws -> [String: String]
  func close() async throws
}

private struct NodeArchive: ArchiveEnd {
  let peer: NodePeer

  init(_ place: NodePeer.Place) async throws { peer = try await NodePeer("archive-peer.js", place) }

  func open(folder: String, key: String?) async throws -> String {
    try await peer.call(.init("open") { ($0.folder, $0.key) = (folder, key) }).key ?? ""
  }

  func openSparse(key: String) async throws {
    try await peer.call(.init("openSparse") { $0.key = key })
  }

  func read(_ path: String) async throws -> String {
    try await peer.call(.init("read") { $0.key = path }).texts?[path] ?? ""
  }

  func stored() async throws -> (metadata: Int, content: Int) {
    let reply = try await peer.call("stored")
    return (reply.length ?? 0, reply.byteLength ?? 0)
  }

  func write(_ path: String, _ text: String) async throws {
    try await peer.call(.init("write") { ($0.key, $0.text) = (path, text) })
  }

  func remove(_ path: String) async throws {
    try await peer.call(.init("remove") { $0.key = path })
  }

  func listen() async throws -> Int { try await peer.call("listen").port ?? 0 }

  func connect(_ port: Int) async throws {
    try await peer.call(.init("connect") { $0.port = port })
  }

  func version() async throws -> Int { try await peer.call("version").length ?? 0 }

  func files() async throws -> [String: String] { try await peer.call("files").texts ?? [:] }

  func close() async throws {
    try await peer.call("close")
    await peer.stop()
  }
}

private actor SwiftArchive: ArchiveEnd {
  private var opened: Archive?
  private var connections: SwiftConnections?

  private func archive() throws -> Archive {
    guard let opened else { throw Failure("the archive is not open") }
    return opened
  }

  func open(folder: String, key: String?) async throws -> String {
    var options = Archive.Options()
    options.key = key.flatMap { PublicKey(hex: $0) }
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let archive = try await Archive.open(
      workFolder: folder, secretKeys: folder + ".secrets", options: options)
    connections = SwiftConnections { try await archive.replicate(.live) }
    opened = archive
    return archive.key.hex
  }

  func openSparse(key: String) async throws {
    guard let key = PublicKey(hex: key) else { throw Failure("no key") }
    let archive = try await Archive.inMemory(
      options: Archive.Options(key: key, sparse: true, sparseMetadata: true))
    connections = SwiftConnections { try await archive.replicate(.live) }
    opened = archive
  }

  func read(_ path: String) async throws -> String {
    Self.hex(try await archive().read(ArchivePath(path)).collect())
  }

  func stored() async throws -> (metadata: Int, content: Int) {
    let archive = try archive()
    return (
      Int(await archive.metadata.downloaded()), Int(await archive.content?.downloaded() ?? 0)
    )
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  func write(_ path: String, _ text: String) async throws {
    try await archive().write(ArchivePath(path), Array(text.utf8))
  }

  func remove(_ path: String) async throws { try await archive().remove(ArchivePath(path)) }

  func listen() async throws -> Int { try await connections?.listen() ?? 0 }

  func connect(_ port: Int) async throws { try await connections?.connect(port) }

  func version() async throws -> Int { Int(try await archive().version) }

  func files() async throws -> [String: String] {
    let archive = try archive()
    let here = ArchiveReadOptions(wait: false)
    var files: [String: String] = [:]
    for try await item in archive.entries(recursive: true, options: here)
    where item.stat.kind == .file {
      let bytes = try await archive.read(item.path, options: here).collect()
      files[item.path.description] = Self.hex(bytes)
    }
    return files
  }

  func close() async throws {
    await connections?.stop()
    try await archive().close()
  }
}

/// Archives written by one and followed by the other.
struct ArchiveCases {
  let node: NodePeer.Place

  private func end(_ side: Side) async throws -> any ArchiveEnd {
    switch side {
    case .node: try await NodeArchive(node)
    case .swift: SwiftArchive()
    }
  }

  private func hex(_ text: String) -> String {
    text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private func expect(
    _ end: any ArchiveEnd, _ files: [String: String], version: Int
  ) async throws {
    let expected = files.mapValues(hex)
    try await eventually("version \(version) with \(files.count) files") {
      guard try await end.version() == version else { return false }
      // What has not come yet can't be read.
      return (try? await end.files()) == expected
    }
  }

  /// An owner writes, replaces and removes files while another follows.
  func follow(owner: Side) async throws -> String {
    let world = try TemporaryFolder()
    let (one, other) = (try await end(owner), try await end(owner.other))
    let key = try await one.open(folder: world.path + "/one", key: nil)
    var files = [
      "/a.txt": "first", "/sub/b.txt": "second ✓", "/big": String(repeating: "x", count: 200_000),
    ]
    for (path, text) in files.sorted(by: { $0.key < $1.key }) { try await one.write(path, text) }
    _ = try await other.open(folder: world.path + "/other", key: key)
    try await other.connect(try await one.listen())
    try await expect(other, files, version: 3)
    files["/a.txt"] = "replaced, and longer"
    try await one.write("/a.txt", "replaced, and longer")
    try await one.remove("/big")
    files["/big"] = nil
    try await one.write("/sub/c.txt", "third")
    files["/sub/c.txt"] = "third"
    try await expect(other, files, version: 6)
    for (path, text) in files {
      let url = world.url.appendingPathComponent("other" + path)
      try await eventually("\(path) on the disk") {
        (try? String(contentsOf: url, encoding: .utf8)) == text
      }
    }
    try await other.close()
    try await one.close()
    return "6 versions, \(files.count) files"
  }

  /// A clone's folder is gone on with by the other program.
  func alternate(first: Side) async throws -> String {
    let world = try TemporaryFolder()
    let owner = try await end(first.other)
    let key = try await owner.open(folder: world.path + "/owner", key: nil)
    var files: [String: String] = [:]
    for turn in 0..<4 {
      let path = "/turn/\(turn).txt"
      files[path] = "of turn \(turn)"
      try await owner.write(path, "of turn \(turn)")
      files["/always"] = "turn \(turn)"
      try await owner.write("/always", "turn \(turn)")
      let side = turn.isMultiple(of: 2) ? first : first.other
      let reader = try await end(side)
      _ = try await reader.open(folder: world.path + "/copy", key: key)
      try await reader.connect(try await owner.listen())
      try await expect(reader, files, version: 2 * (turn + 1))
      try await reader.close()
    }
    try await owner.close()
    return "4 turns, \(files.count) files"
  }

  /// One file of many is read from the other side, and little more than it is fetched.
  func sparse(owner: Side) async throws -> String {
    let world = try TemporaryFolder()
    let (one, other) = (try await end(owner), try await end(owner.other))
    let key = try await one.open(folder: world.path + "/one", key: nil)
    for folder in 0..<8 {
      for file in 0..<8 {
        try await one.write("/\(folder)/\(file).txt", "file \(file) of folder \(folder)")
      }
    }
    try await other.openSparse(key: key)
    try await other.connect(try await one.listen())
    let text = try await other.read("/5/3.txt")
    try require(text == hex("file 3 of folder 5"), "/5/3.txt is \(text)")
    let stored = try await other.stored()
    try require(
      stored.content == 1 && stored.metadata < 32,
      "\(stored.metadata) entries and \(stored.content) blocks of content were fetched")
    try await other.close()
    try await one.close()
    return "1 of 64 files, \(stored.metadata) of 65 entries"
  }
}

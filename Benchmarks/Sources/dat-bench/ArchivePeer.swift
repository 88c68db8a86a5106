internal import DatSwarm
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import Hyperdrive
internal import RandomAccessStorage

/// The part of this tool that works with archives in a process of its own.
enum ArchivePeer {
  static func run(_ role: String, _ rest: [String]) async throws {
    switch role {
    case "import-archive": try await take(rest[0], serving: false)
    case "serve-archive": try await take(rest[0], serving: true)
    case "clone-archive": try await clone(rest)
    case "list-archive": try await list(rest[0], rest[1])
    case "list-link": try await listLink(rest)
    default: throw BenchFailure("no role \(role)")
    }
  }

  private static func open(_ folder: String, key: String? = nil) async throws -> Archive {
    var options = Archive.Options()
    options.key = key.flatMap { PublicKey(hex: $0) }
    return try await Archive.open(
      workFolder: folder, secretKeys: folder + ".secrets", options: options)
  }

  /// Makes an archive of a folder.
  private static func take(_ folder: String, serving: Bool) async throws {
    defer { Scratch.remove(folder + ".secrets") }
    let archive = try await open(folder)
    let time = try await seconds { _ = try await archive.importFolder() }
    var fields: [String: Any] = ["seconds": time, "peak": Double(Memory.peak)]
    guard serving else {
      say(fields)
      try await archive.close()
      return await untilInputEnds()
    }
    let listener = try await TCPListener(host: "127.0.0.1")
    let serving = Task {
      await listener.run { socket in
        await pump(socket, archive)
      }
    }
    fields["port"] = listener.address.port
    fields["key"] = archive.key.hex
    say(fields)
    await untilInputEnds()
    serving.cancel()
  }

  private static func connect(_ archive: Archive, _ port: String) {
    let address = PeerAddress(host: "127.0.0.1", port: Int(port) ?? 0)
    Task {
      do { await pump(try await TCPDialer.connect(to: address), archive) } catch { warn(error) }
    }
  }

  /// Connects a socket and an archive. A row that waits for what does not come has to say why.
  private static func pump(_ socket: PeerSocket, _ archive: Archive) async {
    do { try await socket.pump(try await archive.replicate(.live)) } catch { warn(error) }
  }

  private static func warn(_ error: any Error) {
    FileHandle.standardError.write(Data("dat-bench peer: \(error)\n".utf8))
  }

  /// From the dial to the last file's having its name.
  private static func clone(_ rest: [String]) async throws {
    guard rest.count == 3 else { throw BenchFailure("clone-archive folder key port") }
    let archive = try await open(rest[0], key: rest[1])
    let time = try await seconds {
      connect(archive, rest[2])
      try await archive.untilComplete()
    }
    let peak = Double(Memory.peak)
    var count = 0
    for try await item in archive.entries(recursive: true) where item.stat.kind == .file {
      guard FileManager.default.fileExists(atPath: "\(rest[0])\(item.path)") else {
        throw BenchFailure("\(item.path) is not there")
      }
      count += 1
    }
    say(["seconds": time, "peak": peak, "count": count])
    try await archive.close()
    await untilInputEnds()
  }

  private static func walk(_ archive: Archive, _ path: String) async throws -> Int {
    var count = 0
    let entries = archive.entries(
      in: path == "-r" ? .root : ArchivePath(path), recursive: path == "-r")
    for try await _ in entries { count += 1 }
    return count
  }

  /// Opens and lists, as a command does.
  private static func list(_ folder: String, _ path: String) async throws {
    var count = 0
    let time = try await seconds {
      let archive = try await Archive.open(
        workFolder: folder, secretKeys: folder + ".secrets", access: .readOnly)
      count = try await walk(archive, path)
      try await archive.close()
    }
    say(["seconds": time, "peak": Double(Memory.peak), "count": count])
    await untilInputEnds()
  }

  private static func listLink(_ rest: [String]) async throws {
    guard rest.count == 3, let key = PublicKey(hex: rest[1]) else {
      throw BenchFailure("list-link path key port")
    }
    let archive = try await Archive.inMemory(
      options: Archive.Options(key: key, sparse: true, sparseMetadata: true))
    var count = 0
    let time = try await seconds {
      connect(archive, rest[2])
      _ = try await archive.metadata.update(to: 1)
      let announced = await archive.metadata.remoteLength
      if announced > 1 { _ = try await archive.metadata.update(to: announced) }
      count = try await walk(archive, rest[0])
    }
    say([
      "seconds": time, "peak": Double(Memory.peak), "count": count,
      "blocks": Double(await archive.metadata.downloaded()),
    ])
    try await archive.close()
    await untilInputEnds()
  }
}

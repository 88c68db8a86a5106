import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import Testing

/// Databases of many feeds.
@Suite(.serialized, .timeLimit(.minutes(2))) struct DatabaseSizeTests {
  private static let feedCount = 250

  /// Makes a folder with a database of 250 writers, each with an entry.
  private func folder() async throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let owner = try await HyperDB.open(folder: folder.path)
    var pairs: [KeyPair] = []
    for _ in 1..<Self.feedCount {
      let pair = KeyPair.generate()
      try await owner.authorize(pair.publicKey)
      pairs.append(pair)
    }
    await owner.close()
    for (number, pair) in pairs.enumerated() {
      var message = EntryMessage(key: Array("from/\(number)".utf8), value: [UInt8(number)])
      message.clock = [0, 2]
      message.inflate = 1
      message.feeds = [owner.key.bytes, pair.publicKey.bytes]
      var options = Feed.Options(keyPair: pair, isNew: true)
      options.storeSecretKey = false
      let dir = "\(folder.path)/peers/\(pair.publicKey.discoveryKey.hex)"
      let feed = try await Feed.open(folder: dir, options: options)
      try await feed.append([EntryMessageCodec.header, EntryMessageCodec().encode(message)])
      try await feed.close()
    }
    return folder
  }

  @Test(.enabled(if: !LimitedProcess.isOne))
  func `250 feeds are open under a limit of 256 files`() throws {
    let result = try LimitedProcess.run("DatabaseSizeTests", openFiles: 256)
    #expect(result.passed, "\(result.output)")
    for line in result.output.split(separator: "\n") where line.hasPrefix("250 feeds") {
      print(line)
    }
  }

  @Test(.enabled(if: LimitedProcess.isOne))
  func `250 feeds take little memory and few open files`() async throws {
    let folder = try await folder()
    let filesBefore = openFiles(below: folder.path)
    #expect(filesBefore == 0)
    let before = residentBytes()
    let db = try await HyperDB.open(folder: folder.path)
    #expect(await db.feedCount == Self.feedCount)
    #expect(try await db.get("from/7").map(\.value) == [[7]])
    #expect(try await db.list("from").collect().count == Self.feedCount - 1)
    let used = residentBytes() - before
    if !isSanitized {
      #expect(used < Self.feedCount * 100_000, "\(used / Self.feedCount) bytes a feed")
    }
    let files = openFiles(below: folder.path)
    #expect(files < 200, "\(files) open files")
    print("250 feeds: \(used / Self.feedCount) bytes a feed, \(files) open files")
    let clone = try await db.clone(authorized: false)
    try await sync(db, clone)
    #expect(await clone.feeds.count { $0.length == 2 } == Self.feedCount - 1)
    #expect(try await clone.values("from/200") == [[200]])
    await db.close()
    #expect(openFiles(below: folder.path) == 0)
  }

  /// Returns the number of descriptors of this process on files in a folder; 0 if it is unknown.
  private func openFiles(below path: String) -> Int {
    let descriptors =
      (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    return descriptors.count {
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)"))?
        .hasPrefix(path) == true
    }
  }

  /// Returns the memory of this process in bytes; 0 if it is unknown.
  private func residentBytes() -> Int {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else {
      return 0
    }
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(getpagesize()) : 0
  }
}

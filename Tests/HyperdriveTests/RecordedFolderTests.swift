import DatCoding
import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import Hyperdrive
import RandomAccessStorage
import Testing

/// Archives as the reference left them in folders of their own.
@Suite(.timeLimit(.minutes(1))) struct RecordedFolderTests {
  static let folders = RecordedArchive.all.filter { $0.layout == nil && $0.dir != nil }

  @Test(arguments: folders)
  func `a recorded folder opens with its keys, version, files and bytes`(
    _ recorded: RecordedArchive
  )
    async throws
  {
    let folder = try TemporaryFolder(copyOf: "archives/\(recorded.dir ?? "")")
    let archive = try await Archive.open(folder: folder.path)
    #expect(archive.key.hex == recorded.key)
    #expect(await archive.version == recorded.version)
    #expect(await archive.isWritable == recorded.writable)
    let content = try #require(await archive.content)
    #expect(content.key?.hex == recorded.content.key)
    #expect(await content.length == recorded.content.length)
    #expect(await content.byteLength == recorded.content.byteLength)
    for range in recorded.content.stored { #expect(await content.has(range[0]..<range[1])) }

    let here = ArchiveReadOptions(wait: false)
    for entry in recorded.entries where entry.change == "put" && entry.stat?.value.kind == .file {
      let path = ArchivePath(recorded: entry.name ?? "")
      let checkout = try await archive.checkout(entry.seq)
      if recorded.lookups == nil { continue }
      #expect(try await checkout.stat(path, options: here) == entry.stat?.value)
      let bytes = try? await checkout.read(path, options: here).collect()
      #expect(bytes.map { sha256($0) } == entry.sha256, "\(path) of \(entry.seq)")
      if let bytes, bytes.count > 3 {
        let part = try await checkout.read(path, range: 2..<UInt64(bytes.count - 1), options: here)
        #expect(try await part.collect() == Array(bytes[2..<(bytes.count - 1)]))
        let past = try await checkout.read(path, range: 1 << 40..<1 << 41, options: here)
        #expect(try await past.collect() == [])
      }
    }
    if let files = recorded.files {
      let listed = try await archive.entries(recursive: true, options: here).collect()
        .filter { $0.stat.kind == .file && $0.path.count > 0 }
      #expect(
        listed.map(\.path)
          == files.filter { $0.stat.value.kind == .file && $0.path != "/" }
          .map { ArchivePath(recorded: $0.path) }.sorted())
    }
    try await archive.close()
  }

  @Test(arguments: folders.filter { $0.writable && $0.name != "lost" })
  func `an owner's folder is written on, and a reader gets all of it`(_ recorded: RecordedArchive)
    async throws
  {
    let folder = try TemporaryFolder(copyOf: "archives/\(recorded.dir ?? "")")
    let archive = try await Archive.open(folder: folder.path)
    let entry = try await archive.write("/added here.txt", Array("more".utf8))
    #expect(entry.seq == recorded.version + 1)
    #expect(entry.stat?.byteOffset == recorded.content.byteLength)
    let copy = try await Archive.inMemory(options: Archive.Options(key: archive.key))
    try await sync(archive, copy)
    #expect(try await copy.read("/added here.txt").collect() == Array("more".utf8))
    let files = try await archive.entries(recursive: true).collect()
    #expect(try await copy.entries(recursive: true).collect() == files)
    try await copy.close()
    try await archive.close()
  }
}

/// Returns SHA-256 in hex, as in the manifest.
func sha256(_ bytes: [UInt8]) -> String { Hex.encode(SHA256.hash(bytes)) }

/// Exchanges everything between two archives over a connection that ends by itself.
func sync(_ one: Archive, _ other: Archive) async throws {
  let (a, b) = (try await one.replicate(), try await other.replicate())
  await join(a, b)
  try await a.finished()
  try await b.finished()
}

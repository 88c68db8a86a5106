import DatCoding
import DatTesting
import Foundation
import Testing

@testable import Hyperdrive

extension Archive {
  fileprivate var steps: UInt64 { tree.steps }
  fileprivate var mappedFiles: Int { files?.map.count ?? 0 }
}

/// The reads of imports, and their memory of files.
@Suite(.timeLimit(.minutes(2))) struct ImportTests {
  private func makeFiles(_ numbers: Range<Int>, in folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for number in numbers {
      try Data("file \(number)".utf8).write(to: folder.appendingPathComponent("\(number).txt"))
    }
  }

  private func open(_ world: TemporaryFolder) async throws -> Archive {
    try await Archive.open(
      workFolder: world.path + "/files", secretKeys: world.path + "/secrets")
  }

  @Test func `a batch of files is followed without a look at the others of their folder`()
    async throws
  {
    let world = try TemporaryFolder()
    try makeFiles(0..<1500, in: world.url.appendingPathComponent("files/many"))
    let archive = try await open(world)
    #expect(try await archive.importFolder().progress.added == 1500)
    #expect(await archive.mappedFiles == 1500)
    // A look at the folder for each of the twelve batches would take more than 10,000.
    #expect(await archive.steps < 1500)
    #expect(try await archive.read("/many/1499.txt").collect() == Array("file 1499".utf8))
    try await archive.close()
  }

  @Test func `a later import reads what has changed and nothing else`() async throws {
    let world = try TemporaryFolder()
    let folder = world.url.appendingPathComponent("files")
    try makeFiles(0..<300, in: folder)
    var archive = try await open(world)
    #expect(try await archive.importFolder().progress.added == 300)
    try await archive.close()
    try FileManager.default.removeItem(at: folder.appendingPathComponent("7.txt"))
    try Data("something else".utf8).write(to: folder.appendingPathComponent("8.txt"))
    try makeFiles(300..<301, in: folder)
    archive = try await open(world)
    let second = try await archive.importFolder().progress
    #expect(second.added == 2 && second.removed == 1 && second.unchanged == 298)
    #expect(second.bytes == 14 + 8)
    try await archive.close()
    archive = try await open(world)
    let third = try await archive.importFolder().progress
    #expect(third.added == 0 && third.removed == 0 && third.unchanged == 300 && third.bytes == 0)
    #expect(await archive.mappedFiles == 300)
    try await archive.close()
  }

  @Test func `a record holds each file once, and those that it could not read as before`() {
    var record = ImportRecord()
    func file(_ seq: UInt64) -> ImportRecord.File {
      ImportRecord.File(seq: seq, size: seq * 10, mtime: 1_700_000_000_000_000_000, inode: seq + 5)
    }
    for seq: UInt64 in [9, 3, 3, 1 << 40] { record.note(file(seq)) }
    var next = ImportRecord(record.bytes)
    for seq: UInt64 in [3, 9, 1 << 40] { #expect(next[seq] == file(seq)) }
    for seq: UInt64 in [0, 2, 4, 10] { #expect(next[seq] == nil) }
    next.keep(9)
    next.keep(4)
    next.note(file(5))
    let last = ImportRecord(next.bytes)
    #expect(last[9] == file(9) && last[5] == file(5) && last[3] == nil && last[4] == nil)
  }

  @Test func `a damaged record is none`() {
    var record = ImportRecord()
    for seq in 1...20 { record.note(.init(seq: UInt64(seq), size: 1, mtime: 2, inode: 3)) }
    let bytes = record.bytes
    #expect(ImportRecord(Array(bytes.dropLast()))[1] == nil)
    #expect(ImportRecord([]).bytes == ImportRecord(Array("dat-swift import 1\nx".utf8)).bytes)
    // Numbers that rise past the largest, or not at all.
    let start = bytes.prefix(while: { $0 != UInt8(ascii: "\n") }) + [UInt8(ascii: "\n")]
    for steps in [[UInt64](repeating: 1 << 62, count: 5), [1, 0]] {
      var hostile = Array(start)
      for step in steps {
        for number in [step, 1, 1, 1] { Varint.write(number, to: &hostile) }
      }
      #expect(ImportRecord(hostile)[steps[0]] == nil)
    }
  }
}

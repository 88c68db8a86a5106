import RandomAccessStorage
import Testing

@testable import Saga

/// A storage whose index can't be written beyond some bytes, as on a full disk.
private struct FullStorage: StorageProvider {
  let memory = MemoryStorage()
  var access: StorageAccess { .readWrite }

  func storage(named name: String) throws(StorageError) -> any RandomAccessStorage {
    let file = try memory.storage(named: name)
    return name == RoomIndexFile.name ? FullFile(file) : file
  }

  func lock(_ name: String) throws(StorageError) -> (any StorageLock)? { try memory.lock(name) }
  func exists(_ name: String) throws(StorageError) -> Bool { try memory.exists(name) }
}

private final class FullFile: RandomAccessStorage {
  private let file: any RandomAccessStorage

  init(_ file: any RandomAccessStorage) { self.file = file }

  func read(
    at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(StorageError) -> Int { try file.read(at: offset, into: buffer) }

  func write(_ pieces: [StorageWrite]) throws(StorageError) {
    for piece in pieces where piece.offset + UInt64(piece.bytes.count) > 1_000 {
      throw StorageError(
        code: .failed, path: RoomIndexFile.name, operation: "write", reason: "The disk is full.")
    }
    try file.write(pieces)
  }

  func length() throws(StorageError) -> UInt64 { try file.length() }
  func delete(at offset: UInt64, count: UInt64) throws(StorageError) {
    try file.delete(at: offset, count: count)
  }
  func truncate(to length: UInt64) throws(StorageError) { try file.truncate(to: length) }
  func sync() throws(StorageError) { try file.sync() }
  func close() { file.close() }
}

@Suite(.timeLimit(.minutes(1))) struct FullDiskIndexTests {
  @Test func `an index that doesn't fit the disk is given up, and the room goes on`() async throws {
    let storage = FullStorage()
    var saga = try await Saga.open(storage: storage, username: "ana")
    for number in 0..<1_100 { try await saga.writeMessage("message \(number)") }
    await saga.close()
    #expect(try storage.memory.storage(named: RoomIndexFile.name).length() == 0)
    saga = try await Saga.open(storage: storage, username: "ana")
    #expect(await saga.messageCount == 1_100)
    await saga.close()
  }
}

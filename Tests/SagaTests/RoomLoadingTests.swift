import DatTesting
import Foundation
import HyperDB
import Testing

@testable import Saga

/// A room whose messages are being read.
@Suite(.timeLimit(.minutes(2))) struct RoomLoadingTests {
  /// Writes messages with the same words, a thousand at a time.
  private func fill(_ db: HyperDB, _ count: Int) async throws {
    let blank = MessageContent(text: "m", username: "ana", timestamp: 1)
    for start in stride(from: 0, to: count, by: 1_000) {
      try await db.batch(
        (start..<start + 1_000).map {
          .put("messages/a/\($0)", blank.value(key: "messages/a/\($0)"))
        })
    }
  }

  @Test func `a room is there before it is read`() async throws {
    let folder = try TemporaryFolder()
    var saga = try await Saga.open(folder: folder.path, username: "ana")
    try await fill(saga.db, 4_000)
    // What was not taken in yet is not in the index, and without anything there is none.
    while await saga.messageCount < 4_000 { await Task.yield() }
    await saga.close()
    try FileManager.default.removeItem(atPath: folder.path + "/room-index")
    var options = SagaOptions()
    options.waitsForMessages = false
    saga = try await Saga.open(folder: folder.path, username: "ana", options: options)
    for await event in saga.events(stored: .none) { if case .ready = event { break } }
    #expect(await saga.messageCount == 4_000)
    await saga.close()
  }

  @Test func `a room tells how far it is while it is read`() async throws {
    let db = try await HyperDB.inMemory()
    try await fill(db, 24_000)
    var entries: [DatabaseNode] = []
    reading: for await update in db.updates(valuesUpTo: .max) {
      switch update {
      case .entries(let some): entries += some
      case .caughtUp: break reading
      default: break
      }
    }
    // Handed over by the test: with one processor a room may be read before its reader has a turn.
    let saga = await Saga(db: db, username: "ana")
    var events = saga.events(stored: .none).makeAsyncIterator()
    var progress: [UInt64] = []
    for start in stride(from: 0, to: 24_000, by: 1_000) {
      _ = await saga.handle(.entries(Array(entries[start..<start + 1_000])))
      guard start == 9_000 || start == 19_000 else { continue }
      guard case .loading(let done, let all)? = await events.next() else {
        Issue.record("no word of the progress")
        return
      }
      #expect(all == 24_000)
      progress.append(done)
    }
    #expect(progress == [10_000, 20_000])
    #expect(await !saga.isLoaded)
    _ = await saga.handle(.caughtUp)
    #expect(await events.next() == .ready)
    #expect(await saga.messageCount == 24_000)
    await saga.close()
  }
}

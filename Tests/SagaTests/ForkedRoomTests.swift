import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Saga
import Testing

/// A room's folder that was copied, with messages written in both copies.
@Suite struct ForkedRoomTests {
  struct Cell: CustomTestStringConvertible, Sendable {
    var own: Int
    var foreign: Int
    var isThroughThird: Bool

    var testDescription: String {
      "\(own) here, \(foreign) there, \(isThroughThird ? "through a third" : "direct")"
    }

    static let all = [(2, 1), (1, 1), (1, 2)].flatMap { own, foreign in
      [true, false].map { Cell(own: own, foreign: foreign, isThroughThird: $0) }
    }
  }

  /// Connects two rooms until they learn of a fork.
  private func connect(_ one: Saga, _ other: Saga, until told: [Saga]) async throws {
    let (a, b) = (try await one.replicate(), try await other.replicate())
    let joined = Task { await join(a, b) }
    for room in told {
      for await case .forked in room.events() { break }
    }
    await a.close()
    await b.close()
    await joined.value
  }

  @Test(arguments: Cell.all)
  func `both rooms say so, and neither shows what the other wrote`(cell: Cell) async throws {
    let folder = try TemporaryFolder()
    let (one, two) = (folder.path + "/one", folder.path + "/two")
    let ana = try await Saga.open(storage: MemoryStorage(), username: "ana")
    try await ana.writeMessage("welcome")
    let first = try await Saga.open(folder: one, key: ana.key, username: "bea")
    try await ana.authorize(first.db.localKey)
    try await first.writeMessage("before")
    let (a, b) = (try await ana.db.replicate(), try await first.db.replicate())
    await join(a, b)
    await first.close()
    try FileManager.default.copyItem(atPath: one, toPath: two)
    let here = try await Saga.open(folder: one, username: "bea")
    let there = try await Saga.open(folder: two, username: "bea")
    for number in 0..<cell.own { try await here.writeMessage("here \(number)") }
    for number in 0..<cell.foreign { try await there.writeMessage("there \(number)") }
    if cell.isThroughThird {
      let (a, b) = (try await here.db.replicate(), try await ana.db.replicate())
      await join(a, b)
      try await connect(there, ana, until: [there, ana])
      try await connect(here, ana, until: [here])
      #expect(await ana.forks.first?.key == here.db.localKey)
      #expect(
        Saga.sentence(for: try #require(await ana.forks.first), own: ana.db.localKey).contains(
          "owner"))
      #expect(await !ana.messages.contains { $0.text.hasPrefix("there") })
      try await ana.writeMessage("after")
    } else {
      try await connect(here, there, until: [here, there])
    }
    for (room, own) in [(here, "here"), (there, "there")] {
      let fork = try #require(await room.forks.first)
      #expect(await room.forks.count == 1)
      #expect(Saga.sentence(for: fork, own: room.db.localKey).contains("dat rekey"))
      let texts = await room.messages.map(\.text).filter { $0.contains("here") }
      #expect(!texts.isEmpty && texts.allSatisfy { $0.hasPrefix(own) }, "\(texts)")
      await #expect {
        try await room.writeMessage("more")
      } throws: {
        ($0 as? FeedError)?.code == .forked
      }
    }
    for room in [ana, here, there] { await room.close() }
  }
}

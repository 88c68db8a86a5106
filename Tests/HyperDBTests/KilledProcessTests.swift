import DatTesting
import Foundation
import RandomAccessStorage
import Testing

@testable import HyperDB
@testable import Hypercore

/// A process that appends and puts is killed at random, many times, and its acknowledged writes are searched
/// for. `KILLS=n` kills more often.
@Suite(.timeLimit(.minutes(30))) struct KilledProcessTests {
  private static let kills =
    ProcessInfo.processInfo.environment["KILLS"].flatMap(Int.init) ?? 200

  @Test(arguments: ["buffered", "synced"])
  func `a process that is killed loses nothing that it acknowledged`(durability: String)
    async throws
  {
    let folder = try TemporaryFolder()
    var random = SeededRandom(seed: durability == "synced" ? 2 : 1)
    var killed = 0
    var slowest = Duration.zero
    var mostWork = 0.0
    var appended: UInt64 = 0
    // By key, the last value that was acknowledged.
    var values: [String: UInt64] = [:]
    while killed < Self.kills / 2 {
      let said = try writeUntilKilled(
        folder.path, durability, lines: Int.random(in: 1...30, using: &random))
      killed += 1
      let acknowledged = said.last { $0.what == "a" }.map { $0.number + 1 } ?? appended
      for put in said where put.what == "p" { values["key/\(put.number % 20)"] = put.number }

      let clock = ContinuousClock()
      let start = clock.now
      let work = Foundation.clock()
      let feed = try await Feed.open(folder: folder.path + "/feed")
      let db = try await HyperDB.open(folder: folder.path + "/db")
      slowest = max(slowest, clock.now - start)
      mostWork = max(mostWork, Double(Foundation.clock() - work) / 1_000_000)
      let length = await feed.length
      try #require(length >= acknowledged, "\(length) of \(acknowledged) after \(killed) kills")
      try #require(await feed.isWritable)
      for index in appended..<length {
        try #require(try await feed.get(index) == Array("block \(index)".utf8))
      }
      appended = length
      for (key, number) in values {
        let value = try #require(try await db.get(key).first?.value)
        let found = try #require(UInt64(String(decoding: value, as: UTF8.self).dropFirst(6)))
        // The put in progress may be there, too.
        try #require(found >= number && found % 20 == number % 20, "\(key) after \(killed) kills")
      }
      #expect(await db.issues.isEmpty)
      try await feed.close()
      await db.close()
    }
    // In processor time, which a busy machine does not change.
    #expect(mostWork < 1)
    let feed = try await Feed.open(folder: folder.path + "/feed", access: .readOnly)
    #expect(try await feed.audit().invalid == 0)
    #expect(await feed.repairReport.isHealthy)
    print(
      "\(durability): \(killed) kills, \(appended) blocks and \(values.count) keys, 0 lost; slowest "
        + "opening of feed and database \(slowest)")
  }

  private struct Said {
    var what: Character
    var number: UInt64
  }

  /// Starts the writer, kills it after this many lines, and returns everything that it printed.
  private func writeUntilKilled(_ folder: String, _ durability: String, lines: Int) throws -> [Said]
  {
    let process = Process()
    process.executableURL = DatProcess.executable.deletingLastPathComponent()
      .appendingPathComponent("dat-crash-writer")
    process.arguments = [folder, durability]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading
    var bytes = Data()
    while bytes.count(where: { $0 == 10 }) < lines {
      let more = output.availableData
      if more.isEmpty { break }
      bytes += more
    }
    kill(process.processIdentifier, SIGKILL)
    bytes += output.readDataToEndOfFile()
    process.waitUntilExit()
    try #require(process.terminationReason == .uncaughtSignal, "it ended by itself")
    return String(decoding: bytes, as: UTF8.self).split(
      separator: "\n", omittingEmptySubsequences: false
    )
    // A line that was cut does not count.
    .dropLast().compactMap { line in
      let parts = line.split(separator: " ")
      guard parts.count == 2, let what = parts[0].first, let number = UInt64(parts[1]) else {
        return nil
      }
      return Said(what: what, number: number)
    }
  }
}

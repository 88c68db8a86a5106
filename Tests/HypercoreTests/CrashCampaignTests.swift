import DatTesting
import Testing

@testable import Hypercore

/// Crashes at every write and every sync, of a disk that then drops, tears or reorders what was not
/// synced. The database's part is in its own tests. `CRASH_STATES=n` opens more states.
@Suite(.timeLimit(.minutes(60))) struct CrashCampaignTests {
  /// The number of states in this suite and the database's together: synced, and with only the
  /// process's death.
  static let synced = 10_500
  static let buffered = 2_200

  @Test func `synced, no crash loses a block that was acknowledged, or forks the feed`() throws {
    var tally = CrashTally("append, batch and clear, synced", share: 0.4, standard: Self.synced)
    try appends(.synced, &tally)
    #expect(tally.states >= tally.quota && tally.quota >= 1)
  }

  @Test func `buffered, the death of the process loses nothing either`() throws {
    var tally = CrashTally(
      "append, batch and clear, buffered", share: 0.45, standard: Self.buffered, onlyProcess: true)
    try appends(.buffered, &tally)
    #expect(tally.states >= tally.quota && tally.quota >= 1)
  }

  @Test(arguments: [Durability.synced, .buffered])
  func `a crash may take what was downloaded, and never leaves anything wrong`(
    durability: Durability
  ) throws {
    let isSynced = durability == .synced
    var tally = CrashTally(
      "download and clear, \(isSynced ? "synced" : "buffered")", share: 0.3,
      standard: isSynced ? Self.synced : Self.buffered, onlyProcess: !isSynced)
    var seed: UInt64 = 0
    while tally.goesOn {
      try DownloadHistory(seed: seed, durability).run(&tally, seed: seed)
      seed += 1
    }
    report(tally)
    #expect(tally.states >= tally.quota && tally.quota >= 1)
  }

  private func appends(_ durability: Durability, _ tally: inout CrashTally) throws {
    var seed: UInt64 = 0
    while tally.goesOn {
      try CrashHistory(seed: seed, durability).run(&tally, seed: seed)
      seed += 1
    }
    report(tally)
  }

  private func report(_ tally: CrashTally) {
    print(tally)
    for failure in tally.failures { Issue.record("\(failure)") }
  }
}

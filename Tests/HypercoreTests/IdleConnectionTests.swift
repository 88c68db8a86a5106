import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

@testable import Hypercore

/// Connections over which nothing is said but keep-alives.
@Suite struct IdleConnectionTests {
  private typealias Instant = ContinuousClock.Instant

  /// Two sessions that are connected, with what each has sent.
  private struct Pair {
    var sessions: [ReplicationSession] = []
    var ticks: [Instant] = []
    var sent = [0, 0]

    init(lead: Duration, random: inout SeededRandom, now: Instant) throws {
      let pair = KeyPair(seed: [UInt8](repeating: 7, count: 32))!
      for side in 0..<2 {
        let core = try FeedCore.open(
          in: MemoryStorage(),
          options: side == 0 ? FeedOptions(keyPair: pair) : FeedOptions(key: pair.publicKey))
        var options = Connection.Options.random(using: &random)
        options.live = true
        options.keepAliveLead = lead
        let session = ReplicationSession(
          connection: Connection(options: options, now: now), expectedFeeds: 1, now: now)
        try session.open(
          Replicator(core: core, isSparse: false, random: SeededRandom(seed: 1)),
          download: side == 1)
        sessions.append(session)
      }
      exchange(now)
      ticks = sessions.map { $0.nextTick(now: now) }
      sent = [0, 0]
    }

    mutating func exchange(_ now: Instant) {
      while true {
        var isQuiet = true
        for side in 0..<2 {
          guard let bytes = sessions[side].takeOutput(now: now), !bytes.isEmpty else { continue }
          isQuiet = false
          sent[side] += bytes.count
          sessions[1 - side].receive(bytes, now: now)
        }
        if isQuiet { return }
      }
    }
  }

  @Test(arguments: [Duration.seconds(1), .zero])
  func `idle connections wake together, twice in five seconds at most`(lead: Duration) throws {
    let start = Instant.now
    var random = SeededRandom(seed: 5)
    // Each begins at another time, as connections do.
    var pairs: [Pair] = []
    for number in 0..<50 {
      pairs.append(
        try Pair(lead: lead, random: &random, now: start + .milliseconds(number * 97)))
    }
    let begun = start + .seconds(10)
    var wakes: Set<Instant> = []
    var ticks = 0
    let end = start + .seconds(110)
    while let now = pairs.flatMap(\.ticks).min(), now < end {
      if now >= begun { wakes.insert(now) }
      for number in pairs.indices {
        for side in 0..<2 where pairs[number].ticks[side] == now {
          if now >= begun { ticks += 1 }
          pairs[number].sessions[side].tick(now: now)
          pairs[number].exchange(now)
          pairs[number].ticks[side] = pairs[number].sessions[side].nextTick(now: now)
        }
      }
    }
    for pair in pairs {
      #expect(pair.sessions.allSatisfy { !$0.hasEnded })
      // A byte every five seconds, from both.
      #expect(pair.sent.allSatisfy { (20...24).contains($0) }, "\(pair.sent)")
    }
    // For its keep-alive, and to look whether the other end's has come.
    #expect(ticks <= 100 * 100 * 2 / 5)
    if lead > .zero {
      #expect(wakes.count <= 100, "more than one a second")
    } else {
      #expect(wakes.count > 500)
    }
  }
}

import DatTesting
import Hypercore
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

/// Recorded replications of one feed, with a live end in place of either end.
@Suite(.timeLimit(.minutes(2))) struct RecordedSessionTests {
  @Test(arguments: try RecordedSession.feedNames())
  func `in the place of the reader a recorded session brings every block`(name: String) throws {
    let (recorded, server) = try open(name)
    let end = try OurEnd(recorded, as: server.other, keyPair: nil)
    let peer = try RecordedPeer(recorded, playing: server)
    let wanted = recorded.requests(of: server.other)

    for request in wanted where request.bytes == 0 { end.get(request.index) }
    try end.replicator.flush()
    var goesOn = try peer.exchange(with: end.session, now: end.now)
    let blocks = recorded.blocks()
    for request in wanted where request.bytes == 0 {
      #expect(end.got[request.index] == blocks[request.index], "block \(request.index)")
      #expect(try end.core.block(at: request.index) == blocks[request.index])
    }
    #expect(end.core.length == recorded.length(offeredBy: server))

    for offset in Set(wanted.map(\.bytes)).subtracting([0]) {
      var position: BytePosition?
      _ = end.replicator.seek(offset, in: nil) { position = try? $0.get() }
      try end.replicator.flush()
      goesOn = try peer.exchange(with: end.session, now: end.now)
      let expected = try #require(recorded.position(ofByte: offset))
      #expect(position?.block == expected.block && position?.offset == expected.offset)
    }
    #expect(peer.isSatisfied, "the recorded end still has to say \(peer.waitingToSay)")
    try expectEnd(of: end, recorded, goesOn: goesOn, server.other)
    #expect(try end.core.audit().invalid == 0)
  }

  @Test(arguments: try RecordedSession.feedNames())
  func `in the place of the writer the recorded reader gets the recorded answers`(
    name: String
  ) throws {
    let (recorded, server) = try open(name)
    let pair = try #require(recorded.keyPairs.first { $0.publicKey == recorded.key })
    let end = try OurEnd(recorded, as: server, keyPair: pair)
    let peer = try RecordedPeer(recorded, playing: server.other)
    let blocks = recorded.blocks()

    var goesOn = true
    for range in recorded.appends(by: server) {
      try end.core.append(range.map { try #require(blocks[$0]) })
      try end.replicator.flush()
      goesOn = try peer.exchange(with: end.session, now: end.now)
    }
    #expect(peer.isSatisfied, "the recorded end still has to say \(peer.waitingToSay)")
    try expectEnd(of: end, recorded, goesOn: goesOn, server)

    let ours = peer.heard.data
    let theirs = recorded.said(by: server).data
    #expect(Set(ours.keys) == Set(theirs.keys))
    for (index, answer) in theirs { #expect(ours[index] == answer, "Data \(index)") }
    #expect(peer.heard.haves == recorded.said(by: server).haves)
    #expect(peer.heard.infos == recorded.said(by: server).infos)
  }

  private func open(_ name: String) throws -> (RecordedSession, RecordedSession.Side) {
    let recorded = try RecordedSession(name)
    let server = try #require(
      RecordedSession.Side.allCases.first { !recorded.said(by: $0).data.isEmpty })
    return (recorded, server)
  }

  /// Checks that extension messages arrived, and that a session that isn't live has ended by
  /// itself.
  private func expectEnd(
    of end: OurEnd, _ recorded: RecordedSession, goesOn: Bool, _ side: RecordedSession.Side
  ) throws {
    #expect(end.extensions == recorded.said(by: side.other).extensions(spokenBy: end.session))
    #expect(end.closeReasons.isEmpty == goesOn)
    for case let reason? in end.closeReasons { Issue.record("closed: \(reason)") }
    #expect(goesOn == recorded.isLive)
  }
}

/// The live side of a recorded session.
private final class OurEnd {
  let core: FeedCore
  let replicator: Replicator
  let session: ReplicationSession
  let now = ContinuousClock.now
  var got: [UInt64: [UInt8]] = [:]
  var extensions: [RecordedSession.Said] = []
  /// The reasons for closing: one entry once the session is closed.
  var closeReasons: [(any Error)?] = []

  init(_ recorded: RecordedSession, as side: RecordedSession.Side, keyPair: KeyPair?) throws {
    core = try FeedCore.open(
      in: MemoryStorage(), options: keyPair.map { .init(keyPair: $0) } ?? .init(key: recorded.key))
    var random = SeededRandom(seed: 1)
    let requests = recorded.requests(of: side)
    let isSparse = UInt64(requests.count) != recorded.length(offeredBy: side.other)
    replicator = Replicator(
      core: core, isSparse: isSparse && keyPair == nil, random: SeededRandom(seed: 2))
    session = ReplicationSession(
      connection: Connection(options: recorded.options(of: side, random: &random), now: now),
      expectedFeeds: 1, now: now)
    try session.open(replicator, download: keyPair == nil)
    let feed = recorded.key.discoveryKey
    session.hooks.onExtension = { [unowned self] _, name, payload in
      extensions.append(.extension(feed, name: name, payload: payload))
    }
    session.hooks.onHandshake = { [unowned self] _ in
      guard let channel = session.connection.channel(of: feed) else { return }
      for case .extension(_, let name, let payload) in recorded.said(by: side) {
        try? session.connection.sendExtension(name, payload: payload, on: channel)
      }
    }
    session.hooks.onClose = { [unowned self] in closeReasons.append($0) }
  }

  func get(_ index: UInt64) {
    _ = replicator.get(index) { [unowned self] in got[index] = try? $0.get() }
  }
}

extension RecordedSession {
  fileprivate func requests(of side: Side) -> [Request] {
    messages(of: side).compactMap { if case .request(let request) = $0 { request } else { nil } }
  }

  /// The number of blocks that one end has offered by the end.
  fileprivate func length(offeredBy side: Side) -> UInt64 {
    appends(by: side).last?.upperBound ?? 0
  }

  /// The blocks that a writer had at first, and those that it announced later.
  fileprivate func appends(by side: Side) -> [Range<UInt64>] {
    var appends: [Range<UInt64>] = []
    for case .have(let start, let length, nil, _) in messages(of: side) {
      appends.append((appends.last?.upperBound ?? 0)..<(start + max(length, 1)))
    }
    return appends
  }

  fileprivate func position(ofByte byte: UInt64) -> (block: UInt64, offset: UInt64)? {
    var start: UInt64 = 0
    for (index, block) in (listedBlocks ?? []).enumerated() {
      let end = start + UInt64(block.count)
      if byte < end { return (UInt64(index), byte - start) }
      start = end
    }
    return nil
  }
}

extension [RecordedSession.Said] {
  /// Data messages by index, the first of each.
  fileprivate var data: [UInt64: DataMessage] {
    var all: [UInt64: DataMessage] = [:]
    for case .message(_, .data(let data)) in self where all[data.index] == nil {
      all[data.index] = data
    }
    return all
  }

  fileprivate var haves: [Message] {
    compactMap { if case .message(_, let have) = $0, case .have = have { have } else { nil } }
  }

  fileprivate var infos: [Message] {
    compactMap { if case .message(_, let info) = $0, case .info = info { info } else { nil } }
  }

  fileprivate func extensions(spokenBy session: ReplicationSession) -> [RecordedSession.Said] {
    filter {
      if case .extension(_, let name, _) = $0 {
        session.connection.options.extensions.contains(name)
      } else {
        false
      }
    }
  }
}

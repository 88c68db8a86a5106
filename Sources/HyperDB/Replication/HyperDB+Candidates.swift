internal import Hypercore
public import HypercoreCrypto

/// Feeds that writers have listed and of which no block is here.
///
/// A writer can list any keys, and most of them may belong to no feed. Nothing is stored for them, they take
/// no place in the database, and a connection has channels only for some: first for those that connected
/// peers claim as their own, then for the newest that each writer let in, then for a sample of the others,
/// a different one on each connection. So a feed that exists is found sooner or later, and its first block
/// gives it a place.
extension HyperDB {
  /// The most channels that candidates take of one connection at a time: half of them. A candidate whose
  /// first block comes makes room for another.
  private static let candidateChannels = 128
  /// Channels left for feeds whose first block comes during the connection, unless all that were opened
  /// exist.
  private static let reservedChannels = 32
  /// Channels for candidates that one writer let in, whatever others list.
  private static let newcomerChannels = 16
  /// The most candidates that are open at once, on all connections: some 10 KB each.
  private static let openCandidates = 512
  /// The most keys to remember that peers claim as their own.
  private static let rememberedClaims = 256

  /// Notes that a connected peer calls a feed its own. Once a writer lists that feed, it is asked for before
  /// other candidates. The claim has no other effect.
  public func expect(_ key: PublicKey) {
    claimedKeys.removeAll { $0 == key }
    claimedKeys.append(key)
    if claimedKeys.count > Self.rememberedClaims { claimedKeys.removeFirst() }
    core.reviewName(key)
    knownFeedChanges = -1
    followUp()
  }

  /// Opens some candidates on a connection.
  func openCandidates(_ entry: DatabaseSession) throws {
    let candidates = core.candidates.filter { !entry.opened.contains($0) }
    if candidates.isEmpty { return }
    let known = Set(candidates)
    for key in claimedKeys.reversed()
    where known.contains(key) && entry.session.freeChannels > Self.reservedChannels / 2 {
      try open(try feedSet.openPeer(key), entry)
    }
    let others = candidates.filter { !entry.opened.contains($0) }
    if others.count <= room(on: entry, others) {
      for key in others { try openCandidate(key, entry) }
      return
    }
    for letIn in core.newcomers {
      let open = letIn.count { entry.opened.contains($0) }
      let new = letIn.lazy.filter { !entry.opened.contains($0) }
      for key in new.prefix(max(Self.newcomerChannels - open, 0))
      where entry.session.freeChannels > Self.reservedChannels {
        try openCandidate(key, entry)
      }
    }
    let rest = others.filter { !entry.opened.contains($0) }
    let room = room(on: entry, rest)
    guard room > 0 else { return }
    for key in rest.shuffled(using: &entry.random).prefix(room) { try openCandidate(key, entry) }
  }

  /// Returns how many more candidates may be opened on a connection, if these others are not.
  private func room(on entry: DatabaseSession, _ others: [PublicKey]) -> Int {
    let unproven = core.candidates.count - others.count
    return min(
      Self.candidateChannels - unproven,
      entry.session.freeChannels - min(unproven, Self.reservedChannels))
  }

  private func openCandidate(_ key: PublicKey, _ entry: DatabaseSession) throws {
    guard feedSet.logs[key] != nil || openCandidateCount < Self.openCandidates else { return }
    try open(try feedSet.openPeer(key), entry)
  }

  private var openCandidateCount: Int { feedSet.logs.count - core.feedCount }

  /// Gives a place to a feed whose first block has come.
  func admit(_ key: PublicKey) {
    guard let log = feedSet.logs[key] else { return }
    // A storage that fails: the reads that need the block report it.
    do { try core.admit(log.log) } catch { return }
  }

  func assignPlaces() {
    // A storage that fails: the reads that need the block report it.
    do { try core.assignPlaces() } catch { return }
  }

  /// Releases, at the end of a connection, the candidates that no other connection has open.
  func releaseCandidates(of entry: DatabaseSession) {
    for key in entry.opened where core.number(of: key) == nil {
      guard !sessions.contains(where: { $0.opened.contains(key) }) else { continue }
      feedSet.release(key)
    }
  }

  /// Handles a feed's loss of its place to another.
  func vacated(_ number: Int) {
    feedSet.logs[core.feedKeys[number]]?.inspected = 0
    contents[number] = nil
    refusedContents.remove(number)
    arrivals.remove(number)
  }
}

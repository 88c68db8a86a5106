package import Hypercore
internal import HypercoreProtocol
internal import RandomAccessStorage

/// One copy of a feed in a ``Simulation``, on a disk that can be crashed.
package final class SimulatedReplica {
  package let name: String
  package let isSparse: Bool
  package private(set) var disk: SimulatedDisk
  package private(set) var core: FeedCore
  package private(set) var replicator: Replicator
  /// The number of times that a block was sent to a peer.
  package private(set) var uploads: UInt64 = 0
  /// The number of times that a block was stored here.
  package private(set) var stores: UInt64 = 0
  /// The open connections.
  package private(set) var links: [(session: ReplicationSession, link: SimulatedLink)] = []
  private let options: FeedOptions
  private let seed: UInt64

  package init(
    _ name: String, _ options: FeedOptions, isSparse: Bool = false, seed: UInt64
  ) throws {
    self.name = name
    self.options = options
    self.isSparse = isSparse
    self.seed = seed
    disk = SimulatedDisk()
    core = try FeedCore.open(in: disk, options: options)
    replicator = Replicator(core: core, isSparse: isSparse, random: SeededRandom(seed: seed))
    observe()
  }

  private func observe() {
    replicator.onEvent = { [unowned self] event in
      switch event {
      case .uploaded(let range, _): uploads += UInt64(range.count)
      case .stored(let ranges, _): stores += ranges.reduce(0) { $0 + UInt64($1.count) }
      default: break
      }
    }
  }

  // MARK: Connecting

  /// Creates a session that replicates this feed.
  package func session(
    live: Bool, in simulation: Simulation, download: Bool? = nil, timeout: Duration? = nil
  ) throws -> ReplicationSession {
    var options = Connection.Options.random(using: &simulation.random)
    options.live = live
    options.timeout = timeout
    options.extensions = ["dat-swift/fork"]
    let session = ReplicationSession(
      connection: Connection(options: options, now: simulation.now), expectedFeeds: 1,
      now: simulation.now)
    try session.open(replicator, download: download ?? !core.isOwned)
    return session
  }

  /// Connects two replicas.
  @discardableResult
  package static func connect(
    _ one: SimulatedReplica, _ other: SimulatedReplica, live: Bool, in simulation: Simulation,
    _ conditions: Simulation.Conditions = Simulation.Conditions()
  ) throws -> SimulatedConnection {
    let connection = SimulatedConnection(
      one: one, other: other,
      sessions: [
        try one.session(live: live, in: simulation), try other.session(live: live, in: simulation),
      ])
    let link = simulation.connect(connection.sessions[0], connection.sessions[1], conditions)
    connection.link = link
    one.links.append((connection.sessions[0], link))
    other.links.append((connection.sessions[1], link))
    return connection
  }

  // MARK: Failing

  /// Ends the process without warning, at some point of its writes, and starts it again.
  ///
  /// - Parameter point: one of the disk's crash points; nil for after all writes.
  package func crash(
    at point: Int? = nil, losing loss: SimulatedDisk.Loss, in simulation: Simulation
  ) throws {
    for (session, link) in links where !link.isOver { simulation.cut(link, without: session) }
    // Gone without being closed; the links still hold their sessions, which are not notified any
    // more.
    grave.append((core, replicator, links.map(\.session)))
    links = []
    disk = try disk.crashed(
      at: point ?? disk.crashPoints - 1, losing: loss, random: &simulation.random)
    core = try FeedCore.open(in: disk, options: options)
    replicator = Replicator(core: core, isSparse: isSparse, random: SeededRandom(seed: seed))
    observe()
  }

  private var grave: [(FeedCore, Replicator, [ReplicationSession])] = []
}

/// A connection of two replicas, and its end.
package final class SimulatedConnection {
  package let one: SimulatedReplica
  package let other: SimulatedReplica
  package let sessions: [ReplicationSession]
  package fileprivate(set) var link: SimulatedLink?
  /// For either side: whether it has ended, and the reason if it was no proper end.
  package private(set) var hasEnded = [false, false]
  package private(set) var reasons: [(any Error)?] = [nil, nil]

  init(one: SimulatedReplica, other: SimulatedReplica, sessions: [ReplicationSession]) {
    self.one = one
    self.other = other
    self.sessions = sessions
    for (side, session) in sessions.enumerated() {
      session.hooks.onClose = { [weak self] reason in
        self?.hasEnded[side] = true
        self?.reasons[side] = reason
      }
    }
  }
}

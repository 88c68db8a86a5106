internal import Metrics
internal import NIOCore
internal import NIOPosix

/// A server at which peers find each other: dns-discovery's, for users who run their own.
///
/// It knows topics and addresses, but neither keys nor what peers exchange. Its memory is bounded: some
/// 40 MB at its limit of 200,000 entries. Each lasts three minutes unless its peer renews it.
public actor RendezvousServer {
  /// The number of past events, and of present entries.
  public struct Statistics: Hashable, Sendable {
    /// Topics that have an entry now.
    public let topics: Int
    /// Announcements and subscriptions stored.
    public let entries: Int
    /// Packets received.
    public let received: Int
    /// Announcements accepted.
    public let announced: Int
    /// Packets that notified subscribers of a new peer.
    public let pushed: Int
    /// Packets, announcements and subscriptions that were dropped or refused: malformed, too many, without a
    /// valid token, or without room.
    public let refused: Int
    /// Announcements and subscriptions that were evicted: for another host's, since their own had most of a
    /// topic's places, or for a newer one of their own host.
    public let evicted: Int
  }

  /// The address of the server, with the chosen port if 0 was asked for.
  public nonisolated let address: PeerAddress
  private let channel: any Channel
  private var core = RendezvousServerCore()
  private var tasks: [Task<Void, Never>] = []
  private let received = Counter(label: "dat_rendezvous_packets", dimensions: [("direction", "in")])
  private let sent = Counter(label: "dat_rendezvous_packets", dimensions: [("direction", "out")])
  /// The counts of what each of the server's budgets has refused.
  private let refused = Dictionary(
    uniqueKeysWithValues: Budget.allCases.map {
      ($0, Counter(label: "dat_rendezvous_refused", dimensions: [("budget", $0.rawValue)]))
    })
  private var counted: [Budget: Int] = [:]
  private let entries = Gauge(label: "dat_rendezvous_entries")

  /// Starts serving on a UDP port of the host's address: `::` for all of both kinds, `0.0.0.0` for all of
  /// IPv4.
  ///
  /// - Throws: ``SwarmError``, such as code `addressInUse`.
  public init(host: String = "0.0.0.0", port: Int = 0) async throws(SwarmError) {
    let what = "Could not listen on \(PeerAddress(host: host, port: port))"
    guard (0...65535).contains(port) else {
      throw SwarmError(.address, "\(what): ports go from 0 to 65535.")
    }
    let (packets, arrived) = AsyncStream.makeStream(
      of: ([UInt8], PeerAddress).self, bufferingPolicy: .bufferingOldest(4096))
    do {
      channel = try await UDP.open(host: host, port: port) { arrived.yield(($0, $1)) }
    } catch {
      throw SwarmError(what, error)
    }
    guard let address = PeerAddress(channel.localAddress) else {
      channel.close(promise: nil)
      throw SwarmError(.failed, "\(what): the system named no address.")
    }
    self.address = address
    channel.closeFuture.whenComplete { _ in arrived.finish() }
    tasks = [
      Task { [weak self] in
        for await (bytes, sender) in packets { await self?.receive(bytes, sender) }
      },
      Task { [weak self] in
        while !Task.isCancelled {
          guard let self else { return }
          await self.tick()
          try? await Task.sleep(for: RendezvousServerCore.tickInterval)
        }
      },
    ]
  }

  deinit {
    for task in tasks { task.cancel() }
    channel.close(promise: nil)
  }

  /// The counts of past events and present entries.
  public var statistics: Statistics {
    let counts = core.statistics
    return Statistics(
      topics: counts.topics, entries: counts.entries, received: counts.received,
      announced: counts.announced, pushed: counts.pushed,
      refused: counts.malformed + counts.flooded + counts.untold + counts.unproven + counts.full,
      evicted: counts.evicted)
  }

  /// Stops serving. Returns when the port is free.
  public func close() async {
    for task in tasks { task.cancel() }
    channel.close(promise: nil)
    try? await channel.closeFuture.get()
  }

  private func receive(_ bytes: [UInt8], _ sender: PeerAddress) {
    received.increment()
    send(core.receive(bytes, from: sender, now: .now))
  }

  private func tick() {
    send(core.tick(now: .now))
    entries.record(core.statistics.entries)
    for (budget, counter) in refused {
      let count = budget.count(core.statistics)
      counter.increment(by: count - counted[budget, default: 0])
      counted[budget] = count
    }
  }

  private func send(_ packets: [RendezvousServerCore.Packet]) {
    sent.increment(by: packets.count)
    for packet in packets { UDP.send(packet.bytes, to: packet.to, by: channel) }
  }
}

/// The budgets by which a rendezvous server refuses.
private enum Budget: String, CaseIterable {
  /// Packets of one host.
  case packets
  /// Answers to one host's packets without a token.
  case tokens
  /// Packets to subscribers for one host's announcements.
  case pushes
  /// Announcements and subscriptions with an invalid token.
  case unproven
  /// Announcements and subscriptions without room.
  case places
  /// Announcements and subscriptions that were evicted.
  case evicted
  /// Malformed packets.
  case malformed

  func count(_ statistics: RendezvousServerCore.Statistics) -> Int {
    switch self {
    case .packets: statistics.flooded
    case .tokens: statistics.untold
    case .pushes: statistics.unpushed
    case .unproven: statistics.unproven
    case .places: statistics.full
    case .evicted: statistics.evicted
    case .malformed: statistics.malformed
    }
  }
}

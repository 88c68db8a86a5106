internal import DatCoding
internal import DatSwarm
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

extension ReplicaHost {
  /// Returns a report on the host as a whole.
  ///
  /// It asks every open key once, as ``status()`` does.
  ///
  /// - Parameter version: the version of the program, which the report names.
  public func report(version: String = "") async -> HostReport {
    var report = HostReport()
    report.version = version
    report.folder = path
    report.process = Int(ProcessInfo.processInfo.processIdentifier)
    report.seconds = (ContinuousClock.now - opened) / .seconds(1)
    await addDisk(to: &report)
    let use = ProcessUse.now()
    (report.memory, report.ownMemory) = (use.memory, use.ownMemory)
    (report.descriptors, report.descriptorLimit) = (use.descriptors, use.descriptorLimit)
    for trouble in await swarm.troubles { report.warn(trouble) }
    for status in await status() { report.add(status) }
    report.cutIncomplete()
    let waiting = report.states[HostedStatus.State.queued.rawValue, default: 0]
    if waiting > 0 {
      report.warn(
        "\(waiting) keys wait for their turn, as more are hosted than may be open at a time: raise the limit on open "
          + "files (ulimit -n, or LimitNOFILE under systemd).")
    }
    await addPeers(to: &report)
    return report
  }

  private func addDisk(to report: inout HostReport) async {
    report.diskUsed = budget.used
    report.quota = budget.limit
    if let limit = budget.limit, budget.used >= limit / 10 * 9 {
      report.warn(
        "The keys have taken \(budget.used) bytes of disk, of at most \(limit): raise --quota, or remove keys."
      )
    }
    guard let space = try? FolderStorage(path: path).space() else { return }
    let reserve = options.disk.reserve(of: space)
    (report.diskAvailable, report.diskTotal, report.diskReserve) = (
      space.available, space.total, reserve
    )
    if space.available < reserve {
      report.warn(
        "The disk has \(space.available) bytes left, and \(reserve) are kept free: nothing is fetched until there "
          + "is room.")
    }
  }

  private func addPeers(to report: inout HostReport) async {
    // The address of a peer behind a relay is a name that others made.
    var found: [ForeignText: (connections: Int, keys: Set<DiscoveryKey>)] = [:]
    for peer in await swarm.peers {
      found[ForeignText(peer.address.host), default: (0, [])].connections += 1
      found[ForeignText(peer.address.host)]?.keys.insert(peer.discoveryKey)
    }
    report.connections = found.values.reduce(0) { $0 + $1.connections }
    report.addresses = found.count
    let peers = found.sorted { one, other in
      one.value.connections == other.value.connections
        ? one.key.utf8.lexicographicallyPrecedes(other.key.utf8)
        : one.value.connections > other.value.connections
    }.map { address, value in
      HostReport.Peer(
        address: address.string, connections: value.connections, keys: value.keys.count)
    }
    report.peers = Array(peers.prefix(HostReport.listLimit))
    (report.received, report.sent) = await traffic.totals()
  }
}

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
    await addKeys(to: &report)
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

  /// Adds the keys that are held here; of a fleet's others only their number, since there may be many.
  private func addKeys(to report: inout HostReport) async {
    guard let fleet else {
      for status in await status() { report.add(status) }
      return
    }
    var fleetReport = await fleet.report()
    for sentence in await fleet.warnings { report.warn(sentence) }
    let orphans = await fleet.orphans
    let counts = await connectionCounts()
    var lost: [FleetReport.Lost] = []
    for key in kinds.keys.sorted(by: { $0.hex < $1.hex }) {
      let status = await status(of: key, counts)
      report.add(status)
      if status.stored < status.length || status.stored == 0 { fleetReport.fetching += 1 }
      guard status.stored == 0, let hosts = orphans[key.discoveryKey] else { continue }
      lost.append(.init(key: "\(HostedKey(kind: status.kind, key: key))", hosts: hosts))
    }
    let others = max(fleetReport.keys - kinds.count, 0)
    if others > 0 { report.states[HostedStatus.State.elsewhere.rawValue] = others }
    fleetReport.lostCount = lost.count
    fleetReport.lost = Array(lost.prefix(HostReport.listLimit))
    if let first = lost.first {
      report.warn(
        "\(lost.count) keys had their last copies on hosts that are gone, such as \(first.hosts.joined(separator: " and ")): "
          + "bring one of them back, or a peer that has the keys; dat host list names them.",
        about: first.key)
    }
    report.fleet = fleetReport
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

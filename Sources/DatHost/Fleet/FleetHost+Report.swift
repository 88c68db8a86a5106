internal import DatFleet
internal import HypercoreCrypto

/// What a host shows of its fleet.
extension FleetHost {
  /// The most weights that are computed to name the hosts of keys in a list.
  private static let maximumWeights = 20_000_000

  /// Returns the status of a key that is elsewhere.
  func status(of key: HostedKey) -> HostedStatus {
    var status = HostedStatus(
      key: key.key, kind: key.kind, folder: keys.path(of: key.key.discoveryKey))
    status.state = .elsewhere
    switch plan.stage(of: key.key.discoveryKey) {
    // It is about to be opened.
    case .owned, .leaving: status.state = .queued
    case .elsewhere: status.owner = plan.owners(of: key.key.discoveryKey).first
    case .kept(let seconds):
      status.owner = plan.owners(of: key.key.discoveryKey).first
      status.problem =
        options.keep == nil
        ? "It is served here no longer, and kept."
        : "It is served here no longer, and kept for \(seconds) s yet."
    }
    return status
  }

  /// Returns the status of all keys of the fleet but some.
  func elsewhere(than held: Set<PublicKey>) -> [HostedStatus] {
    let names = plan.membership.names.count
    let all = keys.list.keys
    let isMuch = all.count * max(names, 1) > Self.maximumWeights
    return all.filter { !held.contains($0.key) }.map { key, kind in
      let key = HostedKey(kind: HostedKind(fleetNumber: kind), key: key)
      guard isMuch else { return status(of: key) }
      var status = HostedStatus(
        key: key.key, kind: key.kind, folder: keys.path(of: key.key.discoveryKey))
      status.state = .elsewhere
      return status
    }
  }

  /// Returns the same, with a sentence on each key that had its last copies on hosts that are gone.
  func notingLosses(in all: [HostedStatus]) -> [HostedStatus] {
    let orphans = plan.orphans
    guard !orphans.isEmpty else { return all }
    return all.map { status in
      guard status.stored == 0, let names = orphans[status.key.discoveryKey] else { return status }
      var status = status
      status.problem = Self.loss(names)
      return status
    }
  }

  /// Keys whose former hosts are all gone, with the names of these. Some of it may have been found meanwhile.
  var orphans: [DiscoveryKey: [String]] { plan.orphans }

  static func loss(_ names: [String]) -> String {
    "Its last copies were on hosts that are gone: \(names.joined(separator: ", "))."
  }

  /// Returns the report on the fleet, without what only the replicas know.
  func report() -> FleetReport {
    var report = FleetReport()
    report.name = name
    report.members = plan.membership.names.count
    let missing = plan.membership.missing
    report.missing = Array(missing.prefix(HostReport.listLimit))
    report.missingCount = missing.count
    report.connected = connectedMembers
    report.keys = keyCount
    (report.owned, report.leaving, report.kept) = plan.counts
    report.trouble = contacts.trouble
    return report
  }

  private var connectedMembers: Int { links.members.count }

  /// What needs attention, in a sentence each.
  var warnings: [String] {
    var warnings: [String] = []
    let (names, missing) = (plan.membership.names, plan.membership.missing)
    if let trouble = contacts.trouble {
      warnings.append(
        "\(trouble) The members of the fleet are those that the directory named last; nobody is removed."
      )
    }
    if !names.contains(name) {
      warnings.append(
        "The fleet's directory \(options.directory) does not name this host, \(name): keys fall to others until it does."
      )
    } else if missing.contains(name) {
      warnings.append(
        "The fleet's directory \(options.directory) names this host, \(name), no longer: after the grace it hands its keys over."
      )
    }
    for name in sharedNames {
      warnings.append(
        "Two hosts of the fleet have the name \(name): give each its own with --self.")
    }
    if missing.count * 2 >= names.count, names.count > 1 {
      warnings.append(
        "\(missing.count) of \(names.count) members of the fleet are missing: after the grace their keys are copied again "
          + "from hosts that are there, and what they have stored themselves stays.")
    }
    return warnings
  }

  /// Records what is counted.
  ///
  /// - Returns: the number of keys of the fleet.
  func recordKeys() -> Int {
    let counts = plan.counts
    metrics.keys(
      owned: counts.owned, leaving: counts.leaving, kept: counts.kept, all: keyCount,
      orphaned: plan.orphans.count)
    recordMembers()
    return keyCount
  }

  func recordMembers() {
    metrics.members(
      plan.membership.names.count, missing: plan.membership.missing.count,
      connected: connectedMembers)
  }

  private var keyCount: Int { plan.count }
}

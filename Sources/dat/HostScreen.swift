internal import DatCoding
internal import DatHost

/// A host's report as lines for people: at most 28 of 79 columns, four of them of a fleet.
struct HostScreen {
  /// The lines, with colours if the output has them.
  private(set) var lines: [String] = []

  private static let width = 79
  private static let indent = 10
  /// The most entries that are shown of each list.
  private static let shown = (incomplete: 3, peers: 3, warnings: 3)
  /// The most lines of one warning.
  private static let linesOfWarning = 3

  private let report: HostReport
  private let output: Output

  init(_ report: HostReport, _ output: Output) {
    self.report = report
    self.output = output
    addHead()
    addKeys()
    addFleet()
    addPeers()
    addResources()
    addWarnings()
  }

  // MARK: Parts

  private mutating func addHead() {
    let version = report.version.isEmpty ? "" : " \(report.version)"
    let name = "dat\(version), process \(report.process), running for \(Self.age(report.seconds))"
    lines.append(output.bold(Self.cut(name, to: Self.width)))
    add("folder", report.folder)
  }

  private mutating func addKeys() {
    let total = report.kinds.values.reduce(0, +)
    guard total > 0 else { return add("keys", "none; dat host add adds one") }
    add(
      "keys",
      "\(total): " + counts(report.kinds, HostedKind.allCases.map { ($0.rawValue, Self.noun($0)) }))
    add(
      "state",
      counts(
        report.states,
        [
          ("hosting", "open"), ("waiting", "waiting for a first peer"),
          ("queued", "waiting for a turn"),
          ("elsewhere", "held by other hosts"), ("failed", "not open"),
        ], isPlural: false))
    let open = report.states["hosting", default: 0]
    guard open > 0 else { return }
    add(
      "complete",
      "\(report.complete) of \(Amount.count(UInt64(max(open, 0)), "open key")): \(report.stored) of "
        + "\(Amount.count(report.length, "block")), \(Amount.count(UInt64(max(report.feeds, 0)), "feed"))"
    )
    for one in report.incomplete.prefix(Self.shown.incomplete) {
      add("", "\(Self.short(one.key))  \(one.stored) of \(one.length) blocks")
    }
    let hidden = open - report.complete - Self.shown.incomplete
    if hidden > 0 { add("", "and \(hidden) more; dat host list shows them") }
  }

  private mutating func addFleet() {
    guard let fleet = report.fleet else { return }
    let missing = fleet.missingCount == 0 ? "" : ", \(fleet.missingCount) of them missing"
    let members = Amount.count(UInt64(max(fleet.members, 0)), "member")
    add(
      "fleet",
      "\(members)\(missing), \(fleet.connected) connected; this is \(SafeText.line(fleet.name, limit: 40))"
    )
    if fleet.missingCount > 0 {
      let names = fleet.missing.prefix(Self.shown.peers).map { SafeText.line($0, limit: 60) }
      add("", "missing: \(names.joined(separator: ", "))")
    }
    add(
      "",
      "\(fleet.owned) of \(Amount.count(UInt64(max(fleet.keys, 0)), "key")) fall to it; "
        + "\(fleet.fetching) not complete, \(fleet.leaving) to hand over, \(fleet.kept) kept")
    if fleet.lostCount > 0 {
      add("", "\(fleet.lostCount) had their last copies on hosts that are gone")
    }
  }

  private mutating func addPeers() {
    guard report.connections > 0 else {
      return add("peers", "none connected; \(traffic)")
    }
    add(
      "peers",
      "\(Amount.count(UInt64(report.connections), "connection")) with "
        + "\(report.addresses == 1 ? "1 address" : "\(report.addresses) addresses"); \(traffic)")
    for peer in report.peers.prefix(Self.shown.peers) {
      add(
        "",
        "\(SafeText.line(peer.address, limit: 40))  "
          + "\(Amount.count(UInt64(max(peer.connections, 0)), "connection")) about "
          + Amount.count(UInt64(max(peer.keys, 0)), "key"))
    }
    let hidden = report.addresses - Self.shown.peers
    if hidden > 0 { add("", "and \(hidden) more") }
  }

  private var traffic: String {
    "received \(Amount.bytes(report.received)), sent \(Amount.bytes(report.sent))"
  }

  private mutating func addResources() {
    let quota = report.quota.map { ", of at most \(Amount.bytes($0))" } ?? ""
    add("disk", "\(Amount.bytes(report.diskUsed)) taken\(quota)")
    if let free = report.diskAvailable, let total = report.diskTotal,
      let reserve = report.diskReserve
    {
      add(
        "",
        "\(Amount.bytes(free)) of \(Amount.bytes(total)) free, \(Amount.bytes(reserve)) of it kept so"
      )
    }
    if let memory = report.memory {
      let own = report.ownMemory.map { ", \(Amount.bytes($0)) of it not from files" } ?? ""
      add("memory", "\(Amount.bytes(memory)) resident\(own)")
    }
    if let open = report.descriptors, let limit = report.descriptorLimit {
      add("files", "\(open) open, of at most \(limit)")
    }
  }

  private mutating func addWarnings() {
    guard report.warningCount > 0 else { return add("warnings", "none") }
    lines.append(output.bold(Self.label("warnings") + "\(report.warningCount)"))
    for warning in report.warnings.prefix(Self.shown.warnings) {
      let key = warning.key.map { Self.short($0) + ": " } ?? ""
      for line in Self.wrapped(key + SafeText.line(warning.sentence, limit: 600)) { add("", line) }
    }
    let hidden = report.warningCount - Self.shown.warnings
    if hidden > 0 { add("", "and \(hidden) more; dat host list shows those of keys") }
  }

  // MARK: Forms

  private mutating func add(_ label: String, _ text: String) {
    lines.append(output.dim(Self.label(label)) + Self.cut(text, to: Self.width - Self.indent))
  }

  /// Returns a text on one line of at most so many letters, with a mark where it was cut.
  private static func cut(_ text: String, to width: Int) -> String {
    // Escapes take more columns than what they stand for.
    let whole = SafeText.line(text, limit: width)
    return whole.count <= width ? whole : "\(whole.prefix(width - 4)) […]"
  }

  private static func label(_ label: String) -> String {
    label + String(repeating: " ", count: max(1, indent - label.count))
  }

  private func counts(
    _ counts: [String: Int], _ names: [(key: String, noun: String)], isPlural: Bool = true
  ) -> String {
    names.compactMap { key, noun in
      guard let count = counts[key], count > 0 else { return nil }
      return isPlural ? Amount.count(UInt64(count), noun) : "\(count) \(noun)"
    }.joined(separator: ", ")
  }

  private static func noun(_ kind: HostedKind) -> String {
    switch kind {
    case .room: "room"
    case .database: "database"
    case .feed: "feed"
    case .archive: "archive"
    case .unknown: "unknown key"
    }
  }

  /// Returns a key such as `room:4c1f09a2…`.
  private static func short(_ key: String) -> String {
    let text = SafeText.line(key, limit: 80)
    guard let colon = text.firstIndex(of: ":"), text.utf8.count > 20 else { return text }
    return "\(text[...colon])\(text[text.index(after: colon)...].prefix(8))…"
  }

  /// Returns a duration such as `3 days, 4:05:06`.
  static func age(_ seconds: Double) -> String {
    let whole = Int64(clamping: seconds.isFinite ? UInt64(min(max(seconds, 0), 1e15)) : 0)
    let rest = Amount.time(.seconds(whole % 86_400))
    let days = UInt64(whole / 86_400)
    return days == 0 ? rest : "\(Amount.count(days, "day")), \(rest)"
  }

  /// Returns a text in lines that fit beside the labels.
  private static func wrapped(_ text: String) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty, line.count + 1 + word.count > width - indent {
        lines.append(line)
        line = ""
      }
      line += line.isEmpty ? String(word) : " \(word)"
    }
    lines.append(line)
    guard lines.count > linesOfWarning else { return lines }
    return lines.prefix(linesOfWarning - 1) + [lines[linesOfWarning - 1] + " …"]
  }
}

extension HostReport {
  /// The report for programs.
  var json: JSON {
    .members([
      ("version", .string(version)), ("folder", .string(folder)),
      ("process", .integer(Int64(process))),
      ("seconds", .integer(Int64(min(max(seconds.isFinite ? seconds : 0, 0), 1e15)))),
      ("keys", Self.counts(HostedKind.allCases.map(\.rawValue), kinds)),
      ("states", Self.counts(["hosting", "waiting", "queued", "elsewhere", "failed"], states)),
      ("feeds", .integer(Int64(feeds))), ("length", Self.number(length)),
      ("stored", Self.number(stored)), ("complete", .integer(Int64(complete))),
      ("incomplete", .array(incomplete.map(Self.json))),
      ("connections", .integer(Int64(connections))), ("addresses", .integer(Int64(addresses))),
      ("peers", .array(peers.map(Self.json))),
      ("received", Self.number(received)), ("sent", Self.number(sent)),
      ("fleet", fleet.map(Self.json) ?? .null),
      ("disk", disk),
      ("memory", .members([("resident", Self.number(memory)), ("own", Self.number(ownMemory))])),
      (
        "descriptors",
        .members([("open", Self.number(descriptors)), ("limit", Self.number(descriptorLimit))])
      ),
      ("warnings", .array(warnings.map(Self.json))),
      ("warningCount", .integer(Int64(warningCount))),
    ])
  }

  private var disk: JSON {
    .members([
      ("used", Self.number(diskUsed)), ("quota", Self.number(quota)),
      ("available", Self.number(diskAvailable)), ("total", Self.number(diskTotal)),
      ("reserve", Self.number(diskReserve)),
    ])
  }

  private static func json(_ one: Incomplete) -> JSON {
    .members([
      ("key", .string(one.key)), ("stored", number(one.stored)), ("length", number(one.length)),
    ])
  }

  private static func json(_ fleet: FleetReport) -> JSON {
    .members([
      ("name", .string(fleet.name)), ("members", .integer(Int64(fleet.members))),
      ("missing", .array(fleet.missing.map { .string($0) })),
      ("missingCount", .integer(Int64(fleet.missingCount))),
      ("connected", .integer(Int64(fleet.connected))), ("keys", .integer(Int64(fleet.keys))),
      ("owned", .integer(Int64(fleet.owned))), ("leaving", .integer(Int64(fleet.leaving))),
      ("kept", .integer(Int64(fleet.kept))), ("fetching", .integer(Int64(fleet.fetching))),
      (
        "lost",
        .array(
          fleet.lost.map {
            .members([
              ("key", .string($0.key)), ("hosts", .array($0.hosts.map { .string($0) })),
            ])
          })
      ),
      ("lostCount", .integer(Int64(fleet.lostCount))),
      ("trouble", fleet.trouble.map { .string($0) } ?? .null),
    ])
  }

  private static func json(_ peer: Peer) -> JSON {
    .members([
      ("address", .string(peer.address)), ("connections", .integer(Int64(peer.connections))),
      ("keys", .integer(Int64(peer.keys))),
    ])
  }

  private static func json(_ warning: Warning) -> JSON {
    .members([
      ("key", warning.key.map { .string($0) } ?? .null), ("sentence", .string(warning.sentence)),
    ])
  }

  private static func number(_ value: (some BinaryInteger)?) -> JSON {
    value.map { .integer(Int64(clamping: $0)) } ?? .null
  }

  private static func counts(_ names: [String], _ counts: [String: Int]) -> JSON {
    .members(names.map { ($0, .integer(Int64(counts[$0, default: 0]))) })
  }
}

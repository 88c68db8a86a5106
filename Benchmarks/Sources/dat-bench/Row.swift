/// One line of the table.
struct Row: Sendable {
  let name: String
  let unit: String
  /// The project's goal, on the machine on which the goals were set.
  let goal: Double?
  /// The row of ``Limits`` that bounds it.
  let limit: String?
  /// True if it is left out of `--quick`, and run once.
  let isHeavy: Bool
  /// Returns one run's value; several if a run measures several things.
  let measure: @Sendable (Settings) async throws -> [Sample]

  init(
    _ name: String, goal: Double? = nil, unit: String = "/s", limit: String? = nil,
    isHeavy: Bool = false, _ measure: @escaping @Sendable (Settings) async throws -> Double
  ) {
    self.name = name
    self.unit = unit
    self.goal = goal
    self.limit = limit
    self.isHeavy = isHeavy
    self.measure = { [Sample(name: name, value: try await measure($0), unit: unit)] }
  }

  /// Creates a row that measures several numbers in one run.
  init(
    group name: String, isHeavy: Bool = false,
    samples: @escaping @Sendable (Settings) async throws -> [Sample]
  ) {
    self.name = name
    unit = ""
    goal = nil
    limit = nil
    self.isHeavy = isHeavy
    measure = samples
  }

  static let all: [Row] =
    FeedRows.all + SyncedRows.all + WireRows.all + ReplicationRows.all + IdleRows.all
    + DatabaseRows.all + DatabaseMemoryRows.all + RoomRows.all + ArchiveRows.all + DistanceRows.all
    + GrowthRows.all
}

/// Goals and limits of the numbers that come in groups.
enum Goals {
  static let goals: [String: Double] = [
    "room.join": 0.12, "room.join.memory": 60, "room.live": 0.25, "room.live.p99": 1,
    "archive.import.small.memory": 64, "archive.import.large.memory": 64,
    "archive.clone.small.memory": 64, "archive.clone.large.memory": 64,
    "archive.list.import.memory": 64, "archive.list.root": 50, "archive.list.root.memory": 64,
    "archive.list.folder": 50, "archive.list.folder.memory": 64, "archive.list.all": 1000,
    "archive.list.all.memory": 64, "archive.list.root.link": 500,
    "archive.list.root.link.memory": 64, "archive.list.root.link.blocks": 1000,
    "archive.list.folder.link": 500, "archive.list.folder.link.memory": 64,
    "archive.list.folder.link.blocks": 1000,
  ]

  static let limits = [
    "archive.import.large": "limit.blake2b_64k", "archive.clone.large": "limit.blake2b_64k",
  ]
}

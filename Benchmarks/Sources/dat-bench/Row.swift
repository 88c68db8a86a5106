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
    FeedRows.all + WireRows.all + ReplicationRows.all + DatabaseRows.all
    + DatabaseMemoryRows.all + RoomRows.all
}

/// Goals and limits of the numbers that come in groups.
enum Goals {
  static let goals: [String: Double] = [
    "room.join": 0.15, "room.join.memory": 60, "room.live": 0.3,
  ]
}

internal import CCosts

/// The average cost of one unit of some work, by the name of what is counted.
typealias Cost = [String: Double]

/// The names of what is counted, in the order in which they are printed.
let countedNames = [
  "allocations", "allocated", "copied", "reads", "writes", "syncs", "others", "received", "sent",
  "waits",
]

/// Counts what `body` does, in all threads.
///
/// - Parameter units: the number of units of work that it does.
func cost(of units: Int, _ body: () async throws -> Void) async rethrows -> Cost {
  dat_costs_start()
  defer { _ = dat_costs_stop() }
  try await body()
  return average(dat_costs_stop(), of: units)
}

/// The same for work in this thread.
func counted(_ units: Int, _ body: () throws -> Void) rethrows -> Cost {
  dat_costs_start()
  defer { _ = dat_costs_stop() }
  try body()
  return average(dat_costs_stop(), of: units)
}

private func average(_ counts: dat_costs, of units: Int) -> Cost {
  let values = [
    counts.allocations, counts.allocated, counts.copied, counts.reads, counts.writes, counts.syncs,
    counts.others, counts.received, counts.sent, counts.waits,
  ]
  var cost: Cost = [:]
  for (name, value) in zip(countedNames, values) where value > 0 {
    // To three digits after the point, as the table has it.
    cost[name] = (Double(value) / Double(units) * 1000).rounded() / 1000
  }
  return cost
}

/// A piece of work and its name in the table.
struct CostRow: Sendable {
  let name: String
  let measure: @Sendable () async throws -> Cost

  init(_ name: String, _ measure: @escaping @Sendable () async throws -> Cost) {
    self.name = name
    self.measure = measure
  }

  /// The least of several measurements, each count for itself: what the runtime's other threads do meanwhile
  /// only adds to them.
  ///
  /// - Parameter isEnough: ends it before the last.
  func least(isEnough: (Cost) -> Bool = { _ in false }) async throws -> Cost {
    var least = try await measure()
    for _ in 0..<3 where !isEnough(least) {
      let next = try await measure()
      least = least.merging(next) { min($0, $1) }.filter { next[$0.key] != nil }
    }
    return least
  }
}

/// The failure of a row's own work: its numbers would mean nothing.
struct CostFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Blocks of `size` bytes, each with other bytes.
func blocks(_ count: Int, size: Int = 100) -> [[UInt8]] {
  (0..<count).map { number in
    (0..<size).map { UInt8(truncatingIfNeeded: number &* 31 &+ $0) }
  }
}

internal import CCosts
internal import Foundation

/// Counts what one unit of each kind of work costs: memory, copies and system calls.
///
/// `dat-costs` prints the rows; `dat-costs check TABLE` compares them with a table and fails if one is above it
/// by more than the table tolerates; `dat-costs renew TABLE` writes those of this build into it; `dat-costs list`
/// names the rows. `--only ROW` takes one row alone.
@main
struct Main {
  static func main() async throws {
    beginAgain()
    var arguments = Array(CommandLine.arguments.dropFirst())
    var rows = FeedCosts.all + DatabaseCosts.all + WireCosts.all + RoomCosts.all
    if let option = arguments.firstIndex(of: "--only"), option + 1 < arguments.count {
      let name = arguments[option + 1]
      arguments.removeSubrange(option...option + 1)
      rows.removeAll { $0.name != name }
    }
    guard !rows.isEmpty else { fail("There is no such row.") }
    guard dat_costs_work() == 1 else { fail("Nothing is counted on this system: use glibc.") }
    switch (arguments.first, arguments.count) {
    case (nil, _):
      for row in rows { print("\"\(row.name)\": \(text(try await row.measure()))") }
    case ("list", 1): for row in rows { print(row.name) }
    case ("check", 2): try await check(rows, CostTable(path: arguments[1]))
    case ("renew", 2): try await renew(rows, arguments[1])
    default: fail("dat-costs [check TABLE | renew TABLE | list] [--only ROW]")
    }
  }

  private static func check(_ rows: [CostRow], _ table: CostTable) async throws {
    var isWorse = false
    for row in rows {
      let cost = try await row.least { table.complaints(about: row.name, $0).isEmpty }
      let complaints = table.complaints(about: row.name, cost)
      guard !complaints.isEmpty else { continue }
      isWorse = true
      for complaint in complaints { print(complaint) }
      print("its new row: \"\(row.name)\": \(text(cost))")
    }
    if isWorse { fail("If that is meant, `make costs` writes the table anew.") }
  }

  private static func renew(_ rows: [CostRow], _ path: String) async throws {
    var table = try CostTable(path: path)
    for row in rows {
      let cost = try await row.least()
      table.costs[CostTable.build, default: [:]][row.name] = cost
      print("\"\(row.name)\": \(text(cost))")
    }
    try table.write(to: path)
  }

  /// Starts this program anew with a hash that has no seed, so that dictionaries do the same each time.
  private static func beginAgain() {
    guard getenv("SWIFT_DETERMINISTIC_HASHING") == nil else { return }
    setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
    var arguments = CommandLine.arguments.map { strdup($0) }
    arguments.append(nil)
    execv("/proc/self/exe", arguments)
  }

  private static func fail(_ sentence: String) -> Never {
    FileHandle.standardError.write(Data((sentence + "\n").utf8))
    exit(1)
  }
}

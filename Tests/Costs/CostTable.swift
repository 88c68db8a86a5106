internal import Foundation

/// The committed costs, and how far a new one may be above them.
struct CostTable: Codable {
  /// By what is counted: the part by which a cost may grow, and the amount beside it.
  var tolerances: [String: [Double]]
  /// By row: the factor for its tolerances, if what it does depends on the scheduler.
  var looseRows: [String: Double]
  /// By kind of build, `debug` and `release`: the costs of each row.
  var costs: [String: [String: Cost]]

  /// The kind of this build.
  static var build: String {
    #if DEBUG
      "debug"
    #else
      "release"
    #endif
  }

  init(path: String) throws {
    self = try JSONDecoder().decode(
      CostTable.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
  }

  /// The sentences about `cost` that is above the table's by more than the tolerance; empty if none is.
  func complaints(about row: String, _ cost: Cost) -> [String] {
    guard let known = costs[Self.build]?[row] else { return ["\(row) is not in the table"] }
    return countedNames.compactMap { name in
      let (old, new) = (known[name] ?? 0, cost[name] ?? 0)
      let tolerance = tolerances[name] ?? [0, 0]
      let factor = looseRows[row] ?? 1
      let most = old * (1 + factor * tolerance[0]) + factor * tolerance[1]
      return new > most ? "\(row): \(name) \(new), at most \(most), were \(old)" : nil
    }
  }

  /// Writes the table, a row a line, so that a change of one is a change of one line.
  func write(to path: String) throws {
    var lines = ["{", "  \"tolerances\": {"]
    lines += joined(
      countedNames.compactMap { name in
        tolerances[name].map { "    \"\(name)\": [\($0[0]), \($0[1])]" }
      })
    lines += ["  },", "  \"looseRows\": {"]
    lines += joined(looseRows.sorted { $0.key < $1.key }.map { "    \"\($0.key)\": \($0.value)" })
    lines += ["  },", "  \"costs\": {"]
    let builds = costs.sorted { $0.key < $1.key }
    for (number, (build, rows)) in builds.enumerated() {
      lines.append("    \"\(build)\": {")
      lines += joined(
        rows.sorted { $0.key < $1.key }.map { "      \"\($0.key)\": \(text($0.value))" })
      lines.append(number + 1 < builds.count ? "    }," : "    }")
    }
    lines += ["  }", "}", ""]
    try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
  }

  private func joined(_ lines: [String]) -> [String] {
    lines.enumerated().map { $0 + 1 < lines.count ? $1 + "," : $1 }
  }
}

/// A cost as a JSON object.
func text(_ cost: Cost) -> String {
  "{"
    + countedNames.compactMap { name in cost[name].map { "\"\(name)\": \($0)" } }
    .joined(separator: ", ") + "}"
}

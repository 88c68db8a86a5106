internal import Foundation

/// Prints the results for people.
struct Table {
  var limits: [String: Sample] = [:]

  func header() -> String {
    Self.line(["row", "this", "goal", "of goal", "of limit", "Node", "times Node"])
  }

  func line(_ sample: Sample, goal: Double?, limit: String?, node: Sample?) -> String {
    let goal = goal ?? Goals.goals[sample.name]
    let reached = goal.map { sample.isCost ? $0 / sample.value : sample.value / $0 }
    let bound = limit ?? Goals.limits[sample.name]
    let ofLimit = bound.flatMap { limits[$0] }.map { sample.value / $0.value }
    let ratio = node.map { sample.isCost ? $0.value / sample.value : sample.value / $0.value }
    return Self.line([
      sample.name, Self.number(sample.value, sample.unit),
      goal.map { Self.number($0, sample.unit) } ?? "", Self.percent(reached),
      Self.percent(ofLimit), node.map { Self.number($0.value, $0.unit) } ?? "",
      ratio.map { String(format: "%.1f×", $0) } ?? "",
    ])
  }

  static func percent(_ value: Double?) -> String {
    value.map { String(format: "%.0f %%", $0 * 100) } ?? ""
  }

  static func number(_ value: Double, _ unit: String) -> String {
    if value >= 1000 {
      var digits = String(Int(value >= 100_000 ? (value / 1000).rounded() * 1000 : value.rounded()))
      var place = digits.count - 3
      while place > 0 {
        digits.insert(",", at: digits.index(digits.startIndex, offsetBy: place))
        place -= 3
      }
      return "\(digits) \(unit)"
    }
    return String(format: value >= 100 ? "%.0f %@" : "%.3g %@", value, unit)
  }

  private static func line(_ cells: [String]) -> String {
    "| " + cells.joined(separator: " | ") + " |"
  }
}

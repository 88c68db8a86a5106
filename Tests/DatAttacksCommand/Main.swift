internal import DatAttacks
internal import Foundation

/// `dat-attacks [--node] [ROW...]`: carries out the attacks and prints the table.
@main
struct Main {
  static func main() async {
    var rows = CommandLine.arguments.dropFirst()
    let isNode = rows.first == "--node"
    if isNode { rows.removeFirst() }
    let wanted = Set(rows.compactMap { Int($0) })
    guard wanted.count == rows.count else {
      FileHandle.standardError.write(Data("usage: dat-attacks [--node] [ROW...]\n".utf8))
      exit(2)
    }
    let attacks = Attack.all.filter {
      (wanted.isEmpty || wanted.contains($0.row)) && (!isNode || $0.isForNode)
    }
    print("| row | attack | \(isNode ? "reference" : "held") | memory | cpu | time |")
    print("| --- | --- | --- | --- | --- | --- |")
    var failed = 0
    for attack in attacks {
      let result = await attack.result(against: isNode ? .node : .dat)
      if !result.isHeld { failed += 1 }
      print(line(result))
      fflush(nil)
    }
    if !isNode {
      for (row, name, place) in Attack.elsewhere where wanted.isEmpty || wanted.contains(row) {
        print("| \(row) | \(name) | in \(place) | - | - | - |")
      }
    }
    // The reference is there for contrast: what it does not hold is not a failure of ours.
    exit(failed == 0 || isNode ? 0 : 1)
  }

  private static func line(_ result: AttackResult) -> String {
    let held = result.isHeld ? "yes" : "**no**: \(result.detail.prefix(200))"
    let memory = result.cost.memory.map { "\(String(format: "%.1f", Double($0) / 1_048_576)) MiB" }
    let cpu = result.cost.cpu.map { "\(String(format: "%.2f", $0)) s" }
    let time = String(format: "%.1f s", result.cost.time)
    return "| \(result.attack.row) | \(result.attack.name) | \(held) | \(memory ?? "-") | "
      + "\(cpu ?? "-") | \(time) |"
  }
}

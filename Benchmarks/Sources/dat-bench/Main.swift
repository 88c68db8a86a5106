internal import Foundation

/// Measures this project, and Node's packages beside it.
@main
enum Bench {
  static let usage = """
    dat-bench [--filter TEXT]... [--quick] [--synced] [--json] [--swift-only] [--runs N]
              [--interop FOLDER] [--cpu] [--list]
      --filter      only rows whose name contains TEXT
      --quick       a tenth of the work, and no row that takes minutes
      --synced      appends and puts count once they are on the disk; Node has no such mode
      --json        one object a line, {name, value, unit}, and limit where one bounds it
      --swift-only  without the Node side
      --cpu         by the time that processors worked instead of the clock's, for a busy machine
      --runs        how often each row is run; the median counts (3)
      --interop     where the Node side is (../Interop/bench)
    """

  static func main() async {
    signal(SIGPIPE, SIG_IGN)
    // Off the main thread, from which every call would change threads twice.
    await Task.detached { await start() }.value
  }

  private static func start() async {
    do {
      let arguments = Array(CommandLine.arguments.dropFirst())
      if arguments.first == "peer" {
        try await Peer.run(Array(arguments.dropFirst()))
        exit(0)
      }
      try await run(arguments)
      Scratch.removeAll()
    } catch {
      Scratch.removeAll()
      FileHandle.standardError.write(Data("\(error)\n".utf8))
      exit(1)
    }
  }

  private static func run(_ arguments: [String]) async throws {
    var settings = Settings()
    var filters: [String] = []
    var isJSON = false
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      switch argument {
      case "--filter": filters.append(rest.popFirst() ?? "")
      case "--quick":
        settings.isQuick = true
        settings.runs = 1
      case "--synced": settings.isSynced = true
      case "--json": isJSON = true
      case "--swift-only": settings.isSwiftOnly = true
      case "--runs": settings.runs = rest.popFirst().flatMap { Int($0) } ?? 3
      case "--interop": settings.interop = rest.popFirst()
      case "--cpu": setenv(Memory.cpuSwitch, "1", 1)
      case "--list": return print(Row.all.map(\.name).joined(separator: "\n"))
      default: throw BenchFailure(usage)
      }
    }
    let rows = Row.all.filter { row in
      (filters.isEmpty && !(settings.isQuick && row.isHeavy))
        || filters.contains { row.name.contains($0) }
    }
    if settings.isSynced { settings.isSwiftOnly = true }
    let node = NodeSide(settings)
    var table = Table()
    for limit in try await Limits.measure(settings) {
      table.limits[limit.name] = limit
      tell(isJSON ? limit.json() : "\(limit.name): \(Table.number(limit.value, limit.unit))")
    }
    if !isJSON {
      if let absence = node.absence { tell(absence) }
      tell(table.header())
      tell("| --- | --- | --- | --- | --- | --- | --- |")
    }
    for row in rows {
      let ours = try await measure(row, settings)
      let theirs = try node.measure(row.name, settings)
      for sample in ours {
        let other = theirs.first { $0.name == sample.name }
        if isJSON {
          tell(sample.json(limit: row.limit ?? Goals.limits[sample.name]))
          if var other {
            other.name = "node." + other.name
            tell(other.json())
          }
        } else {
          tell(table.line(sample, goal: row.goal, limit: row.limit, node: other))
        }
      }
    }
  }

  /// Prints a line at once, even into a file.
  private static func tell(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
  }

  /// The median of each number over the runs.
  private static func measure(_ row: Row, _ settings: Settings) async throws -> [Sample] {
    var runs: [[Sample]] = []
    for _ in 0..<(row.isHeavy ? 1 : settings.runs) { runs.append(try await row.measure(settings)) }
    return runs[0].indices.map { place in
      var sample = runs[0][place]
      sample.value = runs.map { $0[place].value }.median
      return sample
    }
  }
}

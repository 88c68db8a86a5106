import DatTesting
import Foundation
import Testing

/// True if costs are counted here: with glibc, and without a sanitizer.
private let areCounted: Bool = {
  #if canImport(Glibc)
    !isSanitized
  #else
    false
  #endif
}()

/// Memory, copies and system calls of each kind of work, beside the committed table.
@Suite(.timeLimit(.minutes(5)), .enabled(if: areCounted)) struct CostTests {
  private static let program = DatProcess.executable.deletingLastPathComponent()
    .appendingPathComponent("dat-costs")
  private static let table = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Costs/Costs.json")

  /// The rows of the table, for this kind of build.
  static let rows: [String] = {
    let value = (try? Data(contentsOf: table)).flatMap { try? JSONValue(bytes: Array($0)) }
    guard case .object(let all) = value, case .object(let costs) = all["costs"],
      case .object(let rows) = costs["debug"]
    else { return [] }
    return rows.keys.sorted()
  }()

  // Each in a process of its own, which is short on a busy machine as well.
  @Test(arguments: CostTests.rows)
  func `a kind of work costs no more than the table says`(row: String) async throws {
    let (status, output) = try await run(["check", Self.table.path, "--only", row])
    #expect(status == 0, "\(output)")
  }

  @Test func `every kind of work that is counted has its row`() async throws {
    let (status, output) = try await run(["list"])
    #expect(status == 0)
    #expect(output.split(separator: "\n").map(String.init).sorted() == Self.rows)
  }

  @Test func `a cost above the table is noticed, and its new row is printed`() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/table.json"
    let table = try String(contentsOf: Self.table, encoding: .utf8)
    let cheaper = table.replacingOccurrences(
      of: #""get": \{"allocations": [0-9.]+"#, with: #""get": {"allocations": 0.0"#,
      options: .regularExpression)
    try cheaper.write(toFile: path, atomically: true, encoding: .utf8)
    let (status, output) = try await run(["check", path, "--only", "get"])
    #expect(status == 1)
    #expect(output.contains("get: allocations "))
    #expect(output.contains(#"its new row: "get": {"allocations": "#))
    #expect(output.contains("make costs"))
  }

  private func run(_ arguments: [String]) async throws -> (status: Int32, output: String) {
    try #require(
      FileManager.default.fileExists(atPath: Self.program.path),
      "build it first: swift build --product dat-costs")
    let process = try await DatProcess(arguments, executable: Self.program)
    await process.closeInput()
    let status = await process.status()
    return (status, await (process.lines + [process.errorText]).joined(separator: "\n"))
  }
}

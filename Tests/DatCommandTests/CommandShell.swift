import DatTesting
import Foundation

/// Lines of a shell that run the built command, `dat`, with what a user may do to its input and output.
///
/// Each runs in a folder of its own with a feed `log`, a database `people`, a room `room`, an archive `site`
/// and a host's folder `hosted`.
struct CommandShell {
  /// The result of a line of the shell.
  struct Result {
    var status: Int32
    var lines: [String]
    var errors: String
    /// The new names in the folder.
    var newNames: [String]
    /// The changes to the files that were there before.
    var changed: [String]
  }

  /// True if the tests may act as another user.
  static let isRoot = geteuid() == 0

  private static let model = Task { try await Model() }

  /// The folder from which all start, made once.
  private struct Model {
    let folder: TemporaryFolder

    init() async throws {
      folder = try TemporaryFolder()
      let script = """
        set -e
        printf 'one\\ntwo\\nthree\\n' | dat feed append log
        dat db put people ana/city '"Lima"'
        dat chat room --name ana --no-lan < /dev/null
        mkdir -p hosted/replicas plain site
        echo a > site/a.txt
        dat create site
        echo '["a"]' > file
        """
      let made = try await CommandShell.start(script, in: folder.path)
      guard made.status == 0 else { throw Failure(errors: made.errors) }
    }

    struct Failure: Error { let errors: String }
  }

  /// Runs a line of bash in a fresh copy of the folder.
  static func run(_ script: String, environment: [String: String] = [:]) async throws -> Result {
    let folder = try TemporaryFolder()
    let copy = folder.path + "/at"
    try FileManager.default.copyItem(
      at: try await model.value.folder.url, to: URL(fileURLWithPath: copy))
    // Without its markers the folder does not count as a copy.
    for name in try FileManager.default.subpathsOfDirectory(atPath: copy)
    where name.hasSuffix("/marker") {
      try FileManager.default.removeItem(atPath: "\(copy)/\(name)")
    }
    let before = try contents(of: copy)
    var result = try await start(script, in: copy, environment: environment)
    let after = try contents(of: copy)
    result.newNames = Set(after.keys).subtracting(before.keys).filter { !$0.hasSuffix("/marker") }
      .sorted()
    result.changed = before.filter { after[$0.key] != $0.value }.map(\.key).sorted()
    return result
  }

  private static func start(
    _ script: String, in folder: String, environment: [String: String] = [:]
  ) async throws -> Result {
    let program = DatProcess.executable.deletingLastPathComponent().path
    let process = try await DatProcess(
      ["-c", "cd \(folder) && { \(script)\n}"],
      environment: environment.merging([
        "PATH": program + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
      ]) { $1 }, executable: URL(fileURLWithPath: "/bin/bash"))
    await process.closeInput()
    let status = await process.status()
    return Result(
      status: status, lines: await process.lines, errors: await process.errorText, newNames: [],
      changed: [])
  }

  private static func contents(of path: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: path) {
      files[name] = (try? Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)"))) ?? Data()
    }
    return files
  }
}

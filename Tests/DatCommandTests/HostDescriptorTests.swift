import DatTesting
import Foundation
import HypercoreCrypto
import Testing

/// A host with a low limit on open files.
@Suite(.serialized, .timeLimit(.minutes(2))) struct HostDescriptorTests {
  let folder: TemporaryFolder
  /// The descriptors that a host takes in any case: its sockets take four for each processor.
  private static let least = 36 + 4 * ProcessInfo.processInfo.activeProcessorCount

  init() throws { folder = try TemporaryFolder() }

  private func host(_ keys: Int, files: Int, _ name: String) async throws -> DatProcess {
    let list = (0..<keys).map { _ in "feed:\(KeyPair.generate().publicKey.hex)" }
    return try await DatProcess(
      [
        "-c", "ulimit -n \(files) && exec \"$0\" \"$@\"", DatProcess.executable.path, "host",
        folder.path + "/" + name, "--listen", "127.0.0.1:0", "--no-lan", "--json",
      ] + list, executable: URL(fileURLWithPath: "/bin/sh"))
  }

  @Test func `keys beyond the descriptors wait, none fails, and the numbers are true`() async throws
  {
    let process = try await host(120, files: Self.least + 116, "few")
    try await process.line(containing: #""event":"ready""#)
    let result = try await DatProcess.run(
      ["host", "list", "--dir", folder.path + "/few", "--json"])
    let states = result.lines.compactMap { line in
      (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["state"]
        as? String
    }
    #expect(states.count == 120)
    let open = states.count { $0 == "hosting" || $0 == "waiting" }
    #expect(!states.contains("failed"))
    #expect(states.count { $0 == "queued" } == 120 - open)
    #expect((1..<120).contains(open))
    await process.signal(SIGTERM)
    #expect(await process.status() == 0)
    #expect(await !process.errorText.contains("could not be opened"))
  }

  @Test func `a signal ends a host that can open hardly anything, and one that is still opening`()
    async throws
  {
    for files in [Self.least + 20, Self.least + 4] {
      let process = try await host(40, files: files, "least-\(files)")
      try await process.line(containing: #""event":"ready""#)
      await process.signal(SIGTERM)
      #expect(await process.status() == 0)
    }
    let process = try await host(400, files: 4096, "opening")
    try await process.line(containing: #""event":"listening""#)
    await process.signal(SIGINT)
    #expect(await process.status() == 0)
  }
}

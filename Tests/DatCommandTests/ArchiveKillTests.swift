import DatTesting
import Foundation
import Testing

/// Imports, clones and pulls that are killed anywhere and continued. `KILLS=100` kills more often.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ArchiveKillTests {
  private var kills: Int {
    ProcessInfo.processInfo.environment["KILLS"].flatMap { Int($0) } ?? 8
  }

  private func fill(_ folder: URL, _ random: inout SeededRandom, files: Int) throws {
    for number in 0..<files {
      let url = folder.appendingPathComponent("\(number % 7)/\(number)")
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      let size = number % 40 == 0 ? 400_000 : Int.random(in: 0...3000, using: &random)
      try Data(random.bytes(size)).write(to: url)
    }
  }

  /// Returns the files below a folder, except those in `.dat`.
  private func contents(_ folder: URL) throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for name in (try? FileManager.default.subpathsOfDirectory(atPath: folder.path)) ?? []
    where !name.hasPrefix(".dat") {
      let url = folder.appendingPathComponent(name)
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
      if !isFolder.boolValue { contents[name] = try Data(contentsOf: url) }
    }
    return contents
  }

  @Test(arguments: testSeeds(standard: 1))
  func `what is killed anywhere goes on where it was, and no file is ever in part`(_ seed: UInt64)
    async throws
  {
    var random = SeededRandom(seed: seed)
    let world = try TemporaryFolder()
    let site = world.url.appendingPathComponent("site")
    let copy = world.url.appendingPathComponent("copy")
    let environment = ["HOME": world.path]
    try fill(site, &random, files: 300)
    for _ in 0..<kills {
      let process = try await DatProcess(
        ["share", site.path, "--listen", "127.0.0.1:0"], environment: environment)
      try await Task.sleep(for: .milliseconds(Int.random(in: 20...250, using: &random)))
      await process.signal(SIGKILL)
      _ = await process.status()
      // Something changes in between.
      try fill(site, &random, files: 20)
    }
    let source = try contents(site)
    let share = try await DatProcess(
      ["share", site.path, "--json", "--listen", "127.0.0.1:0", "--no-watch"],
      environment: environment)
    let listening = try await share.line(containing: "\"listening\"")
    let imported = try await share.line(containing: "\"imported\"")
    let port = try #require(listening.components(separatedBy: ":").last).filter(\.isNumber)
    let key = try #require(imported.components(separatedBy: "\"").first { $0.count == 64 })
    for round in 0..<kills {
      let command = round == 0 ? ["clone", "dat://\(key)", copy.path] : ["pull", copy.path]
      let process = try await DatProcess(
        command + ["--connect", "127.0.0.1:\(port)"], environment: environment)
      try await Task.sleep(for: .milliseconds(Int.random(in: 20...300, using: &random)))
      await process.signal(SIGKILL)
      _ = await process.status()
      if round == 0, !FileManager.default.fileExists(atPath: copy.path + "/.dat/metadata.key") {
        // It was killed before there was anything to go on from.
        let (status, _, errors) = try await DatProcess.run(
          command + ["--connect", "127.0.0.1:\(port)"], environment: environment)
        #expect(status == 0, "\(errors)")
      }
      for (name, bytes) in try contents(copy) {
        #expect(bytes == source[name], "seed \(seed): \(name)")
      }
    }
    let (status, _, errors) = try await DatProcess.run(
      ["pull", copy.path, "--connect", "127.0.0.1:\(port)"], environment: environment)
    #expect(status == 0, "\(errors)")
    #expect(try contents(copy) == source, "seed \(seed)")
    #expect(!FileManager.default.fileExists(atPath: site.path + "/.dat/metadata.fork.json"))
    let (_, lines, _) = try await DatProcess.run(
      ["log", site.path, "--json"], environment: environment)
    #expect(Set(lines).count == lines.count)
    await share.signal(SIGTERM)
    #expect(await share.status() == 0)
  }
}

import DatTesting
import Foundation
import Testing

@testable import dat

/// The name that is asked for once, and the file that keeps it.
@Suite(.timeLimit(.minutes(2))) struct SettingsTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private var environment: [String: String] { ["XDG_CONFIG_HOME": folder.path + "/config"] }
  private var file: String { folder.path + "/config/dat/settings.json" }

  @Test func `a terminal asks for the name once and remembers it`() async throws {
    let first = try await TerminalProcess(
      ["chat", folder.path + "/one", "--no-lan", "--no-dht"], environment: environment)
    try await first.row(containing: "Which name should others see?")
    await first.type("  \r")
    try await first.row(containing: "A name has")
    await first.type("Ana María\r")
    try await first.row(containing: "It is noted in")
    try await first.prompt(">")
    await first.type("\u{4}")
    #expect(await first.status() == 0)
    #expect(try Settings(URL(fileURLWithPath: file)).name == "Ana María")
    let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
    #expect(mode == 0o600)

    let second = try await TerminalProcess(
      ["chat", folder.path + "/two", "--no-lan", "--no-dht"], environment: environment)
    try await second.prompt(">")
    #expect(await !second.screen.allRows.contains { $0.contains("Which name") })
    await second.type("hello\r")
    try await second.row(containing: "Ana María: hello")
    await second.type("\u{4}")
    #expect(await second.status() == 0)
  }

  @Test func `a room keeps the name it was made with`() async throws {
    let room = folder.path + "/room"
    let making = try await DatProcess.run(
      ["chat", room, "--name", "bea", "--no-lan"], environment: environment)
    #expect(making.status == 0)
    let process = try await DatProcess(
      ["chat", room, "--no-lan", "--json"], environment: environment)
    await process.send("hello")
    try await process.line(containing: #""username":"bea""#)
    await process.closeInput()
    #expect(await process.status() == 0)
  }

  @Test func `without a name and a terminal a sentence says what to give`() async throws {
    let result = try await DatProcess.run(
      ["chat", folder.path + "/room", "--no-lan"], environment: environment)
    #expect(result.status == 64)
    #expect(result.errors.contains("give --name NAME"))
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/room"))
  }

  @Test(arguments: ["{", "[]", #"{"name": 5}"#, #"{"name": " "}"#, "\u{0}"])
  func `settings that can't be read are a sentence, and not needed with a name`(
    _ content: String
  ) async throws {
    let path = URL(fileURLWithPath: file)
    try FileManager.default.createDirectory(
      at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(content.utf8).write(to: path)
    let refused = try await DatProcess.run(
      ["chat", folder.path + "/room", "--no-lan"], environment: environment)
    #expect(refused.status == 1)
    #expect(refused.errors.contains("mend or delete that file, or give --name"))
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/room"))
    #expect(try Data(contentsOf: path) == Data(content.utf8))
    let taken = try await DatProcess.run(
      ["chat", folder.path + "/room", "--name", "ana", "--no-lan"], environment: environment)
    #expect(taken.status == 0)
  }

  @Test func `the file is where the specification of XDG has it`() {
    #expect(
      Settings.file(["XDG_CONFIG_HOME": "/x", "HOME": "/h"])?.path == "/x/dat/settings.json")
    #expect(
      Settings.file(["XDG_CONFIG_HOME": "x", "HOME": "/h"])?.path == "/h/.config/dat/settings.json")
    #expect(Settings.file(["HOME": "/h"])?.path == "/h/.config/dat/settings.json")
    #expect(Settings.file([:]) == nil)
  }
}

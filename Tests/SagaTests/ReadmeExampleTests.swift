import DatTesting
import Foundation
import HypercoreCrypto
import Saga
import Testing

@Suite struct ReadmeExampleTests {
  /// The example of README, line by line; `folder` stands for the name it uses.
  private func example(in folder: String) async throws {
    // begin
    let saga = try await Saga.open(folder: folder, username: "ana")
    print("dat://\(saga.key.hex)")
    try await saga.writeMessage("hello")
    for await event in saga.events() {
      switch event {
      case .message(let message): print("\(message.username): \(message.text)")
      case .join(let user): print("\(user.username) joined")
      case .ready: await saga.close()
      default: break
      }
    }
    // end
  }

  @Test func `the example of README compiles, runs and is this one`() async throws {
    let folder = try TemporaryFolder()
    try await example(in: folder.path)
    let source = try String(contentsOfFile: #filePath, encoding: .utf8)
    let lines = source.components(separatedBy: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    let begin = try #require(lines.firstIndex(of: "// begin"))
    let end = try #require(lines.firstIndex(of: "// end"))
    let readme = try String(
      contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
          "README.md"),
      encoding: .utf8)
    let shown = readme.components(separatedBy: "\n").map {
      $0.trimmingCharacters(in: .whitespaces).replacingOccurrences(of: "\"room\"", with: "folder")
    }
    let start = try #require(shown.firstIndex(of: lines[begin + 1]))
    #expect(Array(shown[start..<(start + end - begin - 1)]) == Array(lines[(begin + 1)..<end]))
  }
}

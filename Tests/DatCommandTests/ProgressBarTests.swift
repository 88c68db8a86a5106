import DatTesting
import Foundation
import Testing

@testable import dat

#if canImport(Glibc)
  import Glibc
#endif

/// The display of a clone's progress.
@Suite struct ProgressBarTests {
  private func line(
    _ blocks: UInt64, of length: UInt64, bytes: UInt64, from first: UInt64 = 0, seconds: Int
  ) -> String {
    ProgressBar.line(
      CloneProgress(blocks: blocks, length: length, bytes: bytes),
      since: CloneProgress(blocks: first, length: length), in: .seconds(seconds))
  }

  @Test func `it tells blocks, bytes, rate and time left`() {
    #expect(
      line(250, of: 1000, bytes: 5_000_000, seconds: 10)
        == "█████░░░░░░░░░░░░░░░ 250/1000  5.0 MB  500.0 kB/s  0:30 left")
    // The blocks that were there before took no time.
    #expect(line(750, of: 1000, bytes: 100, from: 500, seconds: 5).hasSuffix("0:05 left"))
    #expect(line(1000, of: 1000, bytes: 9, seconds: 1).hasPrefix(String(repeating: "█", count: 20)))
    #expect(line(0, of: 0, bytes: 0, seconds: 0) == "connecting …")
    let long = line(3_999_999_999, of: 4_000_000_000, bytes: 1 << 50, seconds: 86_000)
    #expect(long.count <= 79, "\(long.count)")
  }

  @Test func `it is drawn at most ten times a second, over itself, and removed at the end`() {
    let start = ContinuousClock.now
    var drawn: [String] = []
    var bar = ProgressBar(start: start, isShown: true) { drawn.append($0) }
    bar.clear()
    #expect(drawn.isEmpty)
    for milliseconds in stride(from: 0, through: 300, by: 10) {
      bar.show(
        CloneProgress(blocks: UInt64(milliseconds), length: 300),
        at: start + .milliseconds(milliseconds))
    }
    #expect(drawn.count == 4)
    #expect(drawn.allSatisfy { $0.hasPrefix("\r\u{1b}[K") && !$0.contains("\n") })
    bar.clear()
    #expect(drawn.last == "\r\u{1b}[K")
  }

  @Test func `nobody sees it where standard error is no terminal`() {
    var drawn: [String] = []
    var bar = ProgressBar(start: .now, isShown: false) { drawn.append($0) }
    bar.show(CloneProgress(blocks: 1, length: 2), at: .now)
    bar.clear()
    #expect(drawn.isEmpty)
  }

  #if canImport(Glibc)
    @Test func `a clone on a terminal shows it on standard error alone`() async throws {
      let folder = try TemporaryFolder()
      let lines = (0..<200).map { "line \($0)" }.joined(separator: "\n") + "\n"
      _ = try await DatProcess.run(["feed", "append", folder.path + "/a"], input: lines)
      let server = try await DatProcess([
        "feed", "serve", folder.path + "/a", "--listen", "127.0.0.1:0", "--json",
      ])
      let ready = try await server.line(containing: "\"ready\"")
      let listening = try await server.line(containing: "\"listening\"")
      let key = try #require(ready.firstMatch(of: /"key":"([0-9a-f]{64})"/)?.1)
      let port = try #require(listening.firstMatch(of: /"port":([0-9]+)/)?.1)

      var (master, terminal): (Int32, Int32) = (-1, -1)
      try #require(openpty(&master, &terminal, nil, nil, nil) == 0)
      let handle = FileHandle(fileDescriptor: terminal, closeOnDealloc: true)
      let process = Process()
      process.executableURL = DatProcess.executable
      process.arguments = [
        "feed", "clone", folder.path + "/b", String(key), "--connect", "127.0.0.1:\(port)",
      ]
      let output = Pipe()
      process.standardOutput = output
      process.standardError = handle
      try process.run()
      let said = String(
        decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
      #expect(said.hasPrefix("200 blocks") && !said.contains("\u{1b}"))
      try handle.close()
      var bytes: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 64 << 10)
      // The drawn text comes a line at a time; the close of the other end is reported as an error.
      while case let count = read(master, &buffer, buffer.count), count > 0 {
        bytes += buffer[..<count]
      }
      close(master)
      let shown = String(decoding: bytes, as: UTF8.self)
      #expect(shown.hasPrefix("\r\u{1b}[K"))
      #expect(shown.contains("connecting …") || shown.contains("/200"), "\(shown)")
      #expect(shown.hasSuffix("\r\u{1b}[K"), "\(shown)")
    }
  #endif
}

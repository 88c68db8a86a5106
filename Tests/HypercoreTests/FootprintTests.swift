import DatTesting
import Foundation
@testable import RandomAccessStorage
import Testing

@testable import Hypercore

#if os(Linux)
  /// The cost of many idle feeds, measured in a process of its own, in which nothing else happens
  /// and the system allows 256 open files.
  @Suite(.timeLimit(.minutes(3))) struct FootprintTests {
    private static let count = 1000
    /// The number of folders; each is opened several times.
    private static let folders = 250

    @Test(.enabled(if: !LimitedProcess.isOne))
    func `a thousand feeds are open under a limit of 256 files`() throws {
      let result = try LimitedProcess.run("FootprintTests", openFiles: 256)
      #expect(result.passed, "\(result.output)")
    }

    @Test(.enabled(if: LimitedProcess.isOne)) func `probe`() async throws {
      // The files that this process has open in any case, and room for those that the system opens
      // on the way.
      let anyway = DescriptorCount.now + 15
      let folder = try TemporaryFolder()
      for number in 0..<Self.folders {
        let feed = try await Feed.open(folder: "\(folder.path)/\(number)")
        try await feed.append(someBlocks(50))
        try await feed.close()
      }
      #expect(DescriptorCount.now < 250)
      let before = Memory.resident
      var feeds: [Feed] = []
      for number in 0..<Self.count {
        let path = "\(folder.path)/\(number % Self.folders)"
        let feed = try await Feed.open(folder: path, access: .readOnly)
        #expect(try await feed.get(UInt64(number % 50)) == someBlocks(50)[number % 50])
        feeds.append(feed)
      }
      #expect(DescriptorCount.now < 200)
      for feed in feeds { await feed.rest() }
      let each = (Memory.resident - before) / Self.count
      print("an idle feed takes \(each) bytes")
      if !isSanitized { #expect(each < 100_000) }
      // Unused files are closed: the first sweep notes the time, the second finds it unchanged.
      _ = DescriptorPool.shared.sweep()
      _ = DescriptorPool.shared.sweep()
      #expect(DescriptorPool.shared.openCount == 0)
      #expect(DescriptorCount.now < anyway)
      // All of them still work, the least recently used first.
      for (number, feed) in feeds.enumerated() {
        #expect(try await feed.get(0) == someBlocks(1)[0], "\(number)")
      }
      #expect(DescriptorCount.now < 200)
      for feed in feeds { try await feed.close() }
      feeds = []

      // A feed that is written holds a lock, and nothing more.
      for number in 0..<50 { feeds.append(try await Feed.open(folder: "\(folder.path)/\(number)")) }
      _ = DescriptorPool.shared.sweep()
      _ = DescriptorPool.shared.sweep()
      #expect(DescriptorPool.shared.openCount == 0)
      #expect((50..<50 + anyway).contains(DescriptorCount.now))
      for feed in feeds { try await feed.close() }
      #expect(DescriptorCount.now < anyway + DescriptorPool.shared.openCount)
    }
  }

  /// The number of files that this process has open.
  private enum DescriptorCount {
    static var now: Int {
      (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? .max
    }
  }

  /// The memory of this process in bytes.
  private enum Memory {
    static var resident: Int {
      guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
        let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
      else { return 0 }
      return pages * sysconf(Int32(_SC_PAGESIZE))
    }
  }
#endif

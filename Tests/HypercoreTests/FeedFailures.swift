import Hypercore
import Testing

/// Checks that a call fails with a ``FeedError`` of a code, and that its reason is one or two sentences for
/// people that contain the given words.
func expectFailure(
  _ code: FeedError.Code, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () async throws -> Void
) async {
  do {
    try await body()
    Issue.record("nothing was thrown", sourceLocation: sourceLocation)
  } catch let error as FeedError {
    #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
    #expect(
      [".", "?"].contains(error.reason.last), "\(error)", sourceLocation: sourceLocation)
    #expect(!error.reason.contains("\n"), "\(error)", sourceLocation: sourceLocation)
    for word in words {
      #expect(error.reason.contains(word), "\(error)", sourceLocation: sourceLocation)
    }
  } catch {
    Issue.record("no FeedError: \(error)", sourceLocation: sourceLocation)
  }
}

/// Blocks that differ in content and size.
func someBlocks(_ range: Range<Int>) -> [[UInt8]] {
  range.map { Array("block \($0)\(String(repeating: ".", count: $0 % 7))".utf8) }
}

func someBlocks(_ count: Int) -> [[UInt8]] { someBlocks(0..<count) }

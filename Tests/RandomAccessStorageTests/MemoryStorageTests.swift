import Testing

@testable import RandomAccessStorage

/// The bytes that a file in memory says it takes.
struct MemoryStorageTests {
  private static let page = 64 * 1024
  /// An offset beyond the pages that are found by index.
  private static let far: UInt64 = 2 << 30

  @Test func `a file takes the bytes that were written to it, once each`() throws {
    let file = try MemoryStorage().storage(named: "data")
    #expect(try file.occupied() == 0)
    try file.write([UInt8](repeating: 1, count: 3 * Self.page + 100), at: 0)
    #expect(try file.occupied() == UInt64(3 * Self.page + 100))
    try file.write([UInt8](repeating: 2, count: Self.page), at: 50)
    #expect(try file.occupied() == UInt64(3 * Self.page + 100))
    try file.write([3], at: UInt64(3 * Self.page + 199))
    #expect(try file.occupied() == UInt64(3 * Self.page + 200))
  }

  @Test func `what is given up or cut off is not taken any more`() throws {
    let file = try MemoryStorage().storage(named: "data")
    try file.write([UInt8](repeating: 1, count: 4 * Self.page), at: 0)
    try file.write([UInt8](repeating: 2, count: 2 * Self.page), at: Self.far)
    #expect(try file.occupied() == UInt64(6 * Self.page))
    // One whole page of the range is given back, and given up again.
    for _ in 0..<2 {
      try file.delete(at: 10, count: UInt64(2 * Self.page))
      #expect(try file.occupied() == UInt64(5 * Self.page))
    }
    try file.delete(at: Self.far, count: UInt64(Self.page))
    #expect(try file.occupied() == UInt64(4 * Self.page))
    try file.truncate(to: Self.far + UInt64(Self.page) + 7)
    #expect(try file.occupied() == UInt64(3 * Self.page + 7))
    try file.truncate(to: UInt64(2 * Self.page + 5))
    #expect(try file.occupied() == UInt64(Self.page + 5))
    try file.truncate(to: 0)
    #expect(try file.occupied() == 0)
    try file.write([1, 2, 3], at: Self.far)
    #expect(try file.occupied() == 3)
  }
}

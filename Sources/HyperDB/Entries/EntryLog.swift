package import HypercoreCrypto

/// A feed as the database needs it: the blocks that are here, and appending. Synchronous.
package protocol EntryLog: AnyObject {
  /// The feed's public key.
  var key: PublicKey { get }
  /// True if the secret key is here: the feed is this replica's own.
  var isOwned: Bool { get }
  /// True if appending is possible now.
  var isWritable: Bool { get }
  /// The verified length, which a signature vouches for; never one that a peer merely claims.
  var length: Int { get }
  /// True if no more blocks can come for now: the feed is forked, or its download is paused.
  var isStopped: Bool { get }
  /// Returns the first block from `start` on that is not stored here; at most `length`.
  func firstMissing(from start: Int) -> Int
  /// Returns a block; nil if it is not stored here.
  func block(at index: Int) throws -> [UInt8]?
  /// The size of a block in bytes, without reading it; nil if that is not known.
  func byteCount(at index: Int) -> Int?
  /// Appends blocks under one signature, all or nothing, and returns the index of the first.
  @discardableResult
  func append(_ blocks: [[UInt8]]) throws -> Int
}

extension EntryLog {
  package var isStopped: Bool { false }
  package func byteCount(at index: Int) -> Int? { nil }
}

/// A feed without storage or signatures, for tests and benchmarks of the database alone.
package final class MemoryLog: EntryLog {
  package let key: PublicKey
  package let isWritable: Bool
  /// The blocks, nil if one is not here.
  package var blocks: [[UInt8]?]

  package init(key: PublicKey, isWritable: Bool, blocks: [[UInt8]?] = []) {
    self.key = key
    self.isWritable = isWritable
    self.blocks = blocks
  }

  package var length: Int { blocks.count }

  package var isStopped = false

  package var isOwned: Bool { isWritable }

  package func firstMissing(from start: Int) -> Int {
    var index = start
    while index < blocks.count, blocks[index] != nil { index += 1 }
    return index
  }

  package func block(at index: Int) -> [UInt8]? { index < blocks.count ? blocks[index] : nil }

  package func byteCount(at index: Int) -> Int? { block(at: index)?.count }

  package func append(_ blocks: [[UInt8]]) -> Int {
    defer { self.blocks += blocks }
    return self.blocks.count
  }
}

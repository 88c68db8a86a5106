package import HypercoreCrypto
package import Hypercore
internal import DatCoding

/// A stored feed as a log of entries. Its errors are thrown as `HyperDBError` with code
/// `feed`.
package final class FeedLog: EntryLog {
  package let core: FeedCore
  /// Called before blocks are appended. If it throws, nothing is appended.
  var onAppend: ((UInt64, [UInt8]) throws -> Void)?
  package let key: PublicKey
  /// The length that the database sees while nothing more of the feed is fetched; nil for its true
  /// length.
  var end: UInt64?

  /// Nil for a static feed that has no key yet: it can't be part of a database.
  package init?(_ core: FeedCore) {
    guard let key = core.key else { return nil }
    self.core = core
    self.key = key
  }

  package var isOwned: Bool { core.isOwned }
  package var isWritable: Bool { core.isOwned && core.isWritable }
  package var isStopped: Bool { core.isStopped || end != nil }
  package var length: Int { Int(clamping: min(core.length, end ?? .max)) }

  package func firstMissing(from start: Int) -> Int {
    let missing = core.nextMissing(from: UInt64(start), below: core.length) ?? core.length
    return Int(clamping: missing)
  }

  package func block(at index: Int) throws -> [UInt8]? {
    guard index >= 0, UInt64(index) <= Varint.maximum else { return nil }
    do {
      return try core.block(at: UInt64(index))
    } catch {
      throw HyperDBError(
        .feed, "Block \(index) of feed \(key) can't be read: \(error.reason)", seq: index,
        cause: error)
    }
  }

  package func byteCount(at index: Int) -> Int? {
    guard index >= 0, UInt64(index) <= Varint.maximum / 2 else { return nil }
    // A node that can't be read is reported by the read of the block.
    return (try? core.node(at: 2 * UInt64(index))).map { Int(clamping: $0.size) }
  }

  package func append(_ blocks: [[UInt8]]) throws -> Int {
    if let onAppend {
      for (offset, block) in blocks.enumerated() {
        do { try onAppend(core.length + UInt64(offset), block) } catch {
          throw HyperDBError(
            .refused, "Nothing was written to feed \(key): the write hook refused it: \(error)",
            seq: Int(clamping: core.length) + offset, cause: error)
        }
      }
    }
    do {
      return Int(clamping: try core.append(blocks))
    } catch {
      throw HyperDBError(
        .feed, "Nothing was written to feed \(key): \(error.reason)", cause: error)
    }
  }
}

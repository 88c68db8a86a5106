internal import DatCoding
package import HypercoreCrypto

extension DatabaseCore {
  /// Returns the bytes that name a state of the database: for each head the key of its feed and its block.
  ///
  /// Source: hyperdb `index.js`, `version`.
  package func version(of snapshot: Snapshot) -> [UInt8] {
    var bytes: [UInt8] = []
    for head in snapshot.heads {
      bytes += feeds.keys[head.feed].bytes
      Varint.write(UInt64(head.seq), to: &bytes)
    }
    return bytes
  }

  /// Returns the database as it was at a version.
  ///
  /// - Throws: `HyperDBError` with code `invalidVersion`; `MissingBlock`.
  ///
  /// Source: hyperdb `index.js`, `checkout`.
  package func checkout(_ version: [UInt8]) throws -> Snapshot {
    var heads: [EntryNode] = []
    var rest = version[...]
    while !rest.isEmpty {
      guard let key = PublicKey(bytes: rest.prefix(PublicKey.byteCount)) else {
        throw HyperDBError(
          .invalidVersion,
          "Invalid version: it ends inside a key, after \(version.count) of its bytes")
      }
      rest = rest.dropFirst(PublicKey.byteCount)
      let reading = rest.withUnsafeBytes { Varint.read($0) }
      guard case .value(let seq, let length) = reading, seq > 0, seq <= Varint.maximum else {
        throw HyperDBError(.invalidVersion, "Invalid version: no block follows the key \(key)")
      }
      rest = rest.dropFirst(length)
      guard let feed = number(of: key) else {
        throw HyperDBError(
          .invalidVersion, "Invalid version: the database has no feed \(key)")
      }
      heads.append(try head(FeedSequence(feed: feed, seq: Int(seq))))
    }
    return checkout(heads)
  }

  /// Returns the database as the source knew it with its block `seq`.
  package func checkout(source seq: Int) throws -> Snapshot {
    guard seq > 0 else {
      throw HyperDBError(.invalidVersion, "Invalid version: block \(seq) is not an entry")
    }
    return checkout([try head(FeedSequence(feed: 0, seq: seq))])
  }

  /// Returns the database as seen from some entries.
  package func checkout(_ heads: [EntryNode]) -> Snapshot {
    let lengths = feeds.writers.map { writer in
      min(
        Int(heads.map { $0.clock(of: writer.id) }.max() ?? 0), writer.log.length)
    }
    let known = (try? newest(below: lengths)) ?? []
    let isKnown = { (node: EntryNode) in heads.contains { $0.location == node.location } }
    let beside =
      (try? roots(of: heads + known.filter { !isKnown($0) }).beside.filter { !isKnown($0) }) ?? []
    return Snapshot(heads: heads, beside: beside, lengths: lengths, isBounded: false)
  }

  /// Returns the database as seen from the entries at some locations.
  package func checkout(_ locations: [(feed: PublicKey, seq: UInt64)]) throws -> Snapshot {
    checkout(
      try locations.map { key, seq in
        guard let feed = number(of: key) else {
          throw HyperDBError(
            .invalidVersion, "Invalid version: the database has no feed \(key)")
        }
        return try head(FeedSequence(feed: feed, seq: Int(min(seq, Varint.maximum))))
      })
  }

  private func head(_ location: FeedSequence) throws -> EntryNode {
    let log = feeds[location.feed].log
    guard location.seq < log.length else {
      throw HyperDBError(
        .invalidVersion,
        "Invalid version: it names block \(location.seq) of feed \(log.key), which is known to have "
          + "\(log.length) blocks", feed: location.feed, seq: location.seq)
    }
    guard let node = try node(at: location) else {
      throw HyperDBError(
        .invalidVersion, "Invalid version: the entry in \(name(location)) can't be read",
        feed: location.feed,
        seq: location.seq)
    }
    return node
  }
}

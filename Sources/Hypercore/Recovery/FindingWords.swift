// The findings of opening a feed, in words.

extension RepairReport.Finding: CustomStringConvertible {
  /// One or two sentences for people: the finding, and its effect while the feed is open.
  public var description: String {
    switch self {
    case .keyRecovered: "The file of the public key is lost; the secret key contains it."
    case .secretKeyCut: "The secret key is cut: the feed can be read only."
    case .unfinalizedForgotten(let length):
      "\(Words.blocks(length)) \(length == 1 ? "is" : "are") there without a key, of a static feed that was "
        + "never finalized: nothing can verify \(length == 1 ? "it" : "them")."
    case .rolledForward(let start, let end):
      "The bitfield is behind: \(Words.blocks(start..<end)), signed and whole, "
        + "\(Words.verb(end - start)) as stored."
    case .steppedDown(let from, let to):
      "The bitfield has \(Words.blocks(from)), but the feed is signed up to \(to): it ends there."
    case .unsignedBytesRemoved(let count):
      "\(count) bytes are of an append that was never signed; they are not part of the feed."
    case .staleSignatures(let count):
      "\(count) \(count == 1 ? "signature is" : "signatures are") of a feed that was overwritten here; "
        + "\(count == 1 ? "it is" : "they are") disregarded."
    case .blocksLost(let ranges):
      "\(Words.list(ranges)) recorded as stored, but the data is not there. Peers can bring "
        + "\(Words.count(ranges) == 1 ? "it" : "them")."
    case .signedAgain(let length):
      "The signature of length \(length) is lost or torn, and all that it signed is here."
    case .signedLengthLost(let length):
      "Length \(length) was signed, but not all of its blocks are here. The feed is read-only until a peer "
        + "has brought them: writing would fork it."
    case .folderCopied:
      "The folder was copied or restored from a backup since the feed was written there: connect to peers "
        + "before anything is appended. Never write in two copies."
    case .forked:
      "The feed's key signed two histories; both proofs are in fork.json. Nothing is written any more."
    case .forkEvidenceUnreadable: "The file fork.json proves nothing; it can be deleted."
    case .blocksMissing:
      "The key pair is here, but none of the feed's blocks. Nothing is written until a peer has brought them, "
        + "or `--new` says that nothing was ever written with it."
    }
  }

  /// A sentence about the repair; nil if the finding can't be repaired here.
  var repair: String? {
    switch self {
    case .keyRecovered:
      "The file of the public key was lost; it was written again from the secret key."
    case .unfinalizedForgotten(let length):
      "\(Words.blocks(length)) of a static feed that never got its key \(length == 1 ? "was" : "were") "
        + "forgotten."
    case .rolledForward(let start, let end):
      "The bitfield was behind: \(Words.blocks(start..<end)), signed and whole, "
        + "\(end - start == 1 ? "is" : "are") marked as stored again."
    case .steppedDown(let from, let to):
      "The bitfield had \(Words.blocks(from)); it ends at \(to) now, as the feed is signed."
    case .unsignedBytesRemoved(let count):
      "\(count) bytes of an append that was never signed were cut off."
    case .staleSignatures(let count):
      "\(count) \(count == 1 ? "signature" : "signatures") of a feed that was overwritten here "
        + "\(count == 1 ? "was" : "were") removed."
    case .signedAgain(let length):
      "The signature of length \(length) was lost or torn; it was made again, the same."
    case .blocksLost, .secretKeyCut, .signedLengthLost, .folderCopied, .forked,
      .forkEvidenceUnreadable, .blocksMissing:
      // Lost blocks are reported with those that an examination finds damaged.
      nil
    }
  }

  /// The problem to report if this was found and nothing was written.
  var problem: FeedExamination.Problem? {
    switch self {
    case .secretKeyCut, .forkEvidenceUnreadable:
      .init(code: .unfinished, message: description, isRepairable: false)
    case .signedLengthLost:
      .init(code: .signedLengthLost, message: description, isRepairable: false)
    case .blocksLost: .init(code: .damagedBlocks, message: description, isRepairable: true)
    case .blocksMissing: .init(code: .restoring, message: description, isRepairable: false)
    // These are reported from the state of the feed, not from the finding.
    case .folderCopied, .forked: nil
    case .keyRecovered, .unfinalizedForgotten, .rolledForward, .steppedDown,
      .unsignedBytesRemoved, .staleSignatures, .signedAgain:
      .init(code: .unfinished, message: description, isRepairable: true)
    }
  }
}

/// Blocks in words.
package enum Words {
  /// A phrase such as `1 block`.
  package static func blocks(_ count: UInt64) -> String {
    "\(count) block\(count == 1 ? "" : "s")"
  }

  /// A phrase such as `block 44`, or `blocks 44 to 48`.
  package static func blocks(_ range: Range<UInt64>) -> String {
    range.count == 1
      ? "block \(range.lowerBound)"
      : "blocks \(range.lowerBound) to \(range.upperBound - 1)"
  }

  /// A phrase such as `3 blocks (1, 4 to 5) are`, with the first 20 runs at most.
  package static func list(_ ranges: [Range<UInt64>]) -> String {
    let count = count(ranges)
    var names = ranges.prefix(20).map {
      $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound) to \($0.upperBound - 1)"
    }
    if names.count < ranges.count { names.append("…") }
    return "\(blocks(count)) (\(names.joined(separator: ", "))) \(count == 1 ? "is" : "are")"
  }

  /// The total number of blocks.
  package static func count(_ ranges: [Range<UInt64>]) -> UInt64 {
    ranges.reduce(0) { $0 + UInt64($1.count) }
  }

  fileprivate static func verb(_ count: UInt64) -> String { count == 1 ? "counts" : "count" }
}

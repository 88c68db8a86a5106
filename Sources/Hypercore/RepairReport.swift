/// What opening a feed found amiss, and what became of it.
public struct RepairReport: Hashable, Sendable {
  /// One thing that was not as it should be.
  @nonexhaustive
  public enum Finding: Hashable, Sendable {
    /// The file `key` was lost; it was written again from `secret_key`.
    case keyRecovered
    /// The file `secret_key` is cut: the feed can be read only.
    case secretKeyCut
    /// Blocks without a key, left by a static feed that was never finalized, were forgotten.
    case unfinalizedForgotten(length: UInt64)
    /// The bitfield was lost or behind: these blocks, signed and found whole, count again.
    case rolledForward(from: UInt64, to: UInt64)
    /// The bitfield was ahead of what is signed and there: the feed ends earlier.
    case steppedDown(from: UInt64, to: UInt64)
    /// Bytes of an append that was never signed were cut off.
    case unsignedBytesRemoved(UInt64)
    /// Signatures are there that were left behind by a feed that was overwritten here. They are disregarded.
    case staleSignatures(UInt64)
    /// Blocks are recorded as stored, but `data` ends before they do or holds something else. They count as not
    /// stored while the feed is open; the record stays as it is.
    case blocksLost([Range<UInt64>])
    /// The last signature was lost, but all that it signed is here: it was made again, the same.
    case signedAgain(length: UInt64)
    /// A signature for this length is stored, but not what it signed. Nothing is written until a
    /// peer has restored the feed up to there.
    case signedLengthLost(UInt64)
    /// The folder was copied or restored from a backup since the feed was written in it, so there may
    /// be more of the feed elsewhere: peers are asked before something is appended.
    case folderCopied
    /// The key pair is here without any block. Nothing is written until a peer has proven how long the feed is,
    /// or the caller says that it is new.
    case blocksMissing
    /// The feed's key signed two histories; both proofs are kept. Nothing is written any more.
    case forked
    /// There is a file of evidence that the feed is forked, but it proves nothing: it is disregarded.
    case forkEvidenceUnreadable
  }

  /// In the order in which they were found. Empty for a healthy feed.
  public var findings: [Finding] = []
  /// Whether the feed could not be written when it was opened, until peers restore what it lost.
  public var isDamaged = false

  /// A report that nothing was found.
  public init() {}

  /// Whether all was as it should be.
  public var isHealthy: Bool { findings.isEmpty }
}

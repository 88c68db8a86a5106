/// The faults that opening a feed found, and their repairs.
public struct RepairReport: Hashable, Sendable {
  /// One fault.
  @nonexhaustive
  public enum Finding: Hashable, Sendable {
    /// The file `key` was lost; it was written again from `secret_key`.
    case keyRecovered
    /// The file `secret_key` is cut: the feed can be read only.
    case secretKeyCut
    /// Blocks without a key, left by a static feed that was never finalized, were forgotten.
    case unfinalizedForgotten(length: UInt64)
    /// The bitfield was lost or behind: these blocks, which are signed and intact, count as stored again.
    case rolledForward(from: UInt64, to: UInt64)
    /// The bitfield was ahead of what is signed and stored: the feed ends earlier.
    case steppedDown(from: UInt64, to: UInt64)
    /// Bytes of an append that was never signed were cut off.
    case unsignedBytesRemoved(UInt64)
    /// A feed that was overwritten here left signatures behind. They are ignored.
    case staleSignatures(UInt64)
    /// Blocks are recorded as stored, but `data` ends before them or holds something else. They count as not
    /// stored while the feed is open; the record stays as it is.
    case blocksLost([Range<UInt64>])
    /// The last signature was lost, but all that it signed is here: the same signature was made again.
    case signedAgain(length: UInt64)
    /// A signature for this length is stored, but not what it signed. Nothing is written until a peer has
    /// restored the feed up to that length.
    case signedLengthLost(UInt64)
    /// The folder was copied or restored from a backup since the feed was written in it, so there may be more
    /// of the feed elsewhere: peers are asked before anything is appended.
    case folderCopied
    /// The key pair is here without any block. Nothing is written until a peer has proven how long the feed is,
    /// or the caller says that it is new.
    case blocksMissing
    /// The feed's key signed two histories; both proofs are kept. Nothing is written any more.
    case forked
    /// There is a file of evidence that the feed is forked, but it proves nothing and is ignored.
    case forkEvidenceUnreadable
  }

  /// The findings in the order of their discovery. Empty for a healthy feed.
  public var findings: [Finding] = []
  /// True if the feed could not be written when it was opened, until peers restore what it lost.
  public var isDamaged = false

  /// Creates a report without findings.
  public init() {}

  /// True if there are no findings.
  public var isHealthy: Bool { findings.isEmpty }
}

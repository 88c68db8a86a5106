package import HypercoreCrypto
internal import RandomAccessStorage

/// The reason for which a feed refused or failed. Programs read ``code``; people read ``reason``.
public struct FeedError: Error, Sendable, CustomStringConvertible {
  /// The kind of failure, for programs.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    // Opening

    /// No feed is stored there, and none was to be created.
    case noFeedStored
    /// The stored feed has another key.
    case anotherFeedStored
    /// The public and the secret key do not belong together.
    case keyMismatch
    /// A file does not start with the header of a feed's file. Nothing was changed.
    case foreignFile
    /// Blocks are stored but their key is not, so nothing can be verified: open with the key.
    case keyMissing

    // Using

    /// Writing without the secret key, to read-only storage, or to a feed that waits for blocks that it has
    /// lost. Nothing was written.
    case notWritable
    /// The key pair is here without any of the feed's blocks, so it can't write before a peer has proven how
    /// long the feed is, or the caller says that it is new. Nothing was written.
    case restoring
    /// The feed was closed.
    case closed
    /// The index, length or size is beyond what a feed can have.
    case outOfBounds
    /// The block is longer than ``Feed/maximumBlockSize``: no peer could receive it. Nothing was written.
    case blockTooLarge
    /// The block is not stored here. A peer may have it.
    case blockNotStored
    /// The node was never stored here. A peer may have it.
    case nodeMissing
    /// No peer brought the data in time.
    case timeout
    /// Downloading is paused: a limit of the disk is reached. See ``Feed/downloadPause``.
    case paused
    /// The wait was cancelled, by the caller or with its task.
    case cancelled
    /// No signature is stored for that length.
    case signatureMissing
    /// The stored data contradicts itself: for example, a block is shorter than its node says.
    case damaged

    // Peers

    /// A peer's proof does not lead to anything that is trusted. Nothing was written; disconnect that peer.
    case proofRejected
    /// A peer's proof leads to nothing that is trusted here, and has no signed roots: it relies on nodes that
    /// are not here. Nothing was written.
    case proofIncomplete
    /// A peer's proof contradicts what is here, but may have left out nodes that this side claimed to know.
    /// The next connection asks for the whole proof; no peer is to blame yet.
    case contradicted
    /// A peer broke a rule of replication; it is disconnected.
    case peerMisbehaved
    /// The feed's own key has signed two histories; ``FeedError/fork`` has both. Nothing was written. The
    /// peer that sent the proof is not to blame.
    case forked

    /// The feed is of another kind than expected, according to its first block. Nothing was written.
    case wrongKind
    /// A hook of the application refused the block; ``FeedError/cause`` is the error that it threw. Nothing
    /// was written.
    case refused

    // Storage

    /// The storage threw; ``FeedError/cause`` is its error.
    case storage
  }

  /// The kind of failure, for programs.
  public let code: Code
  /// A sentence that names the file, index or length involved.
  public let reason: String
  /// The underlying error, such as the storage's.
  public let cause: (any Error)?
  /// With ``Code/forked``: both histories.
  public let fork: ForkEvidence?

  /// Creates a failure with its reason, and the error behind it.
  public init(
    code: Code, reason: String, cause: (any Error)? = nil, fork: ForkEvidence? = nil
  ) {
    self.code = code
    self.reason = reason
    self.cause = cause
    self.fork = fork
  }

  public var description: String { reason }
}

extension FeedError {
  init(_ cause: StorageError) {
    self.init(code: .storage, reason: cause.reason, cause: cause)
  }

  static func outOfBounds(_ reason: String) -> FeedError {
    FeedError(code: .outOfBounds, reason: reason)
  }

  static func incomplete(_ reason: String) -> FeedError {
    FeedError(code: .proofIncomplete, reason: reason)
  }

  static func rejected(_ reason: String) -> FeedError {
    FeedError(code: .proofRejected, reason: reason)
  }

  static func nodeMissing(_ index: UInt64) -> FeedError {
    FeedError(code: .nodeMissing, reason: "Node \(index) of the tree is not stored here.")
  }

  package static func forked(_ evidence: ForkEvidence) -> FeedError {
    FeedError(
      code: .forked,
      reason:
        "The feed \(evidence.key) has two histories, both signed with its key: its folder was copied and both "
        + "copies were written, or a backup was written to. Nothing more is written to it; `dat rekey DIR` goes "
        + "on with a new key and with what the other history lacks.",
      fork: evidence)
  }

  package static func restoring(_ key: PublicKey?) -> FeedError {
    FeedError(
      code: .restoring,
      reason:
        "The key pair of feed \(key?.hex ?? "") is here, but none of its blocks: what it wrote before has "
        + "to come from a peer first, or the next block would fork it. If nothing was ever written with it, "
        + "say that it is new (`--new`).")
  }

  static func damaged(_ reason: String) -> FeedError {
    FeedError(code: .damaged, reason: reason)
  }
}

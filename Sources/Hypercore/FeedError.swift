internal import RandomAccessStorage

/// Why a feed refused or failed. Programs read ``code``; people read ``reason``.
public struct FeedError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure it is, for programs.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    // Opening

    /// Nothing is stored there, and creating a feed was not asked for.
    case noFeedStored
    /// What is stored there belongs to another key.
    case anotherFeedStored
    /// The public and the secret key do not belong together.
    case keyMismatch
    /// A file starts with something that is no header of a feed's file. Nothing was changed.
    case foreignFile
    /// Blocks are stored but their key is not, so nothing can be verified: open with the key.
    case keyMissing

    // Using

    /// Writing without the secret key, to read-only storage, or to a feed that waits for blocks it
    /// has lost. Nothing was written.
    case notWritable
    /// The feed was closed.
    case closed
    /// The index, length or size is outside of what a feed can have.
    case outOfBounds
    /// The block is longer than ``Feed/maximumBlockSize``: no peer could receive it. Nothing was written.
    case blockTooLarge
    /// The block is not stored here. A peer may have it.
    case blockNotStored
    /// The node was never stored here. A peer may have it.
    case nodeMissing
    /// No peer brought it in time.
    case timeout
    /// Nothing is fetched for the time being: a limit of the disk is reached. See ``Feed/downloadPause``.
    case paused
    /// Waiting for it was given up, by the caller or the task.
    case cancelled
    /// No signature is stored for that length.
    case signatureMissing
    /// What is stored contradicts itself: a block shorter than its node says, for example.
    case damaged

    // Peers

    /// A peer's proof does not lead to what is trusted. Nothing was written; drop that peer.
    case proofRejected
    /// A peer's proof leads to nothing that is trusted here, and brings no signed roots: it counts
    /// on nodes that are not here. Nothing was written.
    case proofIncomplete
    /// A peer's proof contradicts what is here, and may have left out what this side said it knows. The next
    /// connection asks for all of it; nobody is to blame yet.
    case contradicted
    /// A peer broke a rule of replication; it is disconnected.
    case peerMisbehaved
    /// The feed's own key has signed two histories; ``FeedError/fork`` has both. Nothing was
    /// written. The peer that brought it is not to blame.
    case forked

    /// The feed is not of the kind that is meant: its first block says so. Nothing was written.
    case wrongKind
    /// A hook of the application refused the block; ``FeedError/cause`` is what it threw. Nothing was
    /// written.
    case refused

    // Storage

    /// The storage threw; ``FeedError/cause`` is its error.
    case storage
  }

  /// What kind of failure it is, for programs.
  public let code: Code
  /// A sentence naming the file, index or length involved.
  public let reason: String
  /// The error underneath, such as the storage's.
  public let cause: (any Error)?
  /// With ``Code/forked``: both histories.
  public let fork: ForkEvidence?

  /// A failure with its reason, and what lies behind it.
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
      reason: "The feed \(evidence.key) has two histories: its key signed another node "
        + "\(evidence.node) than the one stored here. Its secret key is in use in two places, or a "
        + "backup was written to. It can be read; nothing is written to it any more.",
      fork: evidence)
  }

  static func damaged(_ reason: String) -> FeedError {
    FeedError(code: .damaged, reason: reason)
  }
}

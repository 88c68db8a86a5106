extension FeedError {
  static var closed: FeedError { FeedError(code: .closed, reason: "The feed is closed.") }

  static var notFinalized: FeedError {
    FeedError(
      code: .keyMissing,
      reason: "A static feed can be replicated once it is finalized: it has no key yet.")
  }

  static func blockNotStored(_ index: UInt64) -> FeedError {
    FeedError(
      code: .blockNotStored, reason: "Block \(index) is not stored here; a peer may have it.")
  }

  static func seekFailed(_ offset: UInt64) -> FeedError {
    FeedError(
      code: .blockNotStored,
      reason: "The block that holds byte \(offset) is not known here; a peer may know it.")
  }

  static func timedOut(_ what: String, _ timeout: Duration) -> FeedError {
    FeedError(code: .timeout, reason: "No peer brought \(what) within \(timeout).")
  }

  static func cancelled(_ what: String) -> FeedError {
    FeedError(code: .cancelled, reason: "Waiting for \(what) was cancelled.")
  }

  static var downloadCancelled: FeedError {
    FeedError(code: .cancelled, reason: "The download was cancelled.")
  }

  /// The application's hook does not want a block.
  static func refused(_ index: UInt64, _ cause: any Error) -> FeedError {
    FeedError(
      code: .refused,
      reason: "Block \(index) was not stored: the write hook refused it: \(cause).", cause: cause)
  }

  /// A peer broke a rule of replication.
  static func peer(_ what: String) -> FeedError {
    FeedError(code: .peerMisbehaved, reason: "The peer \(what).")
  }

  /// Only a new connection helps: the peer on this one believes that its answer arrived.
  static var unansweredRequest: FeedError {
    FeedError(
      code: .timeout, reason: "The peer did not answer a request that later answers rely on.")
  }

  /// Another history or a wrong answer: only an answer that relies on no digest can decide.
  static func contradicted(_ block: UInt64) -> FeedError {
    FeedError(
      code: .contradicted,
      reason:
        "The peer's proof of block \(block) does not match what is here; the whole proof is "
        + "requested again.")
  }

  /// True if a peer did what no working peer does. A peer that does so repeatedly is not worth
  /// another connection. A fork is not the fault of the peer that relays it.
  public var isOffence: Bool {
    switch code {
    case .proofRejected, .proofIncomplete, .peerMisbehaved: true
    default: false
    }
  }

  /// Converts any error to one of this module.
  static func wrapping(_ error: any Error) -> FeedError {
    if let error = error as? FeedError { return error }
    return FeedError(code: .storage, reason: "\(error)", cause: error)
  }
}

/// A block that is about to be stored, for the hook ``Feed/Options/onWrite``.
public struct ProposedBlock: Sendable {
  /// Its index in the feed.
  public let index: UInt64
  /// The whole block.
  public let bytes: [UInt8]
  /// True if it is appended here. Otherwise a peer brought it, or a call of ``Feed/put(_:_:proof:)``, and it is
  /// verified.
  public let isLocal: Bool
  /// The peer that brought it; nil if none did.
  public let peer: FeedPeerID?
}

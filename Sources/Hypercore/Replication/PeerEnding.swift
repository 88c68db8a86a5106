internal import HypercoreProtocol

/// The end of one feed on one connection: which side still fetches, and what is due once nothing is left to fetch.
///
/// ```
///    on ──────────────▶ over ─────┐  both sides fetch nothing more
///                                 ├─────────▶ closed
///  never ──▶ neverRepeated ───────┘
/// ```
///
/// Source: hypercore `lib/replicate.js`, `_updateEnd` and `oninfo`, with their deadlocks removed: the channel also
/// closes if the remote was done first, and every peer of a feed ends, not only the one that brought the last block.
struct PeerEnding {
  /// The state of this side.
  enum Fetching {
    /// It fetches nothing, and never did.
    case never
    /// The same, and the remote was reminded of that.
    case neverRepeated
    /// It fetches.
    case on
    /// It did, and fetches nothing more.
    case over
  }

  /// A step that the peer's owner has to take.
  enum Step: Equatable {
    case wait
    /// Say that this side requests nothing more; then close, if the remote has said so, too.
    case finish(closes: Bool)
    /// Say once more that this side requests nothing, which the remote may not know.
    case remind
    /// Say that this side does nothing more, and close.
    case leave
    case close
  }

  private(set) var fetching: Fetching
  /// True until the remote says that it requests nothing more.
  var remoteIsFetching = true
  private(set) var isClosed = false
  /// The time of the last message that had to do with fetching, in either direction.
  var lastActivity: Moment

  init(fetches: Bool, now: Moment) {
    fetching = fetches ? .on : .never
    lastActivity = now
  }

  var isFetching: Bool { fetching == .on }

  /// True if this side fetches or did.
  var everFetched: Bool { fetching == .on || fetching == .over }

  /// Fetches from now on.
  mutating func start() { fetching = .on }

  /// Fetches nothing more.
  mutating func stop() { if isFetching { fetching = .over } }

  /// - Returns: false if it was closed before.
  mutating func close() -> Bool {
    guard !isClosed else { return false }
    isClosed = true
    return true
  }

  /// Nothing is left to fetch, in a session that ends by itself.
  ///
  /// - Parameter hasQueue: true if the remote waits for answers.
  mutating func finished(hasQueue: Bool) -> Step {
    if isFetching { return finish() }
    guard !remoteIsFetching, !hasQueue else { return .wait }
    return everFetched ? .close : .leave
  }

  /// Nothing has happened for long enough.
  ///
  /// - Parameter isKnown: true if the remote has opened the feed.
  mutating func idled(isKnown: Bool) -> Step {
    guard isKnown else { return .close }
    if isFetching { return finish() }
    if fetching == .never { fetching = .neverRepeated }
    return .remind
  }

  private mutating func finish() -> Step {
    fetching = .over
    return .finish(closes: !remoteIsFetching)
  }
}

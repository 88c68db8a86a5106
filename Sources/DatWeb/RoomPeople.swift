internal import HypercoreCrypto
internal import Saga

/// The people of a room as its pages show them: those who are here, those who ask to write, and those whose messages
/// are hidden. The user is none of them.
///
/// It notifies nobody. Its functions return the parts of the state that they changed.
struct RoomPeople {
  /// The user's own feed; nil before the room is open.
  let own: PublicKey?
  private(set) var presence: Presence
  private(set) var requests: PendingRequests
  /// The feeds whose messages are hidden here.
  private(set) var muted: Set<PublicKey>

  /// Makes the people of a room that is not open yet.
  init() {
    own = nil
    presence = Presence(now: 0)
    requests = PendingRequests()
    muted = []
  }

  init(_ state: RoomState, own: PublicKey, patience: Duration, now: Int64) {
    self.own = own
    presence = Presence(
      patience: patience, here: state.people.filter { $0.key != own }, now: now)
    requests = PendingRequests(state.requests)
    muted = state.muted
  }

  /// The number of people who are here.
  var hereCount: Int { presence.people.values.count(where: \.isHere) }

  /// The feeds whose messages are not news to the user: the muted ones and the user's own.
  var mutedAndOwn: Set<PublicKey> { own.map { muted.union([$0]) } ?? muted }

  /// Handles an event about a person. A leave shows later: see ``showLeaves(now:)``.
  mutating func handle(_ event: SagaEvent, now: Int64) -> Set<Revisions.Part> {
    switch event {
    case .waiting(let person, let reason):
      presence.noteWaiting(person, reason: reason, now: now)
      return [.notices]
    case .join(let person) where person.key != own:
      presence.join(person, now: now)
      return [.people, .notices]
    case .change(let person) where person.key != own:
      presence.change(person)
      return [.people]
    case .leave(let person):
      presence.leave(person.key, now: now)
      return []
    case .request(let person): return requests.add(person) ? [.requests] : []
    case .requestGone(let key): return removeRequest(of: key)
    case .muted(let key, let isMuted): return setMuted(isMuted, key)
    default: return []
    }
  }

  /// Notes that a feed holds something that is not a message.
  ///
  /// - Parameter name: the name of the feed's writer, if it has one.
  mutating func noteUnreadable(
    _ feed: PublicKey, name: String?, now: Int64
  ) -> Set<Revisions.Part> {
    presence.noteUnreadable(feed, username: name, now: now)
    return [.notices]
  }

  /// Removes a request to write, which was answered or needs no answer any more.
  mutating func removeRequest(of key: PublicKey) -> Set<Revisions.Part> {
    requests.remove(key) ? [.requests] : []
  }

  /// Hides a feed's messages, or shows them again.
  mutating func setMuted(_ isMuted: Bool, _ key: PublicKey) -> Set<Revisions.Part> {
    guard key != own, muted.contains(key) != isMuted else { return [] }
    if isMuted { muted.insert(key) } else { muted.remove(key) }
    return [.people]
  }

  /// The time at which ``showLeaves(now:)`` has something to do next.
  var nextLeave: Int64? { presence.deadline }

  /// Shows the leaves for which the patience is over.
  mutating func showLeaves(now: Int64) -> Set<Revisions.Part> {
    presence.tick(now) ? [.people, .notices] : []
  }
}

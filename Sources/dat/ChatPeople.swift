internal import DatCoding
internal import HypercoreCrypto
internal import Saga

/// The people of a room as the chat knows them: those who are here, with patience for connections that break and come
/// back, and the latest name that each feed wrote under.
///
/// It prints nothing. Its functions return the notices to show.
struct ChatPeople {
  /// The feed that is written here.
  private let own: PublicKey
  private var presence: Presence
  private var authors: [PublicKey: ForeignText] = [:]

  init(own: PublicKey, patience: Duration, now: Int64) {
    self.own = own
    presence = Presence(patience: patience, now: now)
  }

  /// The others who are here.
  var here: [UserData] { presence.here.filter { $0.key != own } }

  // MARK: Comings and goings

  /// Handles an event of the room. A leave shows later: see ``showLeaves(now:)``.
  mutating func handle(_ event: SagaEvent, now: Int64) -> [Presence.Notice] {
    switch event {
    case .join(let user): return notices { $0.join(user, now: now) }
    case .change(let user): presence.change(user)
    case .leave(let user): presence.leave(user.key, now: now)
    default: break
    }
    return []
  }

  /// The time at which ``showLeaves(now:)`` has something to do next.
  var nextLeave: Int64? { presence.deadline }

  /// Shows the leaves for which the patience is over.
  mutating func showLeaves(now: Int64) -> [Presence.Notice] { notices { $0.tick(now) } }

  /// Changes who is here, and returns the notices of that.
  private mutating func notices(_ change: (inout Presence) -> Void) -> [Presence.Notice] {
    let last = presence.notices.last?.id ?? 0
    change(&presence)
    return presence.notices.filter { $0.id > last }
  }

  // MARK: Names

  /// Notes the name that a message was written under.
  ///
  /// - Returns: true if the feed had no name or another one.
  mutating func noteName(of message: Message) -> Bool {
    let name = ForeignText(message.username)
    return authors.updateValue(name, forKey: message.feed) != name
  }

  /// Returns everybody but the user whose key is known, by name: as an author rather than by presence.
  ///
  /// - Parameter muted: feeds that belong to the list even without a name.
  func known(muted: Set<PublicKey>) -> [(name: String, key: PublicKey)] {
    var names: [PublicKey: String] = [:]
    for user in presence.people.values { names[user.person.key] = user.person.username }
    names.merge(authors.mapValues(\.string)) { $1 }
    for key in muted where names[key] == nil { names[key] = "" }
    names[own] = nil
    return names.map { ($1, $0) }
  }
}

internal import HypercoreCrypto

/// Who is here and who was, with a moment's patience: connections break and come back, so a leave
/// counts only once somebody has been away for a while.
///
/// Instants are milliseconds since 1970 and are handed in.
struct Presence {
  struct Person: Hashable {
    var person: ChatPerson
    var isHere: Bool
    /// Here: since when. Gone: since when not any more.
    var since: Int64
  }

  /// A line of the conversation that is nobody's message.
  struct Notice: Hashable {
    enum Kind: String { case join, leave, unreadable, waiting }
    var id: Int
    var kind: Kind
    var time: Int64
    var key: PublicKey
    var username: String
    /// Of `waiting`: why.
    var detail: String?
  }

  /// How many lines are kept.
  static let keptNotices = 200
  /// How many people that have gone are kept.
  static let keptPeople = 500

  /// Everybody that was seen, by feed.
  private(set) var people: [PublicKey: Person] = [:]
  private(set) var notices: [Notice] = []
  /// How long somebody is away before it shows, in milliseconds.
  private let patience: Int64
  private var absentSince: [PublicKey: Int64] = [:]
  private var nextID = 1

  init(patience: Int64, here: [ChatPerson], now: Int64) {
    self.patience = patience
    for person in here { people[person.key] = Person(person: person, isHere: true, since: now) }
  }

  /// When ``tick(_:)`` has something to do next.
  var deadline: Int64? { absentSince.values.min().map { $0 + patience } }

  /// Somebody's first connection is up. A return within the patience leaves no trace.
  mutating func join(_ person: ChatPerson, now: Int64) {
    absentSince[person.key] = nil
    if var known = people[person.key], known.isHere {
      known.person = person
      people[person.key] = known
      return
    }
    people[person.key] = Person(person: person, isHere: true, since: now)
    add(.join, person.key, person.username, at: now)
    forgetSome()
  }

  /// Somebody's last connection is gone; shown once the patience is over.
  mutating func leave(_ key: PublicKey, now: Int64) {
    guard people[key]?.isHere == true, absentSince[key] == nil else { return }
    absentSince[key] = now
  }

  /// Shows the leaves whose patience is over.
  ///
  /// - Returns: whether there were any.
  mutating func tick(_ now: Int64) -> Bool {
    let gone = absentSince.filter { $0.value + patience <= now }
    for (key, since) in gone.sorted(by: { ($0.value, $0.key.hex) < ($1.value, $1.key.hex) }) {
      absentSince[key] = nil
      guard var known = people[key] else { continue }
      known.isHere = false
      known.since = since
      people[key] = known
      add(.leave, key, known.person.username, at: since)
    }
    return !gone.isEmpty
  }

  /// Notes that a feed holds something that is no message.
  ///
  /// - Parameter username: the name of whoever writes the feed, for one who was never seen here.
  mutating func noteUnreadable(_ feed: PublicKey, username: String? = nil, now: Int64) {
    // One line a feed, or a writer of nonsense would push everything else out.
    if notices.contains(where: { $0.kind == .unreadable && $0.key == feed }) { return }
    add(.unreadable, feed, people[feed]?.person.username ?? username ?? "", at: now)
  }

  /// Notes that somebody can't be let in yet.
  mutating func noteWaiting(_ person: ChatPerson, reason: String, now: Int64) {
    add(.waiting, person.key, person.username, at: now, detail: reason)
  }

  private mutating func add(
    _ kind: Notice.Kind, _ key: PublicKey, _ name: String, at time: Int64, detail: String? = nil
  ) {
    notices.append(
      Notice(id: nextID, kind: kind, time: time, key: key, username: name, detail: detail))
    nextID += 1
    if notices.count > Self.keptNotices { notices.removeFirst(notices.count - Self.keptNotices) }
  }

  /// Forgets who left longest ago, so that strangers with ever new keys can't fill memory.
  private mutating func forgetSome() {
    guard people.count > Self.keptPeople else { return }
    let gone = people.filter { !$0.value.isHere }.sorted { $0.value.since < $1.value.since }
    for (key, _) in gone.prefix(people.count - Self.keptPeople) { people[key] = nil }
  }
}

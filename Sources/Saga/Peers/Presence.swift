internal import DatCoding
public import HypercoreCrypto

/// The people who are in a room or have been, with some patience: connections break and come back, so a leave
/// counts only once a person has been away for a while, 30 s in Olaf.
///
/// A front end passes in the ``SagaEvent/join(_:)`` and ``SagaEvent/leave(_:)`` of a room, which are about
/// connections, and shows the result. Instants are milliseconds since 1970 and are passed in. People are
/// identified by feed, never by name.
public struct Presence: Sendable {
  /// A person who was seen.
  public struct Person: Hashable, Sendable {
    /// The person's latest data.
    public var person: UserData
    /// True if the person is here, or has been away for less than the patience.
    public var isHere: Bool
    /// The time of the arrival if the person is here, otherwise that of the leave.
    public var since: Int64
  }

  /// A line in the conversation that is not a message.
  public struct Notice: Hashable, Sendable {
    /// The kind of event.
    @nonexhaustive
    public enum Kind: String, Sendable {
      /// A person came.
      case join
      /// A person has been away for longer than the patience.
      case leave
      /// A feed holds something that is not a message.
      case unreadable
      /// A person can't be let in yet.
      case waiting
      /// More people came and went than get a line each; `detail` is the number of comings and goings. The
      /// line is replaced as the number grows.
      case crowd
    }

    /// A number, counted from 1.
    public var id: Int
    /// The kind of event.
    public var kind: Kind
    /// The time of the event; for a leave, the time at which the last connection ended.
    public var time: Int64
    /// The feed in question.
    public var key: PublicKey
    /// The name used with it; a label, not an identity.
    public var username: String { foreignName.string }
    var foreignName: ForeignText
    /// For `waiting` the reason, for `crowd` the number.
    public var detail: String?
  }

  /// The time that Olaf waits before it shows a leave.
  public static let olafsPatience = Duration.seconds(30)
  /// The most lines that are kept.
  static let keptNotices = 200
  /// The most people that are kept after they have gone.
  static let keptPeople = 500
  /// The most comings and goings in a minute that get a line each; more share one line.
  static let passingLines = 20
  /// The quiet time, in milliseconds, after which the next crowd gets a new line.
  static let crowdPause: Int64 = 600_000

  /// Every person that was seen, by feed. Beyond 500, those who left longest ago are evicted.
  public private(set) var people: [PublicKey: Person] = [:]
  /// The lines so far, the newest last; at most 200.
  public private(set) var notices: [Notice] = []
  /// The time in milliseconds that a person is away before it shows.
  private let patience: Int64
  private var absentSince: [PublicKey: Int64] = [:]
  private var nextID = 1
  /// The times of the latest comings and goings, the newest last; at most ``passingLines``.
  private var passing: [Int64] = []
  private var crowd: (count: Int, last: Int64)?

  /// - Parameters:
  ///   - patience: how long a person is away before it shows.
  ///   - here: the people who are here at the start, who get no line.
  ///   - now: the time, in milliseconds since 1970.
  public init(
    patience: Duration = olafsPatience, here: [UserData] = [], now: Int64
  ) {
    self.patience =
      patience.components.seconds * 1_000
      + patience.components.attoseconds / 1_000_000_000_000_000
    for person in here { people[person.key] = Person(person: person, isHere: true, since: now) }
  }

  /// The time at which ``tick(_:)`` has something to do next.
  public var deadline: Int64? { absentSince.values.min().map { $0 + patience } }

  /// The people who are here, by name, then key.
  public var here: [UserData] {
    people.values.filter(\.isHere).map(\.person).sorted {
      ($0.foreignName, $0.key.hex) < ($1.foreignName, $1.key.hex)
    }
  }

  /// Notes a person's first connection. A return within the patience leaves no trace.
  public mutating func join(_ person: UserData, now: Int64) {
    absentSince[person.key] = nil
    if var known = people[person.key], known.isHere {
      known.person = person
      people[person.key] = known
      return
    }
    people[person.key] = Person(person: person, isHere: true, since: now)
    pass(.join, person, at: now, now)
    evictSome()
  }

  /// Notes that the data of a person who is here has changed, or was proven to be the person's own.
  public mutating func change(_ person: UserData) { people[person.key]?.person = person }

  /// Notes the end of a person's last connection; it shows once the patience is over.
  public mutating func leave(_ key: PublicKey, now: Int64) {
    guard people[key]?.isHere == true, absentSince[key] == nil else { return }
    absentSince[key] = now
  }

  /// Shows the leaves whose patience is over.
  ///
  /// - Returns: true if there were any.
  @discardableResult
  public mutating func tick(_ now: Int64) -> Bool {
    let gone = absentSince.filter { $0.value + patience <= now }
    for (key, since) in gone.sorted(by: { ($0.value, $0.key.hex) < ($1.value, $1.key.hex) }) {
      absentSince[key] = nil
      guard var known = people[key] else { continue }
      known.isHere = false
      known.since = since
      people[key] = known
      pass(.leave, known.person, at: since, now)
    }
    return !gone.isEmpty
  }

  /// Notes that a feed holds something that is not a message.
  ///
  /// - Parameters:
  ///   - feed: the feed that holds it.
  ///   - username: the name of the feed's writer, if that was never seen here.
  ///   - now: the time, in milliseconds since 1970.
  public mutating func noteUnreadable(_ feed: PublicKey, username: String? = nil, now: Int64) {
    // One line a feed, or a writer of nonsense would push out all others.
    if notices.contains(where: { $0.kind == .unreadable && $0.key == feed }) { return }
    add(.unreadable, feed, people[feed]?.person.username ?? username ?? "", at: now)
  }

  /// Notes that a person can't be let in yet.
  public mutating func noteWaiting(_ person: UserData, reason: String, now: Int64) {
    add(.waiting, person.key, person.username, at: now, detail: reason)
  }

  /// Adds a line for a coming or going, or counts it in the line of the crowd, since strangers can come and
  /// go by the thousand.
  private mutating func pass(
    _ kind: Notice.Kind, _ person: UserData, at time: Int64, _ now: Int64
  ) {
    passing.append(now)
    if passing.count <= Self.passingLines {
      return add(kind, person.key, person.username, at: time)
    }
    let first = passing.removeFirst()
    if now - first > 60_000 { return add(kind, person.key, person.username, at: time) }
    if let last = crowd?.last, now - last <= Self.crowdPause {
      notices.removeAll { $0.kind == .crowd && $0.detail == crowd.map { "\($0.count)" } }
      crowd = ((crowd?.count ?? 0) + 1, now)
    } else {
      crowd = (1, now)
    }
    add(.crowd, PublicKey(), "", at: time, detail: crowd.map { "\($0.count)" })
  }

  private mutating func add(
    _ kind: Notice.Kind, _ key: PublicKey, _ name: String, at time: Int64, detail: String? = nil
  ) {
    notices.append(
      Notice(
        id: nextID, kind: kind, time: time, key: key, foreignName: ForeignText(name),
        detail: detail))
    nextID += 1
    if notices.count > Self.keptNotices { notices.removeFirst(notices.count - Self.keptNotices) }
  }

  /// Forgets those who left longest ago, so that strangers with ever new keys can't fill the memory.
  private mutating func evictSome() {
    guard people.count > Self.keptPeople else { return }
    let gone = people.filter { !$0.value.isHere }.sorted { $0.value.since < $1.value.since }
    for (key, _) in gone.prefix(people.count - Self.keptPeople) { people[key] = nil }
  }
}

internal import HypercoreCrypto

/// Who is in the room: users by the key they claim, counted by connection.
///
/// One user may be connected twice, and two users may go by one name; so a join is told with a key's
/// first connection and a leave with its last.
struct Roster {
  private var connections: [PublicKey: (data: UserData, count: Int)] = [:]

  /// The users now connected, sorted by name, then key.
  var users: [UserData] {
    connections.values.map(\.data).sorted {
      $0.foreignName == $1.foreignName
        ? $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) : $0.foreignName < $1.foreignName
    }
  }

  /// What the user of a key last said, while connected.
  subscript(key: PublicKey) -> UserData? { connections[key]?.data }

  /// A connection whose handshake names this user.
  ///
  /// - Returns: whether the user has just joined.
  mutating func connect(_ data: UserData) -> Bool {
    let count = (connections[data.key]?.count ?? 0) + 1
    connections[data.key] = (data, count)
    return count == 1
  }

  /// That connection has ended.
  ///
  /// - Returns: the user, where it was the last connection.
  mutating func disconnect(_ key: PublicKey) -> UserData? {
    guard let (data, count) = connections[key] else { return nil }
    if count > 1 {
      connections[key] = (data, count - 1)
      return nil
    }
    connections[key] = nil
    return data
  }
}

/// Who may write in a room.
///
/// In a room of the workshop everybody who has its key may: every peer authorizes whoever connects.
/// Refusing is local: other writers may admit the newcomer anyway.
public enum AuthorizationPolicy: Sendable {
  /// Everybody, as in the workshop, within ``AuthorizationLimits``.
  case open
  /// Nobody until ``Saga/accept(_:)`` is called for the request that an event tells of.
  case ask
  /// Whoever the closure says yes to. It is asked each time that somebody connects who may not write.
  case decide(@Sendable (UserData) async -> Bool)

  var isAsking: Bool { if case .ask = self { true } else { false } }
}

/// What bounds the authorizing of newcomers.
public struct AuthorizationLimits: Hashable, Sendable {
  /// How many are authorized in any minute; others wait.
  public var perMinute = 30
  /// How many feeds a room may have. The wire protocol has 256 channels a connection, and a newcomer
  /// to a room of more would get nothing.
  public var feeds = 240
  /// How many may wait for an answer at a time.
  public var requests = 1_000

  /// The defaults.
  public init() {}
}

/// Keeps to ``AuthorizationLimits/perMinute``.
struct BurstLimit {
  private var recent: [ContinuousClock.Instant] = []

  /// Takes one of the minute's places.
  ///
  /// - Returns: nil where there was one, else when the next is free.
  mutating func take(now: ContinuousClock.Instant, limit: Int) -> ContinuousClock.Instant? {
    recent.removeAll { $0 + .seconds(60) <= now }
    guard recent.count >= limit, let first = recent.first else {
      recent.append(now)
      return nil
    }
    return first + .seconds(60)
  }
}

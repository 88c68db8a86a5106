internal import HypercoreCrypto

/// The users in the room, by the key they claim, with their connections.
///
/// One user may be connected twice, and two users may use one name; so a key's first connection is a join,
/// and the end of its last is a leave. The data of a connection that has proven to hold the key takes
/// precedence over claims; among claims the first does.
struct Roster {
  struct Claim {
    var connection: UInt64
    var user: UserData
  }

  /// The claims of each key, in the order in which they came.
  private(set) var claims: [PublicKey: [Claim]] = [:]

  /// The users who are connected now, sorted by name, then key.
  var users: [UserData] {
    claims.values.compactMap(Self.shown).sorted {
      $0.foreignName == $1.foreignName
        ? $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) : $0.foreignName < $1.foreignName
    }
  }

  /// The data shown of a connected key's user: that of the newest proven connection, or else the first
  /// claim.
  subscript(key: PublicKey) -> UserData? { claims[key].flatMap(Self.shown) }

  private static func shown(_ claims: [Claim]) -> UserData? {
    (claims.last { $0.user.isProven } ?? claims.first)?.user
  }

  /// Adds a connection whose handshake names this user.
  ///
  /// - Returns: true if the user has just joined.
  mutating func connect(_ user: UserData, on connection: UInt64) -> Bool {
    claims[user.key, default: []].append(Claim(connection: connection, user: user))
    return claims[user.key]?.count == 1
  }

  /// Notes that the connection has proven to hold the key.
  ///
  /// - Returns: the data to show of the user now.
  mutating func prove(_ key: PublicKey, on connection: UInt64) -> UserData? {
    guard let index = claims[key]?.firstIndex(where: { $0.connection == connection }) else {
      return nil
    }
    claims[key]?[index].user.isProven = true
    return self[key]
  }

  /// Removes a connection.
  ///
  /// - Returns: the user, if it was the last connection; otherwise the data to show of the user from now on,
  ///   if that has changed.
  mutating func disconnect(_ key: PublicKey, on connection: UInt64) -> (
    gone: UserData?, changed: UserData?
  ) {
    let before = self[key]
    guard let index = claims[key]?.firstIndex(where: { $0.connection == connection }) else {
      return (nil, nil)
    }
    claims[key]?.remove(at: index)
    if claims[key]?.isEmpty == true {
      claims[key] = nil
      return (before, nil)
    }
    return (nil, self[key] == before ? nil : self[key])
  }
}

/// The rule by which newcomers may write in a room.
///
/// In a room of the workshop everybody with its key may: every peer authorizes any user that connects.
/// Refusing is local: other writers may admit the newcomer anyway.
public enum AuthorizationPolicy: Sendable {
  /// Everybody, as in the workshop, within ``AuthorizationLimits``.
  case open
  /// Nobody until ``Saga/accept(_:)`` is called for the request of an event.
  case ask
  /// Each user for which the closure returns true. It is called each time that a user without authorization
  /// connects; ``UserData/isProven`` is true if the user has proven to hold its key.
  case decide(@Sendable (UserData) async -> Bool)

  var isAsking: Bool { if case .ask = self { true } else { false } }
}

/// The limits on authorizing newcomers.
public struct AuthorizationLimits: Hashable, Sendable {
  /// The most that are authorized in any minute; others wait.
  public var perMinute = 30
  /// The most feeds that a room may have. The wire protocol has 256 channels a connection, and a newcomer
  /// to a room of more would get nothing.
  public var feeds = 240
  /// The most pending requests of users that have proven to hold their key.
  public var requests = 1_000
  /// The most of these from one address.
  public var requestsPerAddress = 16
  /// The most pending requests of others: claims, which anybody can make of anybody's key.
  public var unproven = 32
  /// The most of those from one address.
  public var unprovenPerAddress = 3

  /// The defaults.
  public init() {}
}

internal import HypercoreCrypto

/// The users in the room, by the key they claim, with their connections.
///
/// One user may be connected twice, and two users may go by one name; so a join is told with a key's
/// first connection and a leave with its last. What a connection says that has shown to hold the key comes
/// before what others claim of it; among claims the first stays.
struct Roster {
  private struct Claim {
    var connection: UInt64
    var user: UserData
  }

  /// In the order in which they came.
  private var claims: [PublicKey: [Claim]] = [:]

  /// The users now connected, sorted by name, then key.
  var users: [UserData] {
    claims.values.compactMap(Self.shown).sorted {
      $0.foreignName == $1.foreignName
        ? $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) : $0.foreignName < $1.foreignName
    }
  }

  /// What is shown of a key's user while connected: what the newest proven connection said, else what the
  /// first claimed.
  subscript(key: PublicKey) -> UserData? { claims[key].flatMap(Self.shown) }

  private static func shown(_ claims: [Claim]) -> UserData? {
    (claims.last { $0.user.isProven } ?? claims.first)?.user
  }

  /// A connection whose handshake names this user.
  ///
  /// - Returns: whether the user has just joined.
  mutating func connect(_ user: UserData, on connection: UInt64) -> Bool {
    claims[user.key, default: []].append(Claim(connection: connection, user: user))
    return claims[user.key]?.count == 1
  }

  /// The connection has shown that it holds the key.
  ///
  /// - Returns: what is shown of the user now.
  mutating func prove(_ key: PublicKey, on connection: UInt64) -> UserData? {
    guard let index = claims[key]?.firstIndex(where: { $0.connection == connection }) else {
      return nil
    }
    claims[key]?[index].user.isProven = true
    return self[key]
  }

  /// That connection has ended.
  ///
  /// - Returns: the user, where it was the last connection; and otherwise what is shown of the user from
  ///   now on, where that is something else.
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

/// Who may write in a room.
///
/// In a room of the workshop everybody who has its key may: every peer authorizes whoever connects.
/// Refusing is local: other writers may admit the newcomer anyway.
public enum AuthorizationPolicy: Sendable {
  /// Everybody, as in the workshop, within ``AuthorizationLimits``.
  case open
  /// Nobody until ``Saga/accept(_:)`` is called for the request that an event tells of.
  case ask
  /// Each user that the closure says yes to. It is asked each time that one connects that may not write;
  /// ``UserData/isProven`` says whether it has shown to hold its key.
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
  /// How many may wait for an answer at a time of those that have shown to hold their key.
  public var requests = 1_000
  /// How many of them may come from one address.
  public var requestsPerAddress = 16
  /// How many others may: claims, which anybody can make of anybody's key.
  public var unproven = 32
  /// How many of those may come from one address.
  public var unprovenPerAddress = 3

  /// The defaults.
  public init() {}
}

internal import HypercoreCrypto

/// The requests to write that wait for an answer, by the connection that made them.
///
/// A *proven* request is one whose user has proven to hold the key; it stays when its connection ends. An
/// *unproven* one is a claim, which anybody may make of anybody's key: it is listed below the proven ones,
/// is hidden if its key has a proven one, and ends with its connection. Requests beyond the limits wait for
/// a place.
struct WriteRequests {
  /// The most requests that are listed.
  struct Limits {
    /// Proven, in all.
    var proven = 1_000
    /// Proven, from one address: a household or a class behind one address may ask at a time.
    var provenOfAddress = 16
    /// Unproven, in all: as many as a person can look through.
    var unproven = 32
    /// Unproven, from one address.
    var unprovenOfAddress = 3
  }

  private struct Entry {
    var user: UserData
    var isListed = false
    /// True if its connection has ended.
    var isGone = false
  }

  private let limits: Limits
  private var entries: [UInt64: Entry] = [:]

  init(limits: Limits) { self.limits = limits }

  /// The users of the listed requests: proven ones first, then by name and key.
  var listed: [UserData] {
    var users: [PublicKey: UserData] = [:]
    for (_, entry) in entries.sorted(by: { $0.key < $1.key }) where entry.isListed {
      if users[entry.user.key]?.isProven == true { continue }
      if users[entry.user.key] == nil || entry.user.isProven { users[entry.user.key] = entry.user }
    }
    return users.values.sorted { one, other in
      if one.isProven != other.isProven { return one.isProven }
      let (left, right) = (one.username.utf8, other.username.utf8)
      if left.elementsEqual(right) { return one.key.hex < other.key.hex }
      return left.lexicographicallyPrecedes(right)
    }
  }

  /// The number of requests that wait for a place in the list.
  var waitingCount: Int { entries.values.count { !$0.isListed } }

  func contains(_ key: PublicKey) -> Bool { entries.values.contains { $0.user.key == key } }

  /// Adds a request of a connection's user, or notes that it is now proven. One request a key and connection.
  mutating func add(_ user: UserData, on connection: UInt64) {
    if user.isProven {
      // The same user came back.
      for (number, entry) in entries
      where entry.user.key == user.key && entry.user.isProven && entry.isGone {
        entries[number] = nil
      }
      if let known = entries.first(where: {
        $0.value.user.key == user.key && $0.value.user.isProven
      }) {
        entries[known.key]?.user = user
        return
      }
    }
    entries[connection] = Entry(user: user)
  }

  /// Notes the end of a connection.
  mutating func leave(_ connection: UInt64) {
    if entries[connection]?.user.isProven == true, entries[connection]?.isListed == true {
      entries[connection]?.isGone = true
    } else {
      entries[connection] = nil
    }
  }

  /// Removes all requests for a key, which was answered.
  mutating func answer(_ key: PublicKey) {
    entries = entries.filter { $0.value.user.key != key }
  }

  /// Fills the free places, first with proven requests, in the order in which they came. Proven ones that are
  /// gone make room for others.
  ///
  /// - Returns: the users that are newly listed.
  mutating func fill() -> [UserData] {
    let waiting = entries.filter { !$0.value.isListed }
      .sorted {
        ($0.value.user.isProven ? 0 : 1, $0.key) < ($1.value.user.isProven ? 0 : 1, $1.key)
      }
    var fresh: [UserData] = []
    for (number, entry) in waiting where hasPlace(for: entry.user) {
      entries[number]?.isListed = true
      fresh.append(entry.user)
    }
    return fresh
  }

  private mutating func hasPlace(for user: UserData) -> Bool {
    let alike = entries.filter { $0.value.isListed && $0.value.user.isProven == user.isProven }
    let share = AddressShare(user.address)
    let neighbours = alike.filter { AddressShare($0.value.user.address) == share }
    guard user.isProven else {
      return alike.count < limits.unproven && neighbours.count < limits.unprovenOfAddress
    }
    if neighbours.count >= limits.provenOfAddress { return makeRoom(among: neighbours) }
    return alike.count < limits.proven || makeRoom(among: alike)
  }

  private mutating func makeRoom(among entries: [UInt64: Entry]) -> Bool {
    guard let oldest = entries.filter({ $0.value.isGone }).keys.min() else { return false }
    self.entries[oldest] = nil
    return true
  }
}

internal import HypercoreCrypto
internal import Saga

/// The requests to write that a room shows.
struct PendingRequests {
  private(set) var list: [UserData]

  init(_ requests: some Sequence<UserData> = []) {
    list = Array(requests.prefix(Limits.requests))
  }

  /// Lists a request, or that it is proven now; false if that changes nothing or there is no room.
  mutating func add(_ person: UserData) -> Bool {
    if let known = list.firstIndex(where: { $0.key == person.key }) {
      guard person.isProven, list[known] != person else { return false }
      list[known] = person
      return true
    }
    // A claim is evicted for a request that is proven.
    if list.count >= Limits.requests {
      guard person.isProven, let claim = list.lastIndex(where: { !$0.isProven }) else {
        return false
      }
      list.remove(at: claim)
    }
    list.append(person)
    return true
  }

  /// Removes a request; false if there is none.
  mutating func remove(_ key: PublicKey) -> Bool {
    let count = list.count
    list.removeAll { $0.key == key }
    return list.count < count
  }
}

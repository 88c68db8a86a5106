/// The number of entries of a rendezvous server that one client may have while they are scarce.
///
/// Some dozen hosts, each with as many as one may have, fill a server. So when nearly all are taken, the clients with
/// the most lose what they have above an equal share, until a quarter is free. A client that has few keeps all.
struct EntryAllowance {
  /// Nobody loses the last of these: enough for the topics of a person's programs.
  private static let least = 32

  /// The most entries in all.
  let total: Int
  /// The most entries of one client at present.
  private(set) var value = Int.max

  init(total: Int) { self.total = total }

  /// Sets the allowance by the numbers of entries that there are.
  ///
  /// - Returns: how many of them each client is to lose.
  mutating func update<Client>(_ counts: [Client: Int], count: Int) -> [Client: Int] {
    guard count > total - total / 10 else {
      // Those that lost some would have them back at once.
      if count <= total / 2 { value = .max }
      return [:]
    }
    var (left, clients) = (total - total / 4, counts.count)
    var share = Int.max
    for count in counts.values.sorted() {
      share = left / clients
      if count > share { break }
      left -= count
      clients -= 1
      share = .max
    }
    value = max(share, Self.least)
    return counts.filter { $0.value > value }.mapValues { $0 - value }
  }
}

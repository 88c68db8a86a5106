internal import HypercoreCrypto

/// The keys that the writers of a database have named in their lists, and which of them have a place.
///
/// Any writer can name any keys, and a list names all that its writer knew. So a key alone has no standing:
/// it is noted, and its feed gets a place once a block of it is verified.
///
/// If there are more such feeds than places, their prices decide, which follow from the blocks alone:
///
/// - A writer *lets in* a key by an entry that authorizes it: one with an empty key and no value, whose
///   list names a key that no earlier list of that writer named; if it names several, the last.
/// - First come the feeds that the owner let in, then those that another writer with a place let in, then
///   those that a writer with a place merely listed.
/// - Within these, first come those that the owner let in, then those let in by these, and so on.
/// - Within these the lowest price comes first: eight times the price of the writer that let the feed in,
///   plus one for each feed with a verified block that this writer let in, up to and including it. The owner
///   costs nothing. Equal prices are in the order of the keys.
///
/// So a host that the owner let in has room for newcomers, whatever those let in themselves. The writers that
/// the owner let in share the rest, the earlier ones with more of it. And the owner always has a place to
/// give.
struct Namings {
  /// The first naming of a key by a writer.
  private struct Mention {
    var seq: Int
    var position: Int
    var isAuthorization: Bool
  }

  private struct Named {
    var mentions: [PublicKey: Mention] = [:]
    /// The keys, in the order in which they were learned.
    var order: [PublicKey] = []
  }

  private var byWriter: [PublicKey: Named] = [:]
  /// For each key, the number of writers that name it.
  private var counts: [PublicKey: Int] = [:]
  /// The number of changes so far after which other feeds may have a place.
  private(set) var placeChanges = 0
  /// The number of keys that any writer names.
  var keyCount: Int { counts.count }

  /// The most keys named by one writer of which nothing is known: some 150 bytes each. The oldest are evicted
  /// for others.
  private static let unproven = 1024

  /// Returns whether most keys that a writer named lately belong to no feed that is known.
  func isCrowded(by writer: PublicKey, isProven: (PublicKey) -> Bool) -> Bool {
    guard let order = byWriter[writer]?.order, order.count > 32 else { return false }
    return order.suffix(64).count { !isProven($0) } > 32
  }

  /// Returns whether any writer names a key.
  func isNoted(_ key: PublicKey) -> Bool { counts[key] != nil }

  func names(_ writer: PublicKey, _ key: PublicKey) -> Bool {
    byWriter[writer]?.mentions[key] != nil
  }

  /// Returns the keys that a writer has named, in the order in which they were learned.
  func keys(of writer: PublicKey) -> [PublicKey] { byWriter[writer]?.order ?? [] }

  /// Returns the blocks in which a writer named keys first.
  func lists(of writer: PublicKey) -> [Int] {
    byWriter[writer].map { $0.mentions.values.map(\.seq) } ?? []
  }

  /// Notes the keys of a list.
  ///
  /// - Parameters:
  ///   - keys: the keys; nil for each element that is not one.
  ///   - isAuthorization: true if the entry that has the list is one that authorizes.
  ///   - isProven: true if a block of the feed with a key is verified.
  /// - Returns: how many keys the list names that the writer had not named, and whether a block of any of
  ///   them is verified.
  mutating func note(
    _ keys: [PublicKey?], at seq: Int, isAuthorization: Bool, by writer: PublicKey,
    isProven: (PublicKey) -> Bool
  ) -> (count: Int, hasProven: Bool) {
    var named = byWriter.removeValue(forKey: writer) ?? Named()
    defer { byWriter[writer] = named }
    let before = named.order.count
    var hasProven = false
    for (position, key) in keys.enumerated() {
      guard let key, key != writer else { continue }
      if let known = named.mentions[key] {
        // Lists may be read in any order; the first in the feed counts.
        guard seq < known.seq else { continue }
        placeChanges += 1
      } else {
        named.order.append(key)
        counts[key, default: 0] += 1
        if isProven(key) {
          hasProven = true
          placeChanges += 1
        }
      }
      named.mentions[key] = Mention(
        seq: seq, position: position, isAuthorization: isAuthorization)
    }
    let count = named.order.count - before
    trim(&named, isProven)
    return (count, hasProven)
  }

  private mutating func trim(_ named: inout Named, _ isProven: (PublicKey) -> Bool) {
    guard named.order.count > Self.unproven else { return }
    let unproven = named.order.filter { !isProven($0) }
    guard unproven.count > Self.unproven + Self.unproven / 4 else { return }
    let mentions = named.mentions
    let oldest = unproven.sorted { Self.precedes(mentions[$0], mentions[$1]) }
      .prefix(unproven.count - Self.unproven)
    for key in oldest {
      named.mentions[key] = nil
      countUnnamed(key)
    }
    named.order.removeAll { named.mentions[$0] == nil }
  }

  private static func precedes(_ one: Mention?, _ other: Mention?) -> Bool {
    guard let one, let other else { return one == nil && other != nil }
    return (one.seq, one.position) < (other.seq, other.position)
  }

  /// Counts one writer less that names a key.
  private mutating func countUnnamed(_ key: PublicKey) {
    let count = counts[key, default: 1] - 1
    counts[key] = count > 0 ? count : nil
  }

  /// Removes the keys that a writer named.
  mutating func remove(_ writer: PublicKey) {
    guard let named = byWriter.removeValue(forKey: writer) else { return }
    for key in named.order { countUnnamed(key) }
    placeChanges += 1
  }

  // MARK: Places

  /// Returns what a writer let in and what it merely listed, each in order.
  func shares(of writer: PublicKey) -> (letIn: [PublicKey], listed: [PublicKey]) {
    guard let named = byWriter[writer] else { return ([], []) }
    let ordered = named.order.sorted {
      Self.precedes(named.mentions[$0], named.mentions[$1])
    }
    var (letIn, listed): ([PublicKey], [PublicKey]) = ([], [])
    for (index, key) in ordered.enumerated() {
      let mention = named.mentions[key]
      let next = index + 1 < ordered.count ? named.mentions[ordered[index + 1]] : nil
      if mention?.isAuthorization == true, mention?.seq != next?.seq {
        letIn.append(key)
      } else {
        listed.append(key)
      }
    }
    return (letIn, listed)
  }

  private struct Price: Comparable {
    var rank: Int
    var level: Int
    var amount: Int
    var key: PublicKey

    static func < (one: Price, other: Price) -> Bool {
      if one.rank != other.rank { return one.rank < other.rank }
      if one.level != other.level { return one.level < other.level }
      if one.amount != other.amount { return one.amount < other.amount }
      return one.key.precedes(other.key)
    }

    /// Returns the price of the feed with that number among those that a writer of this price lets in.
    func ofOther(_ number: Int) -> Int {
      let (amount, isOver) = amount.multipliedReportingOverflow(by: 8)
      return isOver || amount > .max - number ? .max : amount + number
    }
  }

  /// Returns the feeds that have a place besides the owner's, the lowest price first, at most `limit`.
  ///
  /// - Parameter isProven: returns whether a block of the feed with a key is verified.
  func places(
    owner: PublicKey, limit: Int, isProven: (PublicKey) -> Bool
  ) -> [PublicKey] {
    var placed: [PublicKey] = []
    var open = Heap<Price>()
    var done: Set<PublicKey> = [owner]
    var next = Price(rank: -1, level: 0, amount: 0, key: owner)
    while true {
      let shares = shares(of: next.key)
      let isOwner = next.key == owner
      for (keys, rank) in [(shares.letIn, isOwner ? 0 : 1), (shares.listed, 2)] {
        var number = 0
        for key in keys where isProven(key) {
          number += 1
          guard !done.contains(key) else { continue }
          open.insert(
            Price(
              rank: max(rank, next.rank), level: next.level + 1, amount: next.ofOther(number),
              key: key))
        }
      }
      // If a feed has several prices, the lowest comes out first.
      while let least = open.first, done.contains(least.key) { open.removeFirst() }
      guard placed.count < limit, let least = open.first else { return placed }
      open.removeFirst()
      done.insert(least.key)
      placed.append(least.key)
      next = least
    }
  }
}

extension PublicKey {
  /// Returns whether its bytes precede those of another.
  func precedes(_ other: PublicKey) -> Bool {
    withUnsafeBytes { one in
      other.withUnsafeBytes { other in
        zip(one, other).first { $0 != $1 }.map { $0 < $1 } ?? false
      }
    }
  }
}

/// A priority queue: the least element comes out first.
private struct Heap<Element: Comparable> {
  private var elements: [Element] = []

  var first: Element? { elements.first }

  mutating func insert(_ element: Element) {
    elements.append(element)
    var index = elements.count - 1
    while index > 0, elements[index] < elements[(index - 1) / 2] {
      elements.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  mutating func removeFirst() {
    guard let last = elements.popLast(), !elements.isEmpty else { return }
    elements[0] = last
    var index = 0
    while true {
      var least = index
      for child in [2 * index + 1, 2 * index + 2]
      where child < elements.count && elements[child] < elements[least] {
        least = child
      }
      if least == index { return }
      elements.swapAt(index, least)
      index = least
    }
  }
}

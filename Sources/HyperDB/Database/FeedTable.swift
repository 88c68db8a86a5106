internal import HypercoreCrypto

/// The feeds that have a place in an open database, and the numbers that stand for them.
///
/// Everything that is decoded names a feed by its number. A feed keeps its number as long as it has its place.
/// Then the number is vacant until another feed gets it; meanwhile it has a writer without blocks.
///
/// ```
/// number         0        1        2        3
/// writers    [ source | local  | (none) | peer   ]
/// keys       [ key    | key    | none   | key    ]
/// vacant                         2
/// authorized   0, 3               in the order of authorization
/// ```
struct FeedTable {
  /// By number, each feed and what was learned from its entries.
  private(set) var writers: [Writer] = []
  /// By number, the key of each feed; that of a vacant number has only zeros.
  private(set) var keys: [PublicKey] = []
  private var numbers: [PublicKey: Int] = [:]
  /// Numbers that a feed has lost and no other has got yet.
  private var vacant: [Int] = []
  /// The authorized feeds, in the order of authorization, which is the order of replication.
  private(set) var authorized: [Int] = []
  /// The number of the feed that this replica writes; nil if it has none.
  private(set) var local: Int?
  /// The number of changes of feeds so far: opened, authorized, lost or newly named ones.
  private(set) var changes = 0
  /// True if blocks that are verified but not stored count; see ``DatabaseCore/Options/fetchesBlocks``.
  private let fetchesBlocks: Bool

  init(fetchesBlocks: Bool) { self.fetchesBlocks = fetchesBlocks }

  /// The writer with a number.
  @inline(__always)
  subscript(_ number: Int) -> Writer { writers[number] }

  /// The number of feeds that have a place.
  var count: Int { numbers.count }

  /// The number of a feed; nil if it has no place.
  func number(of key: PublicKey) -> Int? { numbers[key] }

  /// Returns the number of each element of a list of keys that has one, -1 for the others.
  func decodeMap(of keys: [[UInt8]]) -> [Int] {
    keys.map { PublicKey(bytes: $0).flatMap { numbers[$0] } ?? -1 }
  }

  /// The numbers that are not vacant, in ascending order.
  var occupied: [Int] { writers.indices.filter { !vacant.contains($0) } }

  /// True if another feed can get a place. One number is reserved for the local feed.
  var hasPlace: Bool {
    let isLocalApart = local.map { $0 != 0 && !writers[$0].isAuthorized } ?? false
    return writers.count - vacant.count - (isLocalApart ? 1 : 0) <= HyperDBLimits.places
  }

  /// True if a feed has lost a number that no other has got yet.
  var hasVacantNumber: Bool { !vacant.isEmpty }

  // MARK: Changes

  /// Gives a feed a number.
  @discardableResult
  mutating func add(_ log: any EntryLog) -> Int {
    let number = vacant.popLast() ?? writers.count
    let writer = Writer(id: number, log: log, fetchesBlocks: fetchesBlocks)
    if number < writers.count {
      writers[number] = writer
      keys[number] = log.key
    } else {
      writers.append(writer)
      keys.append(log.key)
    }
    numbers[log.key] = number
    changes += 1
    checkInvariants()
    return number
  }

  /// Makes the feed with a number the one that is written here.
  mutating func setLocal(_ number: Int) { local = number }

  /// Takes a feed's number away, and returns the feed.
  mutating func vacate(_ number: Int) -> any EntryLog {
    let log = writers[number].log
    numbers[log.key] = nil
    let none = MemoryLog(key: PublicKey(), isWritable: false)
    writers[number] = Writer(id: number, log: none, fetchesBlocks: fetchesBlocks)
    keys[number] = none.key
    authorized.removeAll { $0 == number }
    vacant.append(number)
    changes += 1
    checkInvariants()
    return log
  }

  /// Marks a feed as authorized, and every feed with a place that it names, and so on.
  mutating func authorize(_ feed: Int, by namings: Namings) {
    var next = [feed]
    while let feed = next.popLast() {
      if !writers[feed].isAuthorized {
        writers[feed].isAuthorized = true
        authorized.append(feed)
        changes += 1
      }
      next += namings.keys(of: keys[feed]).reversed().compactMap { numbers[$0] }
        .filter { !writers[$0].isAuthorized }
    }
    checkInvariants()
  }

  /// Counts a change of the feeds that are named.
  mutating func countChange() { changes += 1 }

  /// Invalidates the lists that were read before feeds got their present numbers.
  ///
  /// - Returns: true if one of them read a clock that counts entries of a feed without a number.
  func invalidateLists() -> Bool {
    var hasLeftOut = false
    for writer in writers where writer.invalidate(numbers) { hasLeftOut = true }
    return hasLeftOut
  }

  /// Checks, in debug builds, that numbers, keys and writers belong together.
  private func checkInvariants() {
    assert(keys.count == writers.count && numbers.count + vacant.count == writers.count)
    assert(numbers.allSatisfy { keys[$0.value] == $0.key && writers[$0.value].id == $0.value })
    assert(vacant.allSatisfy { keys[$0] == PublicKey() && !writers[$0].isAuthorized })
    assert(authorized.allSatisfy { writers[$0].isAuthorized })
  }
}

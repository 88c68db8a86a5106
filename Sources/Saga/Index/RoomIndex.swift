internal import HypercoreCrypto

/// The messages of a room without their texts: which there are, their order, and the location of each text.
/// It takes little more than 44 bytes a message.
///
/// There is one record for each key of each feed, and the newest entry of that feed under that key decides: a
/// text is shown, a deletion is not. Entries of other feeds play no part, nor does any clock, nor the order in
/// which entries come. An entry that is neither text nor deletion changes nothing.
struct RoomIndex {
  /// The relevant facts about an entry under the room's prefix.
  struct Entry {
    var key: [UInt8]
    var feed: PublicKey
    var seq: UInt64
    /// The time of a text; nil for a deletion, and for a value that is not a message.
    var timestamp: Int64?
    var isDeletion: Bool
  }

  /// The effect of an entry on what is shown.
  enum Change: Hashable {
    case none
    case added(UInt32)
    case edited(UInt32)
    /// The message that was shown, and the block with its text.
    case removed(UInt32, seq: UInt64)
    case unreadable
  }

  /// The facts about a key of a feed: 32 bytes.
  struct Record {
    var timestamp: Int64
    /// Feed, flags and block in one number; see below.
    var packed: UInt64
    let key: CompactKey
  }

  /// A feed with records.
  struct Feed {
    let key: PublicKey
    /// The number of its messages that are shown.
    var count = 0
    /// The last of these; nil if it has to be searched for.
    var newest: UInt32?
  }

  private(set) var feeds: [Feed] = []
  private var numbers: [PublicKey: UInt32] = [:]
  /// The feed of the last entry: they come in runs of one feed.
  private var lastFeed: (key: PublicKey, number: UInt32)?
  private(set) var records: [Record] = []
  private var table = NumberTable()
  private(set) var keys = KeyTable()
  /// The records that are shown, by time, key and feed.
  private(set) var order = RecordOrder()

  /// The number of messages that are shown.
  var count: Int { order.count }

  init() {}

  /// Makes an index of sorted records, those that are shown first; nil if they are not valid.
  ///
  /// - Parameter shownCount: the number of them that are shown.
  init?(feeds feedKeys: [PublicKey], keys: KeyTable, records: [Record], shownCount: Int) {
    feeds = feedKeys.map { Feed(key: $0) }
    for (number, key) in feedKeys.enumerated() { numbers[key] = UInt32(number) }
    guard numbers.count == feedKeys.count else { return nil }
    self.keys = keys
    self.records = records
    let comparison = comparison
    for (number, record) in records.enumerated() {
      guard record.feed < feeds.count, record.key.beginning < keys.count,
        record.key.low & 0xff <= CompactKey.endBytes, record.isShown == (number < shownCount)
      else { return nil }
      guard record.isShown else { continue }
      if number > 0, !comparison.precedes(UInt32(number - 1), UInt32(number)) { return nil }
      feeds[Int(record.feed)].count += 1
      feeds[Int(record.feed)].newest = UInt32(number)
    }
    order = RecordOrder(sortedCount: shownCount)
    table.reserve(records.count) { Self.hash(records[Int($0)].key) }
    for (number, record) in records.enumerated() {
      table.insert(UInt32(number), hash: Self.hash(record.key)) { Self.hash(records[Int($0)].key) }
    }
  }

  // MARK: Adding

  /// Adds an entry.
  mutating func add(_ entry: Entry) -> Change {
    let isReadable = entry.timestamp != nil
    guard isReadable || entry.isDeletion else { return .unreadable }
    guard entry.seq <= Record.seqLimit, let feed = number(adding: entry.feed),
      let key = keys.insert(entry.key)
    else { return .none }
    guard let number = find(key, feed) else {
      return append(
        Record(timestamp: entry.timestamp ?? 0, feed: feed, seq: entry.seq, key: key), isReadable)
    }
    if entry.seq > records[Int(number)].seq { return supersede(number, by: entry) }
    // Only in a sparse database does an earlier entry arrive later.
    guard isReadable, entry.seq < records[Int(number)].seq else { return .none }
    let wasEdited = records[Int(number)].isEdited
    records[Int(number)].isEdited = records[Int(number)].hasText
    records[Int(number)].hasText = true
    return records[Int(number)].isShown && !wasEdited ? .edited(number) : .none
  }

  private mutating func append(_ new: Record, _ isReadable: Bool) -> Change {
    guard records.count < Int(UInt32.max) else { return .none }
    var record = new
    record.hasText = isReadable
    record.isDeleted = !isReadable
    let number = UInt32(records.count)
    records.append(record)
    insertInTable(number)
    guard isReadable else { return .none }
    show(number)
    return .added(number)
  }

  private mutating func supersede(_ number: UInt32, by entry: Entry) -> Change {
    let before = records[Int(number)]
    var after = before
    after.seq = entry.seq
    after.isDeleted = entry.isDeletion
    if let timestamp = entry.timestamp {
      after.timestamp = timestamp
      after.isEdited = before.hasText
      after.hasText = true
    }
    let moves = before.isShown && (after.isDeleted || after.timestamp != before.timestamp)
    if moves { hide(number) }
    records[Int(number)] = after
    if after.isShown, moves || !before.isShown { show(number) }
    switch (before.isShown, after.isShown) {
    case (false, true): return .added(number)
    case (true, true): return .edited(number)
    case (true, false): return .removed(number, seq: before.seq)
    case (false, false): return .none
    }
  }

  private mutating func show(_ number: UInt32) {
    let feed = Int(record(number).feed)
    let time = record(number).timestamp
    // Nearly all come after the last one.
    if let last = order.last, record(last).timestamp < time {
      order.append(number)
    } else {
      let comparison = comparison
      order.insert(number) { comparison.precedes($0, number) }
    }
    let isNewest: Bool
    if let newest = feeds[feed].newest {
      let other = record(newest).timestamp
      isNewest = other == time ? comparison.precedes(newest, number) : other < time
    } else {
      isNewest = feeds[feed].count == 0
    }
    count(number, of: feed, isNewest: isNewest)
  }

  private mutating func count(_ number: UInt32, of feed: Int, isNewest: Bool) {
    feeds[feed].count += 1
    if isNewest { feeds[feed].newest = number }
  }

  private mutating func hide(_ number: UInt32) {
    let comparison = comparison
    order.remove(number) { comparison.precedes($0, number) }
    let feed = Int(record(number).feed)
    feeds[feed].count -= 1
    if feeds[feed].newest == number { feeds[feed].newest = nil }
  }

  /// Takes out what a feed wrote. The numbers of its records stay what they are, of nothing. Costs a look at
  /// every record.
  ///
  /// - Returns: the records that were shown.
  mutating func remove(_ feed: PublicKey) -> [UInt32] {
    guard let number = numbers[feed] else { return [] }
    var removed: [UInt32] = []
    for place in records.indices where records[place].feed == number {
      if records[place].isShown {
        hide(UInt32(place))
        removed.append(UInt32(place))
      }
      records[place].clear()
    }
    return removed
  }

  private mutating func number(adding feed: PublicKey) -> UInt32? {
    if let lastFeed, lastFeed.key == feed { return lastFeed.number }
    guard let number = numbers[feed] ?? append(feed) else { return nil }
    lastFeed = (feed, number)
    return number
  }

  private mutating func append(_ feed: PublicKey) -> UInt32? {
    guard feeds.count < Record.feedLimit else { return nil }
    let number = UInt32(feeds.count)
    feeds.append(Feed(key: feed))
    numbers[feed] = number
    return number
  }

  private mutating func insertInTable(_ number: UInt32) {
    let records = records
    table.insert(number, hash: Self.hash(records[Int(number)].key)) {
      Self.hash(records[Int($0)].key)
    }
  }

  // MARK: Lookup

  /// Returns a record by its number, which must be one that the index handed out.
  func record(_ number: UInt32) -> Record { records[Int(number)] }

  /// Returns the record of a message, shown or not.
  func find(_ id: Message.ID) -> UInt32? {
    guard let feed = numbers[id.feed], let key = keys.find(id.keyBytes) else { return nil }
    return find(key, feed)
  }

  private func find(_ key: CompactKey, _ feed: UInt32) -> UInt32? {
    table.find(Self.hash(key)) { number in
      let record = record(number)
      return record.key == key && record.feed == feed ? number : nil
    }
  }

  /// Returns the messages of other feeds under the key of this one.
  func sharing(_ number: UInt32) -> [UInt32] {
    var others: [UInt32] = []
    let one = record(number)
    let _: Void? = table.find(Self.hash(one.key)) { other in
      if other != number, record(other).isShown, record(other).key == one.key {
        others.append(other)
      }
      return nil
    }
    return others
  }

  /// Returns whether another feed has a message under the same key.
  func sharesKey(_ number: UInt32) -> Bool {
    let one = record(number)
    return table.find(Self.hash(one.key)) { other in
      other != number && record(other).isShown && record(other).key == one.key ? true : nil
    } ?? false
  }

  /// The numbers of the feeds that have entries, in order: not those that have lost their place.
  var usedFeeds: [Int] {
    var isUsed = [Bool](repeating: false, count: feeds.count)
    for record in records where record.hasEntry { isUsed[Int(record.feed)] = true }
    return feeds.indices.filter { isUsed[$0] }
  }

  /// Returns the feed of a record.
  func feed(of record: Record) -> PublicKey { feeds[Int(record.feed)].key }

  /// Returns the last message of a feed.
  mutating func newest(of feed: PublicKey) -> UInt32? {
    guard let number = numbers[feed], feeds[Int(number)].count > 0 else { return nil }
    if feeds[Int(number)].newest == nil { findNewest() }
    return feeds[Int(number)].newest
  }

  /// Looks for the newest message of each feed of which it isn't known, in one walk for all of them: writers
  /// that take back their newest again and again cost no more than one.
  private mutating func findNewest() {
    var missing = Set(feeds.indices.filter { feeds[$0].count > 0 && feeds[$0].newest == nil })
    var place = order.end
    while !missing.isEmpty, let number = order.previous(&place) {
      let feed = Int(record(number).feed)
      if missing.remove(feed) != nil { feeds[feed].newest = number }
    }
  }

  // MARK: Order

  /// The order of records: by time, then key, then feed.
  struct Comparison {
    let records: [Record]
    let keys: KeyTable
    let feeds: [Feed]

    func precedes(_ left: UInt32, _ right: UInt32) -> Bool {
      let (one, other) = (records[Int(left)], records[Int(right)])
      if one.timestamp != other.timestamp { return one.timestamp < other.timestamp }
      if let isBefore = keys.precedes(one.key, other.key) { return isBefore }
      return feeds[Int(one.feed)].key.bytes.lexicographicallyPrecedes(
        feeds[Int(other.feed)].key.bytes)
    }
  }

  /// The current order. It shares the index's memory, so it must not be kept across a change.
  var comparison: Comparison { Comparison(records: records, keys: keys, feeds: feeds) }

  /// Returns the place of a message in ``order``, whether or not it is there.
  func place(of wanted: Message.Place) -> RecordOrder.Place {
    order.firstPlace { number in
      let record = record(number)
      if record.timestamp != wanted.timestamp { return record.timestamp < wanted.timestamp }
      let isBefore = keys.compare(record.key, wanted.id.keyBytes)
      if isBefore != 0 { return isBefore < 0 }
      return feed(of: record).bytes.lexicographicallyPrecedes(wanted.id.feed.bytes)
    }
  }

  /// Returns whether a record is the message at a place.
  func isRecord(_ number: UInt32, at place: Message.Place) -> Bool {
    record(number).timestamp == place.timestamp && find(place.id) == number
  }

  /// Swift's own hash is keyed at random for each process, so nobody outside can make keys collide.
  private static func hash(_ key: CompactKey) -> Int {
    var hasher = Hasher()
    hasher.combine(key.beginning)
    hasher.combine(key.high)
    hasher.combine(key.low)
    return hasher.finalize()
  }
}

extension RoomIndex.Record {
  // From the lowest bit: 45 of the block, 3 flags, 16 of the feed's number. Feeds that lose their place to
  // others keep their numbers while the room is open, so there may be more of them than it has places.
  static let seqLimit: UInt64 = 1 << 45 - 1
  static let feedLimit = 1 << 16 - 1
  private static let deleted: UInt64 = 1 << 45
  private static let text: UInt64 = 1 << 46
  private static let edited: UInt64 = 1 << 47

  init(timestamp: Int64, feed: UInt32, seq: UInt64, key: CompactKey) {
    self.timestamp = timestamp
    packed = UInt64(feed) << 48 | seq
    self.key = key
  }

  /// The number of the feed in the index.
  var feed: UInt32 {
    get { UInt32(packed >> 48) }
    set { packed = UInt64(newValue) << 48 | packed & (1 << 48 - 1) }
  }
  /// The block with the newest entry.
  var seq: UInt64 {
    get { packed & Self.seqLimit }
    set { packed = packed & ~Self.seqLimit | newValue }
  }
  /// True if the newest entry is a deletion.
  var isDeleted: Bool {
    get { packed & Self.deleted != 0 }
    set { packed = newValue ? packed | Self.deleted : packed & ~Self.deleted }
  }
  /// True if any entry has a text.
  var hasText: Bool {
    get { packed & Self.text != 0 }
    set { packed = newValue ? packed | Self.text : packed & ~Self.text }
  }
  /// True if several entries have a text.
  var isEdited: Bool {
    get { packed & Self.edited != 0 }
    set { packed = newValue ? packed | Self.edited : packed & ~Self.edited }
  }
  /// True if the feed has an entry of the key; false if it has lost its place.
  var hasEntry: Bool { seq > 0 }
  /// Makes it a record of no entry.
  mutating func clear() { packed = UInt64(feed) << 48 }
  /// True if there is a message to show.
  var isShown: Bool { hasText && !isDeleted }
}

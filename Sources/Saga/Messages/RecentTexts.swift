/// The contents of messages that were read or written lately, within a budget of bytes.
///
/// Each writer has its own queue. The oldest of the writer that holds the most are evicted first, so a flood
/// evicts nothing but itself.
struct RecentTexts {
  /// The most bytes of texts and names: some thousand messages of usual length, a page of the longest.
  static let byteLimit = 2 << 20
  /// The bytes that a content takes besides its text and name.
  private static let overhead = 128

  private struct Kept {
    let seq: UInt64
    let content: MessageContent
    let bytes: Int
    let feed: UInt32
    /// A number that distinguishes it from a replaced content of the same record.
    let turn: UInt64
  }

  private struct Queue {
    var entries: [(record: UInt32, turn: UInt64)] = []
    var first = 0
    var bytes = 0

    mutating func append(_ record: UInt32, _ turn: UInt64, _ bytes: Int) {
      entries.append((record, turn))
      self.bytes += bytes
    }
  }

  private var kept: [UInt32: Kept] = [:]
  private var queues: [UInt32: Queue] = [:]
  private(set) var byteCount = 0
  private var turn: UInt64 = 0
  private let limit: Int
  /// The part of the limit, as a divisor, that is evicted at once beyond what has to be: choosing a writer
  /// costs a look at all of them.
  private static let evictedPart = 16

  init(limit: Int = byteLimit) { self.limit = limit }

  /// The entries of all queues, those of replaced contents included.
  var queuedCount: Int { queues.values.reduce(0) { $0 + $1.entries.count } }

  /// Returns the content of a record, if it is kept and from this block.
  func content(_ record: UInt32, at seq: UInt64) -> MessageContent? {
    guard let found = kept[record], found.seq == seq else { return nil }
    return found.content
  }

  /// Keeps a content.
  mutating func keep(_ content: MessageContent, of record: UInt32, feed: UInt32, at seq: UInt64) {
    remove(record)
    let bytes = Self.bytes(content)
    guard bytes <= limit / 4 else { return }
    turn += 1
    kept[record] = Kept(seq: seq, content: content, bytes: bytes, feed: feed, turn: turn)
    queues[feed, default: Queue()].append(record, turn, bytes)
    byteCount += bytes
    if byteCount > limit { evict() }
  }

  /// Evicts the content of a record.
  mutating func remove(_ record: UInt32) {
    guard let old = kept.removeValue(forKey: record) else { return }
    byteCount -= old.bytes
    queues[old.feed]?.bytes -= old.bytes
    tidy(old.feed)
  }

  /// Evicts the oldest of those writers that hold the most, down to one number of bytes for each of them.
  private mutating func evict() {
    let excess = byteCount - (limit - limit / Self.evictedPart)
    let sizes = queues.values.map(\.bytes).sorted(by: >)
    var level = 0
    var sum = 0
    for (index, size) in sizes.enumerated() {
      sum += size
      let next = index + 1 < sizes.count ? sizes[index + 1] : 0
      guard sum - (index + 1) * next >= excess else { continue }
      level = max((sum - excess) / (index + 1), 0)
      break
    }
    for feed in Array(queues.keys) where queues[feed]?.bytes ?? 0 > level { cut(feed, to: level) }
  }

  private mutating func cut(_ feed: UInt32, to level: Int) {
    guard var queue = queues.removeValue(forKey: feed) else { return }
    while queue.bytes > level, queue.first < queue.entries.count {
      let (record, turn) = queue.entries[queue.first]
      queue.first += 1
      guard let old = kept[record], old.turn == turn else { continue }
      kept[record] = nil
      queue.bytes -= old.bytes
      byteCount -= old.bytes
    }
    guard queue.first < queue.entries.count else { return }
    queues[feed] = queue
    tidy(feed)
  }

  /// Drops evicted entries from a queue, so that one whose messages are edited again and again stays small.
  private mutating func tidy(_ feed: UInt32) {
    guard let queue = queues[feed], queue.entries.count > 64,
      queue.first * 2 > queue.entries.count
        || queue.entries.count > 2 * kept.count
    else { return }
    let live = queue.entries[queue.first...].filter { kept[$0.record]?.turn == $0.turn }
    queues[feed]?.entries = live
    queues[feed]?.first = 0
  }

  private static func bytes(_ content: MessageContent) -> Int {
    content.text.utf8.count + content.username.utf8.count + overhead
  }
}

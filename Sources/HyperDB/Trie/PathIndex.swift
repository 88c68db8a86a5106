/// An index of the tries behind one head, as one tree in memory: for the start of a path, the newest
/// entry that has it. A walk from the head would meet the same entries one after the other.
///
/// It is built from the entries on demand, and writes keep it up to date. Any part of it may be missing:
/// there a walk goes on from the entry itself. It always does if a trie has several pointers for one digit,
/// as that of an entry written on top of several writers' entries has.
///
/// It trusts nothing that a walk would not: an entry that a pointer leads to is compared with one beside
/// it.
final class PathIndex {
  /// The kind of thing behind a digit.
  enum Kind {
    /// Not looked up yet: it is in the newest entry's trie.
    static let unknown: UInt32 = 0
    /// The newest entry alone.
    static let leaf: UInt32 = 1
    /// A walk that starts at the newest entry.
    static let walk: UInt32 = 2
    /// The branch whose number is the difference to this.
    static let branches: UInt32 = 3
  }

  /// The newest entry at a digit of a branch, and what is behind it.
  struct Link {
    var newest: FeedSequence
    var kind: UInt32

    var branch: Int? { kind < Kind.branches ? nil : Int(kind - Kind.branches) }
    /// True if there is no entry: block 0 of a feed is its header.
    var isEmpty: Bool { newest.seq == 0 }
  }

  /// The head that it was built from; nil if there is none.
  @exclusivity(unchecked) private(set) var head: FeedSequence?
  @exclusivity(unchecked) private var rootKind = Kind.unknown
  @exclusivity(unchecked) private var chunks: [UnsafeMutablePointer<UInt32>] = []
  @exclusivity(unchecked) private var count = 0
  /// The branches on the way of the last insertion.
  @exclusivity(unchecked) var way: [Int] = []
  private let limit: Int

  /// A branch is an index at which paths part, in 12 words: the index (21 bits), the digit that was there
  /// first (3 bits) and the feed of digit 4; the feeds of the others; the blocks; the kinds.
  private static let words = 12
  private static let seqs = 2
  private static let kinds = 7
  static let maximumIndex = 1 << 21 - 1
  static let maximumSeq = Int(UInt32.max)

  private static let chunkShift = 6
  private static let chunkBranches = 1 << chunkShift

  /// - Parameter bytes: the most memory that it may take.
  init(bytes: Int) { limit = min(bytes / (4 * Self.words), Int(UInt32.max - Kind.branches)) }

  deinit { for chunk in chunks { chunk.deallocate() } }

  /// The memory that it takes, in bytes.
  var byteCount: Int { chunks.count * Self.chunkBranches * 4 * Self.words }

  /// Starts anew with a head; nil for none.
  func reset(to head: FeedSequence?) {
    self.head = head
    rootKind = Kind.unknown
    count = 0
  }

  /// The link to everything: the head.
  var root: Link {
    get { Link(newest: head ?? FeedSequence(feed: 0, seq: 0), kind: rootKind) }
    set {
      head = newValue.newest
      rootKind = newValue.kind
    }
  }

  @inline(__always)
  private func branch(_ number: Int) -> UnsafeMutablePointer<UInt32> {
    chunks[number >> Self.chunkShift] + (number & (Self.chunkBranches - 1)) * Self.words
  }

  /// The index at which a branch's paths part.
  @inline(__always)
  func index(of number: Int) -> Int { Int(branch(number)[0] & 0x1f_ffff) }

  /// Returns the digit that a branch was made for: its newest entry is known to be
  /// there.
  func sureDigit(_ number: Int) -> UInt8 { UInt8(branch(number)[0] >> 21 & 7) }

  /// The link of a branch for a digit from 0 to 4.
  @inline(__always)
  subscript(_ number: Int, _ digit: UInt8) -> Link {
    get {
      let words = branch(number)
      let digit = Int(digit)
      let feed = digit < 4 ? words[1] >> UInt32(digit << 3) & 0xff : words[0] >> 24
      return Link(
        newest: FeedSequence(feed: Int(feed), seq: Int(words[Self.seqs + digit])),
        kind: words[Self.kinds + digit])
    }
    set {
      let words = branch(number)
      let digit = Int(digit)
      let feed = UInt32(truncatingIfNeeded: newValue.newest.feed)
      if digit < 4 {
        let shift = UInt32(digit << 3)
        words[1] = words[1] & ~(0xff << shift) | feed << shift
      } else {
        words[0] = words[0] & 0xff_ffff | feed << 24
      }
      words[Self.seqs + digit] = UInt32(truncatingIfNeeded: newValue.newest.seq)
      words[Self.kinds + digit] = newValue.kind
    }
  }

  /// Adds a branch without links; nil if there is no room for more.
  func addBranch(at index: Int, sure digit: UInt8) -> Int? {
    guard count < limit, index <= Self.maximumIndex else { return nil }
    if count >> Self.chunkShift == chunks.count {
      chunks.append(.allocate(capacity: Self.chunkBranches * Self.words))
    }
    let number = count
    count += 1
    let words = branch(number)
    words.update(repeating: 0, count: Self.words)
    words[0] = UInt32(truncatingIfNeeded: index) | UInt32(digit) << 21
    return number
  }

  /// Removes the branch that was added last.
  func removeLastBranch() { count -= 1 }
}

/// Numbers of records in the order in which they are shown, in pieces of some hundred, so that an insertion
/// or removal has the same small cost anywhere.
///
/// A copy shares the pieces: a walk through it sees the state at the time of the copy.
struct RecordOrder {
  /// The place of a number.
  struct Place: Hashable {
    fileprivate var piece: Int
    fileprivate var offset: Int
  }

  /// The most numbers in a piece.
  private static let pieceCount = 1024

  /// Numbers of neighbours in the order. Those of a stored index count up, and take no memory of their own
  /// until they change.
  private struct Piece {
    private var first: UInt32 = 0
    private var runCount = 0
    private var list: [UInt32] = []

    init(_ numbers: [UInt32]) { list = numbers }

    init(from first: UInt32, count: Int) {
      self.first = first
      runCount = count
    }

    var count: Int { runCount > 0 ? runCount : list.count }

    subscript(_ offset: Int) -> UInt32 {
      runCount > 0 ? first + UInt32(truncatingIfNeeded: offset) : list[offset]
    }

    /// Changes the numbers.
    mutating func change<Result>(_ body: (inout [UInt32]) -> Result) -> Result {
      if runCount > 0 {
        list = (0..<runCount).map { first + UInt32(truncatingIfNeeded: $0) }
        runCount = 0
      }
      return body(&list)
    }
  }

  private var pieces: [Piece] = []
  private(set) var count = 0

  init() {}

  /// Makes an order of the numbers from 0 on, which are already sorted.
  init(sortedCount: Int) {
    count = sortedCount
    for start in stride(from: 0, to: sortedCount, by: Self.pieceCount) {
      pieces.append(
        Piece(
          from: UInt32(truncatingIfNeeded: start), count: min(Self.pieceCount, sortedCount - start))
      )
    }
  }

  /// The number of pieces; for tests.
  var pieceTotal: Int { pieces.count }

  var last: UInt32? { pieces.last.map { $0[$0.count - 1] } }

  // MARK: Walking

  var start: Place { Place(piece: 0, offset: 0) }
  var end: Place { Place(piece: pieces.count, offset: 0) }

  /// Returns the number at a place and moves the place behind it; nil at the end.
  func next(_ place: inout Place) -> UInt32? {
    guard place.piece < pieces.count else { return nil }
    let number = pieces[place.piece][place.offset]
    place.offset += 1
    if place.offset == pieces[place.piece].count {
      place = Place(piece: place.piece + 1, offset: 0)
    }
    return number
  }

  /// Returns the number before a place and moves the place there; nil at the start.
  func previous(_ place: inout Place) -> UInt32? {
    if place.offset == 0 {
      guard place.piece > 0 else { return nil }
      place = Place(piece: place.piece - 1, offset: pieces[place.piece - 1].count)
    }
    place.offset -= 1
    return pieces[place.piece][place.offset]
  }

  /// Returns the place of the first number for which `isBefore` is false.
  func firstPlace(notBefore isBefore: (UInt32) -> Bool) -> Place {
    var low = 0
    var high = pieces.count
    while low < high {
      let middle = (low + high) / 2
      if isBefore(pieces[middle][pieces[middle].count - 1]) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    guard low < pieces.count else { return end }
    var first = 0
    var last = pieces[low].count
    while first < last {
      let middle = (first + last) / 2
      if isBefore(pieces[low][middle]) { first = middle + 1 } else { last = middle }
    }
    return Place(piece: low, offset: first)
  }

  /// Returns the count of numbers before a place.
  func position(of place: Place) -> Int {
    pieces[..<place.piece].reduce(place.offset) { $0 + $1.count }
  }

  /// Returns the place with this many numbers before it.
  func place(at position: Int) -> Place {
    var rest = position
    for (piece, numbers) in pieces.enumerated() {
      if rest < numbers.count { return Place(piece: piece, offset: rest) }
      rest -= numbers.count
    }
    return end
  }

  // MARK: Changing

  /// Adds a number behind all others.
  mutating func append(_ number: UInt32) {
    count += 1
    let piece = pieces.count - 1
    if piece >= 0, pieces[piece].count < Self.pieceCount {
      pieces[piece].change { $0.append(number) }
    } else {
      pieces.append(Piece([number]))
    }
  }

  /// Inserts a number before the first one for which `isBefore` is false.
  mutating func insert(_ number: UInt32, isBefore: (UInt32) -> Bool) {
    // New messages nearly always go to the end.
    guard let last, !isBefore(last) else { return append(number) }
    count += 1
    let place = firstPlace(notBefore: isBefore)
    let half = pieces[place.piece].change { numbers -> [UInt32]? in
      numbers.insert(number, at: place.offset)
      guard numbers.count > Self.pieceCount else { return nil }
      defer { numbers.removeSubrange((Self.pieceCount / 2)...) }
      return Array(numbers[(Self.pieceCount / 2)...])
    }
    if let half { pieces.insert(Piece(half), at: place.piece + 1) }
  }

  /// Removes a number.
  mutating func remove(_ number: UInt32, isBefore: (UInt32) -> Bool) {
    let place = firstPlace(notBefore: isBefore)
    guard place.piece < pieces.count, pieces[place.piece][place.offset] == number else { return }
    count -= 1
    pieces[place.piece].change { _ = $0.remove(at: place.offset) }
    if pieces[place.piece].count == 0 { pieces.remove(at: place.piece) }
  }
}

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

  private var pieces: [[UInt32]] = []
  private(set) var count = 0

  init() {}

  /// Makes an order of numbers that are already sorted.
  init(sorted numbers: [UInt32]) {
    count = numbers.count
    for start in stride(from: 0, to: numbers.count, by: Self.pieceCount) {
      pieces.append(Array(numbers[start..<min(start + Self.pieceCount, numbers.count)]))
    }
  }

  var last: UInt32? { pieces.last?.last }

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

  /// Inserts a number before the first one for which `isBefore` is false.
  mutating func insert(_ number: UInt32, isBefore: (UInt32) -> Bool) {
    count += 1
    // New messages nearly always go to the end.
    if let last, isBefore(last) {
      let piece = pieces.count - 1
      if pieces[piece].count < Self.pieceCount {
        pieces[piece].append(number)
      } else {
        pieces.append([number])
      }
      return
    }
    guard !pieces.isEmpty else {
      pieces = [[number]]
      return
    }
    let place = firstPlace(notBefore: isBefore)
    pieces[place.piece].insert(number, at: place.offset)
    guard pieces[place.piece].count > Self.pieceCount else { return }
    let half = Array(pieces[place.piece][(Self.pieceCount / 2)...])
    pieces[place.piece].removeSubrange((Self.pieceCount / 2)...)
    pieces.insert(half, at: place.piece + 1)
  }

  /// Removes a number.
  mutating func remove(_ number: UInt32, isBefore: (UInt32) -> Bool) {
    let place = firstPlace(notBefore: isBefore)
    guard place.piece < pieces.count, pieces[place.piece][place.offset] == number else { return }
    count -= 1
    pieces[place.piece].remove(at: place.offset)
    if pieces[place.piece].isEmpty { pieces.remove(at: place.piece) }
  }
}

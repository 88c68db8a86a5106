/// A table of numbers of fixed width in base 64, read in place in the program: it takes no time at launch and
/// no memory of its own.
struct LookalikeRecords: Sendable {
  /// The number of digits of a record.
  let width: Int
  let count: Int
  /// The number of records on a line, which ends with a line feed.
  let recordsALine: Int
  let text: StaticString

  /// The number in a part of a record's digits.
  func number(of record: Int, at first: Int, digits: Int) -> UInt64 {
    precondition(record >= 0 && record < count && first + digits <= width)
    let start = record * width + record / recordsALine + first
    var number: UInt64 = 0
    for offset in start..<start + digits {
      number = number << 6 | UInt64(text.utf8Start[offset] - 0x30)
    }
    return number
  }

  /// The last record whose first four digits are at most `code`; nil if there is none.
  func last(upTo code: UInt32) -> Int? {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if number(of: middle, at: 0, digits: 4) <= code { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? nil : low - 1
  }
}

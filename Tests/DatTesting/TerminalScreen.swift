/// The screen of a terminal of the xterm family after the bytes that a program wrote, as far as line editors
/// need it.
public struct TerminalScreen: Sendable {
  public private(set) var columns: Int
  public private(set) var height: Int
  /// The rows that were scrolled off at the top.
  public private(set) var history: [String] = []
  private var cells: [[Unicode.Scalar]]
  public private(set) var row = 0
  public private(set) var column = 0
  /// True if the last column was written: the next character goes to the next row.
  private var isAtEdge = false
  private var isInserting = false
  private var sequence: [UInt8]?
  private var pending: [UInt8] = []

  public init(columns: Int, rows: Int) {
    self.columns = columns
    height = rows
    cells = [[Unicode.Scalar]](repeating: [], count: rows)
  }

  /// The rows from the first to the last that isn't empty, without trailing spaces.
  public var rows: [String] {
    var rows = cells.map(Self.text)
    while rows.last?.isEmpty == true { rows.removeLast() }
    return rows
  }

  /// All rows so far.
  public var allRows: [String] { history + rows }

  private static func text(_ row: [Unicode.Scalar]) -> String {
    var row = row
    while row.last == " " { row.removeLast() }
    var text = ""
    text.unicodeScalars.append(contentsOf: row)
    return text
  }

  /// Changes the size of the window. What is cut off is gone, as in terminals that don't wrap again.
  public mutating func resize(columns: Int, rows: Int) {
    self.columns = columns
    while cells.count > rows {
      history.append(Self.text(cells.removeFirst()))
      row = max(row - 1, 0)
    }
    while cells.count < rows { cells.append([]) }
    height = rows
    column = min(column, columns - 1)
    for index in cells.indices { cells[index] = Array(cells[index].prefix(columns)) }
    isAtEdge = false
  }

  public mutating func feed(_ bytes: some Sequence<UInt8>) { for byte in bytes { feed(byte) } }

  private mutating func feed(_ byte: UInt8) {
    if var open = sequence {
      open.append(byte)
      if Self.isComplete(open) {
        sequence = nil
        act(open)
      } else {
        sequence = open
      }
      return
    }
    switch byte {
    case 0x1b: sequence = []
    case 0x0d: move(to: 0)
    case 0x0a: lineFeed()
    case 0x08: move(to: column - 1)
    case 0x09: move(to: (column / 8 + 1) * 8)
    case 0..<0x20, 0x7f: break
    case 0x20..<0x7f: put(Unicode.Scalar(byte))
    default:
      pending.append(byte)
      let count = pending[0] < 0xe0 ? 2 : pending[0] < 0xf0 ? 3 : 4
      guard pending.count >= count else { return }
      for scalar in String(decoding: pending, as: UTF8.self).unicodeScalars { put(scalar) }
      pending = []
    }
  }

  /// Returns whether these bytes after an ESC are a complete sequence.
  private static func isComplete(_ bytes: [UInt8]) -> Bool {
    switch bytes[0] {
    case UInt8(ascii: "["): bytes.count > 1 && (0x40...0x7e).contains(bytes[bytes.count - 1])
    case UInt8(ascii: "]"): bytes.last == 0x07
    case UInt8(ascii: "("), UInt8(ascii: ")"): bytes.count == 2
    default: true
    }
  }

  private mutating func act(_ bytes: [UInt8]) {
    guard bytes[0] == UInt8(ascii: "[") else { return }
    let text = String(decoding: bytes.dropFirst().dropLast(), as: UTF8.self)
    let numbers = text.split(separator: ";", omittingEmptySubsequences: false).map { Int($0) }
    let first = numbers.first.flatMap { $0 }
    let count = max(first ?? 1, 1)
    switch Character(Unicode.Scalar(bytes[bytes.count - 1])) {
    case "A": row = max(row - count, 0)
    case "B": row = min(row + count, height - 1)
    case "C": move(to: column + count)
    case "D": move(to: column - count)
    case "G": move(to: count - 1)
    case "d": row = min(count, height) - 1
    case "H":
      row = min(count, height) - 1
      move(to: max((numbers.dropFirst().first ?? 1) ?? 1, 1) - 1)
    case "J":
      if first == 2 { cells = cells.map { _ in [] } } else { eraseBelow() }
    case "K":
      if first == 1 {
        for index in 0...column where index < cells[row].count { cells[row][index] = " " }
      } else if first == 2 {
        cells[row] = []
      } else {
        cells[row] = Array(cells[row].prefix(column))
      }
    case "P":
      if column < cells[row].count {
        cells[row].removeSubrange(column..<min(column + count, cells[row].count))
      }
    case "@":
      fill()
      cells[row].insert(contentsOf: [Unicode.Scalar](repeating: " ", count: count), at: column)
      cells[row] = Array(cells[row].prefix(columns))
    case "h": if first == 4 { isInserting = true }
    case "l": if first == 4 { isInserting = false }
    default: break
    }
  }

  private mutating func eraseBelow() {
    cells[row] = Array(cells[row].prefix(column))
    for index in cells.indices where index > row { cells[index] = [] }
  }

  private mutating func move(to place: Int) {
    column = min(max(place, 0), columns - 1)
    isAtEdge = false
  }

  private mutating func lineFeed() {
    isAtEdge = false
    if row < height - 1 {
      row += 1
    } else {
      history.append(Self.text(cells.removeFirst()))
      cells.append([])
    }
  }

  private mutating func fill() {
    while cells[row].count < column { cells[row].append(" ") }
  }

  private mutating func put(_ scalar: Unicode.Scalar) {
    if isAtEdge {
      column = 0
      lineFeed()
    }
    fill()
    if isInserting {
      cells[row].insert(scalar, at: column)
      cells[row] = Array(cells[row].prefix(columns))
    } else if column < cells[row].count {
      cells[row][column] = scalar
    } else {
      cells[row].append(scalar)
    }
    if column == columns - 1 { isAtEdge = true } else { column += 1 }
  }
}

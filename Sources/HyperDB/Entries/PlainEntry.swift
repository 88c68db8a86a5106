/// A reader of entries in the form in which every implementation writes them: each field at most once and in
/// order, with tags of one byte. It reads them where they are. Entries of any other form are left to the
/// decoder of messages, which gives the same for these.
struct PlainEntry {
  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0

  /// The values of a clock that there is room for; longer ones are left to the decoder of messages.
  static let clockRoom = 256

  private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  /// Returns the fields of an entry; nil if it has another form.
  ///
  /// - Parameter clock: room for ``clockRoom`` values.
  static func fields(
    _ bytes: UnsafeBufferPointer<UInt8>, clock: UnsafeMutablePointer<UInt64>
  ) -> EntryFields? {
    var reader = PlainEntry(bytes)
    guard reader.takes(field: 1, kind: 2), let key = reader.content() else { return nil }
    var value: UnsafeBufferPointer<UInt8>?
    if reader.takes(field: 2, kind: 2) {
      value = reader.content()
      if value == nil { return nil }
    }
    var isDeleted = false
    if reader.takes(field: 3, kind: 0) {
      guard let number = reader.number(), number <= 1 else { return nil }
      isDeleted = number == 1
    }
    guard reader.takes(field: 4, kind: 2), let trie = reader.content() else { return nil }
    var clockCount = 0
    while reader.takes(field: 5, kind: 0) {
      guard clockCount < clockRoom, let number = reader.number() else { return nil }
      clock[clockCount] = number
      clockCount += 1
    }
    var inflate: UInt64?
    if reader.takes(field: 6, kind: 0) {
      inflate = reader.number()
      if inflate == nil { return nil }
    }
    guard reader.position == bytes.count else { return nil }
    return EntryFields(
      key: key, value: value, isDeleted: isDeleted, trie: trie,
      clock: UnsafeBufferPointer(start: clock, count: clockCount), inflate: inflate)
  }

  /// Steps over a tag if it is the next byte.
  @inline(__always)
  private mutating func takes(field: UInt8, kind: UInt8) -> Bool {
    guard position < bytes.count, bytes[position] == field << 3 | kind else { return false }
    position += 1
    return true
  }

  /// Reads a number of at most seven bytes; nil if it has more or is cut short.
  @inline(__always)
  private mutating func number() -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < bytes.count, shift < 49 {
      let byte = bytes[position]
      position += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    return nil
  }

  /// Reads a length and steps over as many bytes; nil if there are fewer.
  @inline(__always)
  private mutating func content() -> UnsafeBufferPointer<UInt8>? {
    guard let length = number(), length <= UInt64(bytes.count - position) else { return nil }
    let start = position
    position += Int(length)
    return UnsafeBufferPointer(rebasing: bytes[start..<position])
  }
}

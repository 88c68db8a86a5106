internal import HyperDB
internal import HypercoreCrypto
internal import RandomAccessStorage

/// A room's index as it was stored, and the states of the feeds for which it is valid.
struct StoredIndex {
  var index: RoomIndex
  var feeds: [PublicKey: KnownFeed]
}

/// The file beside a room's database from which its index is read at once: `room-index`.
///
/// Everything in it is derived from the feeds, so it can be deleted at any time. One that is damaged, of
/// another version or of another history is rebuilt. Numbers are little-endian.
///
///     header   16 bytes  "dat room index " and the version, a byte
///              8         the number of bytes that follow
///              32        hash of the hashes of the pieces that follow
///     pieces   up to 1 MiB each, one after the other:
///              u8        kind: 0 messages, 1 operations
///              u16       feeds; for each its key, u64 blocks read, tree hash,
///                        u16 blocks with lists, u64 each
///              u32       beginnings of keys; for each u8 count and the bytes
///              u32, u32  records that are shown, in order, and others; 32 bytes each
///
/// The header is cleared before anything else is written, and written last: an interrupted write leaves
/// no index.
struct RoomIndexFile {
  static let name = "room-index"
  private static let magic = Array("dat room index ".utf8) + [2]
  private static let headerBytes = 56
  static let pieceBytes = 1 << 20
  static let recordBytes = 32

  private let storage: any StorageProvider
  private let kind: RoomKind

  init(_ storage: any StorageProvider, _ kind: RoomKind) {
    self.storage = storage
    self.kind = kind
  }

  // MARK: Reading

  /// Returns the stored index; nil if there is no usable one.
  func read() -> StoredIndex? {
    guard (try? storage.exists(Self.name)) == true,
      let file = try? storage.storage(named: Self.name), var reader = IndexReader(file, Self.magic)
    else { return nil }
    defer { file.close() }
    guard let stored = read(&reader), reader.isWhole else { return nil }
    return stored
  }

  private func read(_ reader: inout IndexReader) -> StoredIndex? {
    guard reader.integer(UInt8.self) == (kind == .messages ? 0 : 1),
      let (feedKeys, known) = readFeeds(&reader), let keys = readKeys(&reader),
      let shown = reader.integer(UInt32.self), let hidden = reader.integer(UInt32.self)
    else { return nil }
    let count = Int(shown) + Int(hidden)
    guard count < Int(UInt32.max), reader.holds(count * Self.recordBytes) else { return nil }
    var records: [RoomIndex.Record] = []
    records.reserveCapacity(count)
    while records.count < count {
      guard
        reader.records(upTo: count - records.count, { records.append($0) })
      else { return nil }
    }
    guard
      let index = RoomIndex(
        feeds: feedKeys, keys: keys, records: records, shownCount: Int(shown))
    else { return nil }
    return StoredIndex(index: index, feeds: known)
  }

  private func readFeeds(
    _ reader: inout IndexReader
  ) -> (keys: [PublicKey], known: [PublicKey: KnownFeed])? {
    guard let count = reader.integer(UInt16.self) else { return nil }
    var keys: [PublicKey] = []
    var known: [PublicKey: KnownFeed] = [:]
    for _ in 0..<count {
      guard let key = PublicKey(bytes: reader.bytes(32) ?? []),
        let length = reader.integer(UInt64.self), let hash = Digest(bytes: reader.bytes(32) ?? []),
        let listCount = reader.integer(UInt16.self)
      else { return nil }
      var lists: [UInt64] = []
      for _ in 0..<listCount {
        guard let list = reader.integer(UInt64.self), list < length else { return nil }
        lists.append(list)
      }
      keys.append(key)
      known[key] = KnownFeed(length: length, treeHash: hash, lists: lists)
    }
    return (keys, known)
  }

  private func readKeys(_ reader: inout IndexReader) -> KeyTable? {
    guard let count = reader.integer(UInt32.self) else { return nil }
    var keys = KeyTable()
    for _ in 0..<count {
      guard let length = reader.integer(UInt8.self), let bytes = reader.bytes(Int(length)),
        keys.restore(bytes)
      else { return nil }
    }
    return keys
  }

  // MARK: Writing

  /// Discards the index and releases its disk space.
  func empty() {
    guard let file = try? storage.storage(named: Self.name) else { return }
    try? file.truncate(to: 0)
    file.close()
  }

  /// Writes the index in place of the previous one.
  ///
  /// - Parameter feeds: the known state of every feed with entries in the index.
  /// - Throws: `StorageError`; there is no index then.
  func write(_ index: RoomIndex, _ feeds: [PublicKey: KnownFeed]) throws {
    let file = try storage.storage(named: Self.name)
    var writer = IndexWriter(file, headerBytes: Self.headerBytes)
    try writer.begin()
    writer.add(UInt8(kind == .messages ? 0 : 1))
    // The feeds with records first, by the numbers that they have in the file.
    let used = index.usedFeeds
    var numbers = [UInt32](repeating: 0, count: index.feeds.count)
    for (number, feed) in used.enumerated() { numbers[feed] = UInt32(number) }
    func numbered(_ record: RoomIndex.Record) -> RoomIndex.Record {
      var stored = record
      stored.feed = numbers[Int(record.feed)]
      return stored
    }
    let keysInUse = used.map { index.feeds[$0].key }
    let keys = keysInUse + Set(feeds.keys).subtracting(keysInUse)
    writer.add(UInt16(clamping: keys.count))
    for key in keys {
      let known = feeds[key] ?? KnownFeed(length: 0, treeHash: Digest(), lists: [])
      let lists = known.lists.prefix(Int(UInt16.max))
      writer.add(key.bytes)
      writer.add(known.length)
      writer.add(known.treeHash.bytes)
      writer.add(UInt16(lists.count))
      for list in lists { writer.add(list) }
    }
    writer.add(UInt32(index.keys.count))
    for number in 0..<index.keys.count {
      let beginning = index.keys.beginning(number)
      writer.add(UInt8(clamping: beginning.count))
      writer.add(beginning)
      try writer.flushIfFull()
    }
    writer.add(UInt32(index.count))
    writer.add(UInt32(index.records.count { $0.hasEntry && !$0.isShown }))
    var place = index.order.start
    while let number = index.order.next(&place) {
      writer.add(numbered(index.record(number)))
      try writer.flushIfFull()
    }
    for record in index.records where record.hasEntry && !record.isShown {
      writer.add(numbered(record))
      try writer.flushIfFull()
    }
    try writer.finish(Self.magic)
    file.close()
  }
}

/// A writer of the pieces of an index file and of the hash over them.
private struct IndexWriter {
  private let file: any RandomAccessStorage
  private var offset: UInt64
  private var piece: [UInt8] = []
  private var hashes: [UInt8] = []
  private let headerBytes: Int

  init(_ file: any RandomAccessStorage, headerBytes: Int) {
    self.file = file
    self.headerBytes = headerBytes
    offset = UInt64(headerBytes)
    piece.reserveCapacity(RoomIndexFile.pieceBytes + 4_096)
  }

  func begin() throws {
    try file.write([StorageWrite(offset: 0, bytes: [UInt8](repeating: 0, count: headerBytes))])
  }

  mutating func add(_ bytes: some Sequence<UInt8>) { piece.append(contentsOf: bytes) }

  mutating func add(_ number: some FixedWidthInteger) {
    withUnsafeBytes(of: number.littleEndian) { piece.append(contentsOf: $0) }
  }

  mutating func add(_ record: RoomIndex.Record) {
    add(record.timestamp)
    add(record.packed)
    add(record.key.high)
    add(record.key.low)
    add(record.key.beginning)
  }

  mutating func flushIfFull() throws {
    while piece.count >= RoomIndexFile.pieceBytes {
      let rest = Array(piece[RoomIndexFile.pieceBytes...])
      piece.removeSubrange(RoomIndexFile.pieceBytes...)
      try flush()
      piece = rest
      piece.reserveCapacity(RoomIndexFile.pieceBytes + 4_096)
    }
  }

  private mutating func flush() throws {
    hashes += TreeHash.leaf(piece).bytes
    try file.write([StorageWrite(offset: offset, bytes: piece)])
    offset += UInt64(piece.count)
    piece = []
  }

  mutating func finish(_ magic: [UInt8]) throws {
    try flushIfFull()
    if !piece.isEmpty { try flush() }
    try file.truncate(to: offset)
    var header = magic
    withUnsafeBytes(of: (offset - UInt64(headerBytes)).littleEndian) {
      header.append(contentsOf: $0)
    }
    header += TreeHash.leaf(hashes).bytes
    try file.write([StorageWrite(offset: 0, bytes: header)])
  }
}

/// A reader of the pieces of an index file, in order. Its results count only if it ``isWhole`` at the end.
private struct IndexReader {
  private let file: any RandomAccessStorage
  private let digest: Digest
  private var offset: UInt64
  private let end: UInt64
  private var hashes: [UInt8] = []
  private var buffer: [UInt8] = []
  private var position = 0

  init?(_ file: any RandomAccessStorage, _ magic: [UInt8]) {
    self.file = file
    let headerBytes = magic.count + 8 + Digest.byteCount
    guard let header = Self.read(file, 0, headerBytes), header.starts(with: magic),
      let digest = Digest(bytes: header[(magic.count + 8)...]), let length = try? file.length()
    else { return nil }
    let count = header[magic.count..<magic.count + 8].reversed().reduce(UInt64(0)) {
      $0 << 8 | UInt64($1)
    }
    offset = UInt64(headerBytes)
    guard count == length - offset else { return nil }
    self.digest = digest
    end = length
  }

  /// True if everything was read and is what was written.
  var isWhole: Bool { offset == end && position == buffer.count && TreeHash.leaf(hashes) == digest }

  /// Returns whether at least this many bytes are still to come.
  func holds(_ count: Int) -> Bool {
    UInt64(buffer.count - position) + (end - offset) >= UInt64(count)
  }

  private static func read(_ file: any RandomAccessStorage, _ offset: UInt64, _ count: Int)
    -> [UInt8]?
  {
    var read = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      read = (try? file.read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))) ?? 0
      filled = min(max(read, 0), count)
    }
    return bytes.count == count ? bytes : nil
  }

  /// Fills the buffer with this many bytes from the position on.
  private mutating func fill(_ count: Int) -> Bool {
    while buffer.count - position < count {
      let size = Int(min(UInt64(RoomIndexFile.pieceBytes), end - offset))
      guard size > 0, let piece = Self.read(file, offset, size) else { return false }
      hashes += TreeHash.leaf(piece).bytes
      offset += UInt64(size)
      if position == buffer.count {
        buffer = piece
      } else {
        buffer = buffer[position...] + piece
      }
      position = 0
    }
    return true
  }

  mutating func bytes(_ count: Int) -> [UInt8]? {
    guard holds(count), fill(count) else { return nil }
    defer { position += count }
    return Array(buffer[position..<position + count])
  }

  mutating func integer<Number: FixedWidthInteger>(_ type: Number.Type) -> Number? {
    let count = MemoryLayout<Number>.size
    guard fill(count) else { return nil }
    defer { position += count }
    return buffer.withUnsafeBytes {
      Number(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: Number.self))
    }
  }

  /// Passes the records in the buffer to `body`, at least one; returns false if there is none.
  mutating func records(upTo limit: Int, _ body: (RoomIndex.Record) -> Void) -> Bool {
    let size = RoomIndexFile.recordBytes
    guard fill(size) else { return false }
    let count = min(limit, (buffer.count - position) / size)
    buffer.withUnsafeBytes { bytes in
      func load<Number: FixedWidthInteger>(_ offset: Int) -> Number {
        Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
      }
      for record in 0..<count {
        let start = position + record * size
        body(
          RoomIndex.Record(
            timestamp: load(start), packed: load(start + 8),
            key: CompactKey(
              high: load(start + 16), low: load(start + 24), beginning: load(start + 28))))
      }
    }
    position += count * size
    return true
  }
}

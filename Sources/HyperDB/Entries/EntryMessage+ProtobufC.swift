internal import CDatMessages
internal import CProtobufC
internal import DatCoding
internal import HypercoreProtocol

// The only file of this module that knows protobuf-c. Its results have sound sizes and ranges.

/// The codec that turns blocks into entries and back.
package final class EntryMessageCodec {
  private let arena = MessageArena(keeping: 65_536)

  package init() {}

  /// Frees the memory that is kept for the next entry.
  func shed() { arena.shed() }

  /// The first block of every feed of a database.
  package static let header: [UInt8] = {
    var message = DatHyperdb__Header()
    dat_hyperdb__header__init(&message)
    var name = Array("hyperdb".utf8)
    return name.withUnsafeMutableBufferPointer { name in
      message.protocol = ProtobufCBinaryData(len: name.count, data: name.baseAddress)
      return [UInt8](unsafeUninitializedCapacity: dat_hyperdb__header__get_packed_size(&message)) {
        $1 = dat_hyperdb__header__pack(&message, $0.baseAddress)
      }
    }
  }()

  /// Returns the protocol that a feed's first block names; nil if it is not a header.
  package func headerProtocol(_ block: [UInt8]) -> [UInt8]? {
    block.withUnsafeBytes { bytes in
      guard let scan = EntryScan(bytes), scan.fieldCount <= Self.fieldLimit else { return nil }
      let allocator = arena.reserve(Self.reservation(bytes.count, scan))
      defer { arena.release() }
      guard
        let message = dat_hyperdb__header__unpack(
          allocator, bytes.count, bytes.bindMemory(to: UInt8.self).baseAddress)
      else { return nil }
      return Array(message.pointee.protocol.bytes)
    }
  }

  /// The most fields in an entry: a clock and a list, six others, and room for future fields.
  private static let fieldLimit = 2 * HyperDBLimits.listedKeys + 512

  /// The most that protobuf-c allocates for a field besides its bytes.
  private static let bytesPerField = 256

  private static func reservation(_ byteCount: Int, _ scan: EntryScan) -> Int {
    byteCount + 16 * scan.fieldCount + bytesPerField * (scan.fieldCount + 4) + 512
  }

  /// Returns the entry in a block; nil if the bytes are not one.
  ///
  /// - Parameter inflated: true to read the list of feeds as well, if there is one.
  package func decode(_ block: [UInt8], inflated: Bool) -> EntryMessage? {
    guard inflated else { return withEntry(in: block) { EntryMessage($0) } }
    return block.withUnsafeBytes { bytes in
      guard let scan = Self.scan(bytes) else { return nil }
      guard scan.isInflated else { return withEntry(in: bytes, scan) { EntryMessage($0) } }
      if let large = scan.largeValue {
        // Without it: protobuf-c would make another copy of it.
        var entry = decode(Self.bytes(bytes, without: large.field), inflated: true)
        entry?.value = Array(bytes[large.content])
        return entry
      }
      let allocator = arena.reserve(Self.reservation(bytes.count, scan))
      defer { arena.release() }
      guard
        let unpacked = dat_hyperdb__inflated_entry__unpack(
          allocator, bytes.count, bytes.bindMemory(to: UInt8.self).baseAddress)
      else { return nil }
      let message = unpacked.pointee
      let fields = EntryFields(
        key: message.key.bytes, value: message.has_value != 0 ? message.value.bytes : nil,
        isDeleted: message.has_deleted != 0 && message.deleted != 0, trie: message.trie.bytes,
        clock: UnsafeBufferPointer(start: message.clock, count: message.n_clock),
        inflate: message.has_inflate != 0 ? message.inflate : nil)
      guard fields.isInRange else { return nil }
      var entry = EntryMessage(fields)
      entry.feeds = UnsafeBufferPointer(start: message.feeds, count: message.n_feeds)
        .map { $0.map { Array($0.pointee.key.bytes) } ?? [] }
      if message.has_contentfeed != 0 { entry.contentFeed = Array(message.contentfeed.bytes) }
      return entry
    }
  }

  /// Passes the fields of the entry in a block to `body`, without its list of feeds; nil if the bytes are
  /// no entry.
  func withEntry<Result>(
    in block: [UInt8], _ body: (EntryFields) throws -> Result?
  ) rethrows -> Result? {
    try block.withUnsafeBytes { bytes in
      guard let scan = Self.scan(bytes) else { return nil }
      return try withEntry(in: bytes, scan, body)
    }
  }

  private func withEntry<Result>(
    in bytes: UnsafeRawBufferPointer, _ scan: EntryScan, _ body: (EntryFields) throws -> Result?
  ) rethrows -> Result? {
    if let large = scan.largeValue {
      // Without it: protobuf-c would make another copy of it.
      return try withEntry(in: Self.bytes(bytes, without: large.field)) { fields in
        var fields = fields
        fields.value = UnsafeBufferPointer(
          rebasing: bytes.bindMemory(to: UInt8.self)[large.content])
        return try body(fields)
      }
    }
    let allocator = arena.reserve(Self.reservation(bytes.count, scan))
    defer { arena.release() }
    guard
      let unpacked = dat_hyperdb__entry__unpack(
        allocator, bytes.count, bytes.bindMemory(to: UInt8.self).baseAddress)
    else { return nil }
    let message = unpacked.pointee
    let fields = EntryFields(
      key: message.key.bytes, value: message.has_value != 0 ? message.value.bytes : nil,
      isDeleted: message.has_deleted != 0 && message.deleted != 0, trie: message.trie.bytes,
      clock: UnsafeBufferPointer(start: message.clock, count: message.n_clock),
      inflate: message.has_inflate != 0 ? message.inflate : nil)
    return try fields.isInRange ? body(fields) : nil
  }

  private static func bytes(
    _ bytes: UnsafeRawBufferPointer, without range: Range<Int>
  ) -> [UInt8] {
    Array(bytes[..<range.lowerBound]) + bytes[range.upperBound...]
  }

  /// Counts the fields; nil if they are not those of an entry.
  private static func scan(_ bytes: UnsafeRawBufferPointer) -> EntryScan? {
    guard let scan = EntryScan(bytes), scan.fieldCount <= fieldLimit,
      scan.clockCount <= HyperDBLimits.listedKeys, scan.feedCount <= HyperDBLimits.listedKeys
    else { return nil }
    return scan
  }

  /// Returns the block of an entry, in the form that the reference writes.
  package func encode(_ entry: EntryMessage) -> [UInt8] {
    entry.trie.withData { trie in
      guard entry.feeds == nil, entry.contentFeed == nil else {
        return Self.encodeInflated(entry, trie)
      }
      return entry.key.withData { key in
        func encode(_ value: UnsafeBufferPointer<UInt8>?) -> [UInt8] {
          Self.encode(key, value, entry.deleted, trie, entry.clock, inflate: entry.inflate)
        }
        guard let value = entry.value else { return encode(nil) }
        return value.withUnsafeBufferPointer { encode($0) }
      }
    }
  }

  /// Returns the block of an entry that has no list of its own.
  func encode(
    _ node: EntryNode, value: UnsafeBufferPointer<UInt8>?, trie: UnsafeBufferPointer<UInt8>,
    clock: [UInt64], inflate: Int
  ) -> [UInt8] {
    node.withKey {
      Self.encode(
        ProtobufCBinaryData($0), value, node.isDeleted, ProtobufCBinaryData(trie), clock,
        inflate: UInt64(inflate))
    }
  }

  private static func encode(
    _ key: ProtobufCBinaryData, _ value: UnsafeBufferPointer<UInt8>?, _ isDeleted: Bool,
    _ trie: ProtobufCBinaryData, _ clock: [UInt64], inflate: UInt64?
  ) -> [UInt8] {
    clock.withUnsafeBufferPointer { clock in
      var message = DatHyperdb__Entry()
      dat_hyperdb__entry__init(&message)
      message.key = key
      message.has_value = value != nil ? 1 : 0
      message.value = ProtobufCBinaryData(value ?? UnsafeBufferPointer(start: nil, count: 0))
      message.has_deleted = isDeleted ? 1 : 0
      message.deleted = isDeleted ? 1 : 0
      message.trie = trie
      message.n_clock = clock.count
      message.clock = UnsafeMutablePointer(mutating: clock.baseAddress)
      message.has_inflate = inflate != nil ? 1 : 0
      message.inflate = inflate ?? 0
      let size = dat_hyperdb__entry__get_packed_size(&message)
      return [UInt8](unsafeUninitializedCapacity: size) {
        $1 = dat_hyperdb__entry__pack(&message, $0.baseAddress)
      }
    }
  }

  private static func encodeInflated(
    _ entry: EntryMessage, _ trie: ProtobufCBinaryData
  ) -> [UInt8] {
    entry.key.withData { key in
      (entry.value ?? []).withData { value in
        entry.clock.withUnsafeBufferPointer { clock in
          (entry.contentFeed ?? []).withData { content in
            withFeeds(entry.feeds ?? []) { feeds in
              var message = DatHyperdb__InflatedEntry()
              dat_hyperdb__inflated_entry__init(&message)
              message.key = key
              message.has_value = entry.value != nil ? 1 : 0
              message.value = value
              message.has_deleted = entry.deleted ? 1 : 0
              message.deleted = entry.deleted ? 1 : 0
              message.trie = trie
              message.n_clock = clock.count
              message.clock = UnsafeMutablePointer(mutating: clock.baseAddress)
              message.has_inflate = entry.inflate != nil ? 1 : 0
              message.inflate = entry.inflate ?? 0
              message.n_feeds = feeds.count
              message.feeds = feeds.baseAddress
              message.has_contentfeed = entry.contentFeed != nil ? 1 : 0
              message.contentfeed = content
              let size = dat_hyperdb__inflated_entry__get_packed_size(&message)
              return [UInt8](unsafeUninitializedCapacity: size) {
                $1 = dat_hyperdb__inflated_entry__pack(&message, $0.baseAddress)
              }
            }
          }
        }
      }
    }
  }

  /// Passes the keys to `body` as the messages that protobuf-c packs.
  private static func withFeeds(
    _ keys: [[UInt8]],
    _ body: (
      UnsafeMutableBufferPointer<UnsafeMutablePointer<DatHyperdb__InflatedEntry__Feed>?>
    ) -> [UInt8]
  ) -> [UInt8] {
    let all = keys.flatMap { $0 }
    return all.withData { bytes in
      var feeds = [DatHyperdb__InflatedEntry__Feed](
        repeating: DatHyperdb__InflatedEntry__Feed(), count: keys.count)
      return feeds.withUnsafeMutableBufferPointer { feeds in
        var offset = 0
        for index in feeds.indices {
          dat_hyperdb__inflated_entry__feed__init(&feeds[index])
          feeds[index].key = ProtobufCBinaryData(
            len: keys[index].count, data: bytes.data.map { $0 + offset })
          offset += keys[index].count
        }
        var pointers = feeds.indices.map { index -> UnsafeMutablePointer<_>? in
          feeds.baseAddress.map { $0 + index }
        }
        return pointers.withUnsafeMutableBufferPointer { body($0) }
      }
    }
  }
}

extension ProtobufCBinaryData {
  fileprivate var bytes: UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: data, count: data == nil ? 0 : len)
  }

  /// Wraps bytes to be packed, which protobuf-c only reads.
  fileprivate init(_ bytes: UnsafeBufferPointer<UInt8>) {
    self.init(len: bytes.count, data: UnsafeMutablePointer(mutating: bytes.baseAddress))
  }
}

extension [UInt8] {
  fileprivate func withData<Result>(_ body: (ProtobufCBinaryData) -> Result) -> Result {
    withUnsafeBufferPointer { body(ProtobufCBinaryData($0)) }
  }
}

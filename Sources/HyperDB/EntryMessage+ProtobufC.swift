internal import CDatMessages
internal import CProtobufC
internal import DatCoding
internal import HypercoreProtocol

// The only place of this module that knows protobuf-c. What comes out of here is of a sound size
// and range.

/// Turns blocks into entries and back.
package final class EntryMessageCodec {
  private let arena = MessageArena(keeping: 65_536)

  package init() {}

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

  /// The protocol that a feed's first block names; nil where it is no header.
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

  /// Fields in a sound entry: a clock and a list of at most 255 each, six others, and room for
  /// fields that may come to be.
  private static let fieldLimit = 1024

  /// The most that protobuf-c allocates for a field besides its bytes.
  private static let bytesPerField = 256

  private static func reservation(_ byteCount: Int, _ scan: EntryScan) -> Int {
    byteCount + 16 * scan.fieldCount + bytesPerField * (scan.fieldCount + 4) + 4096
  }

  /// The entry in a block; nil for bytes that are none.
  ///
  /// - Parameter inflated: whether to read the list of feeds as well, where there is one.
  package func decode(_ block: [UInt8], inflated: Bool) -> EntryMessage? {
    block.withUnsafeBytes { bytes in
      guard let scan = EntryScan(bytes), scan.fieldCount <= Self.fieldLimit,
        scan.clockCount <= HyperDBLimits.feeds, scan.feedCount <= HyperDBLimits.feeds
      else { return nil }
      if let large = scan.largeValue {
        // protobuf-c would make a copy of its own.
        let rest = Array(bytes[..<large.field.lowerBound]) + bytes[large.field.upperBound...]
        var entry = decode(rest, inflated: inflated)
        entry?.value = Array(bytes[large.content])
        return entry
      }
      let octets = bytes.bindMemory(to: UInt8.self).baseAddress
      let allocator = arena.reserve(Self.reservation(bytes.count, scan))
      defer { arena.release() }
      if inflated, scan.isInflated {
        guard let unpacked = dat_hyperdb__inflated_entry__unpack(allocator, bytes.count, octets)
        else { return nil }
        let message = unpacked.pointee
        guard
          var entry = Self.entry(
            key: message.key, value: message.has_value != 0 ? message.value : nil,
            deleted: message.has_deleted != 0 && message.deleted != 0, trie: message.trie,
            clock: UnsafeBufferPointer(start: message.clock, count: message.n_clock),
            inflate: message.has_inflate != 0 ? message.inflate : nil)
        else { return nil }
        entry.feeds = UnsafeBufferPointer(start: message.feeds, count: message.n_feeds)
          .map { $0.map { Array($0.pointee.key.bytes) } ?? [] }
        if message.has_contentfeed != 0 { entry.contentFeed = Array(message.contentfeed.bytes) }
        return entry
      }
      guard let unpacked = dat_hyperdb__entry__unpack(allocator, bytes.count, octets) else {
        return nil
      }
      let message = unpacked.pointee
      return Self.entry(
        key: message.key, value: message.has_value != 0 ? message.value : nil,
        deleted: message.has_deleted != 0 && message.deleted != 0, trie: message.trie,
        clock: UnsafeBufferPointer(start: message.clock, count: message.n_clock),
        inflate: message.has_inflate != 0 ? message.inflate : nil)
    }
  }

  private static func entry(
    key: ProtobufCBinaryData, value: ProtobufCBinaryData?, deleted: Bool,
    trie: ProtobufCBinaryData, clock: UnsafeBufferPointer<UInt64>, inflate: UInt64?
  ) -> EntryMessage? {
    for value in clock where value > Varint.maximum { return nil }
    if let inflate, inflate > Varint.maximum { return nil }
    var entry = EntryMessage(key: Array(key.bytes), value: value.map { Array($0.bytes) })
    entry.deleted = deleted
    entry.trie = Array(trie.bytes)
    entry.clock = Array(clock)
    entry.inflate = inflate
    return entry
  }

  /// The block for an entry, in the form that the reference writes.
  package func encode(_ entry: EntryMessage) -> [UInt8] {
    var entry = entry
    var inflated = entry.feeds ?? []
    var content = entry.contentFeed ?? []
    var value = entry.value ?? []
    return entry.key.withData { key in
      entry.trie.withData { trie in
        value.withData { value in
          entry.clock.withUnsafeMutableBufferPointer { clock in
            if entry.feeds == nil, entry.contentFeed == nil {
              var message = DatHyperdb__Entry()
              dat_hyperdb__entry__init(&message)
              message.key = key
              message.has_value = entry.value != nil ? 1 : 0
              message.value = value
              message.has_deleted = entry.deleted ? 1 : 0
              message.deleted = entry.deleted ? 1 : 0
              message.trie = trie
              message.n_clock = clock.count
              message.clock = clock.baseAddress
              message.has_inflate = entry.inflate != nil ? 1 : 0
              message.inflate = entry.inflate ?? 0
              let size = dat_hyperdb__entry__get_packed_size(&message)
              return [UInt8](unsafeUninitializedCapacity: size) {
                $1 = dat_hyperdb__entry__pack(&message, $0.baseAddress)
              }
            }
            return content.withData { content in
              Self.withFeeds(&inflated) { feeds in
                var message = DatHyperdb__InflatedEntry()
                dat_hyperdb__inflated_entry__init(&message)
                message.key = key
                message.has_value = entry.value != nil ? 1 : 0
                message.value = value
                message.has_deleted = entry.deleted ? 1 : 0
                message.deleted = entry.deleted ? 1 : 0
                message.trie = trie
                message.n_clock = clock.count
                message.clock = clock.baseAddress
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
  }

  /// Gives `body` the keys as the messages that protobuf-c packs.
  private static func withFeeds(
    _ keys: inout [[UInt8]],
    _ body: (
      UnsafeMutableBufferPointer<UnsafeMutablePointer<DatHyperdb__InflatedEntry__Feed>?>
    ) -> [UInt8]
  ) -> [UInt8] {
    var all = keys.flatMap { $0 }
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
}

extension [UInt8] {
  fileprivate mutating func withData<Result>(_ body: (ProtobufCBinaryData) -> Result) -> Result {
    withUnsafeMutableBufferPointer {
      body(ProtobufCBinaryData(len: $0.count, data: $0.baseAddress))
    }
  }
}

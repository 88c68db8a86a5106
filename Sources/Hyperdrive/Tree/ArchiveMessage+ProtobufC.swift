internal import CDatMessages
internal import CProtobufC
internal import HypercoreProtocol

// The only file of this module that knows protobuf-c. Its results have sound sizes.

/// The codec that turns blocks into entries and back.
package final class ArchiveMessageCodec {
  private let arena = MessageArena(keeping: 65_536)

  package init() {}

  /// Returns the header in block 0; nil if the bytes are not one.
  package func decodeHeader(_ block: [UInt8]) -> ArchiveHeader? {
    unpack(block, known: 2, kind: 2, dat_hyperdrive__index__unpack) { message in
      ArchiveHeader(
        type: Array(message.type.bytes),
        content: message.has_content != 0 ? Array(message.content.bytes) : nil)
    }
  }

  /// Returns an entry; nil if the bytes are not one.
  package func decode(_ block: [UInt8]) -> ArchiveMessage? {
    unpack(block, known: 3, kind: 2, dat_hyperdrive__entry__unpack) { message in
      ArchiveMessage(
        name: Array(message.name.bytes),
        value: message.has_value != 0 ? Array(message.value.bytes) : nil,
        paths: message.has_paths != 0 ? Array(message.paths.bytes) : nil)
    }
  }

  /// Returns the value of a put; nil if the bytes are not one, or lack a mode.
  package func decodeStat(_ value: [UInt8]) -> StatMessage? {
    unpack(value, known: 9, kind: 0, dat_hyperdrive__stat__unpack) { message in
      var stat = StatMessage(mode: message.mode)
      stat.uid = message.has_uid != 0 ? message.uid : nil
      stat.gid = message.has_gid != 0 ? message.gid : nil
      stat.size = message.has_size != 0 ? message.size : nil
      stat.blocks = message.has_blocks != 0 ? message.blocks : nil
      stat.offset = message.has_offset != 0 ? message.offset : nil
      stat.byteOffset = message.has_byteoffset != 0 ? message.byteoffset : nil
      stat.mtime = message.has_mtime != 0 ? message.mtime : nil
      stat.ctime = message.has_ctime != 0 ? message.ctime : nil
      return stat
    }
  }

  private func unpack<Message, Result>(
    _ block: [UInt8], known: UInt64, kind: UInt64,
    _ unpack: (UnsafeMutablePointer<ProtobufCAllocator>, Int, UnsafePointer<UInt8>?)
      -> UnsafeMutablePointer<Message>?,
    _ body: (Message) -> Result
  ) -> Result? {
    block.withUnsafeBytes { bytes in
      guard let fields = FieldCount(bytes, known: known, kind: kind) else { return nil }
      // The bytes of the fields, and what protobuf-c allocates for each besides.
      let allocator = arena.reserve(bytes.count + 272 * (fields.count + 4) + 512)
      defer { arena.release() }
      let base = bytes.bindMemory(to: UInt8.self).baseAddress
      return unpack(allocator, bytes.count, base).map { body($0.pointee) }
    }
  }

  /// Returns block 0 of an archive.
  package func encode(_ header: ArchiveHeader) -> [UInt8] {
    header.type.withData { type in
      (header.content ?? []).withData { content in
        var message = DatHyperdrive__Index()
        dat_hyperdrive__index__init(&message)
        message.type = type
        message.has_content = header.content != nil ? 1 : 0
        message.content = content
        return [UInt8](
          unsafeUninitializedCapacity: dat_hyperdrive__index__get_packed_size(&message)
        ) { $1 = dat_hyperdrive__index__pack(&message, $0.baseAddress) }
      }
    }
  }

  /// Returns the block of an entry, in the form that the reference writes.
  package func encode(_ entry: ArchiveMessage) -> [UInt8] {
    entry.name.withData { name in
      (entry.value ?? []).withData { value in
        (entry.paths ?? []).withData { paths in
          var message = DatHyperdrive__Entry()
          dat_hyperdrive__entry__init(&message)
          message.name = name
          message.has_value = entry.value != nil ? 1 : 0
          message.value = value
          message.has_paths = entry.paths != nil ? 1 : 0
          message.paths = paths
          return [UInt8](
            unsafeUninitializedCapacity: dat_hyperdrive__entry__get_packed_size(&message)
          ) { $1 = dat_hyperdrive__entry__pack(&message, $0.baseAddress) }
        }
      }
    }
  }

  /// Returns the value of a put.
  package func encode(_ stat: StatMessage) -> [UInt8] {
    var message = DatHyperdrive__Stat()
    dat_hyperdrive__stat__init(&message)
    message.mode = stat.mode
    message.has_uid = stat.uid != nil ? 1 : 0
    message.uid = stat.uid ?? 0
    message.has_gid = stat.gid != nil ? 1 : 0
    message.gid = stat.gid ?? 0
    message.has_size = stat.size != nil ? 1 : 0
    message.size = stat.size ?? 0
    message.has_blocks = stat.blocks != nil ? 1 : 0
    message.blocks = stat.blocks ?? 0
    message.has_offset = stat.offset != nil ? 1 : 0
    message.offset = stat.offset ?? 0
    message.has_byteoffset = stat.byteOffset != nil ? 1 : 0
    message.byteoffset = stat.byteOffset ?? 0
    message.has_mtime = stat.mtime != nil ? 1 : 0
    message.mtime = stat.mtime ?? 0
    message.has_ctime = stat.ctime != nil ? 1 : 0
    message.ctime = stat.ctime ?? 0
    return [UInt8](unsafeUninitializedCapacity: dat_hyperdrive__stat__get_packed_size(&message)) {
      $1 = dat_hyperdrive__stat__pack(&message, $0.baseAddress)
    }
  }
}

extension ProtobufCBinaryData {
  fileprivate var bytes: UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: data, count: data == nil ? 0 : len)
  }
}

extension [UInt8] {
  /// Passes the bytes to `body` to be packed; protobuf-c only reads them.
  fileprivate func withData<Result>(_ body: (ProtobufCBinaryData) -> Result) -> Result {
    withUnsafeBufferPointer {
      body(
        ProtobufCBinaryData(len: $0.count, data: UnsafeMutablePointer(mutating: $0.baseAddress)))
    }
  }
}

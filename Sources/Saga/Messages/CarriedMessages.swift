extension Saga {
  /// The name of the index file in the room's folder. The index is derived from the room's feeds.
  package static var indexFileName: String { RoomIndexFile.name }
}

/// Messages and operations that another feed writes again: under new ids, with their text, name and
/// time.
///
/// For a writer whose own feed can't go on, such as a forked one. Only the feed that wrote a message can edit
/// it, so a message that is carried over is a new message.
package struct CarriedMessages {
  private var random = SystemRandomNumberGenerator()
  private var ids: MessageIDGenerator

  package init() { ids = MessageIDGenerator(random: &random) }

  /// Returns the kind of entry that a database key names; nil if it belongs to no room.
  package static func kind(ofKey key: [UInt8]) -> RoomKind? {
    [RoomKind.messages, .operations].first { key.starts(with: Array($0.prefix.utf8)) }
  }

  /// Returns the content of an entry; nil if its value is neither a message nor an operation.
  package static func content(_ value: [UInt8], _ kind: RoomKind) -> MessageContent? {
    kind.content(value)
  }

  /// Returns the same content under a new id.
  package mutating func renewed(
    _ content: MessageContent, _ kind: RoomKind
  ) -> (key: [UInt8], value: [UInt8]) {
    let key = kind.prefix + ids.next(random: &random)
    let value = kind == .messages ? content.value(key: key) : content.operationValue(key: key)
    return (Array(key.utf8), value)
  }
}

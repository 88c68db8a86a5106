extension Saga {
  /// The file of the room's index in its folder, which follows from its feeds.
  package static var indexFileName: String { RoomIndexFile.name }
}

/// Messages and operations that are written again by another feed: under new ids, with their text, name and
/// time.
///
/// For a writer whose own feed can't go on, such as a forked one. Only the feed that wrote a message can edit
/// it, so what is carried over is a message of its own.
package struct CarriedMessages {
  private var random = SystemRandomNumberGenerator()
  private var ids: MessageIDGenerator

  package init() { ids = MessageIDGenerator(random: &random) }

  /// Which kind of entry a database key names; nil for one that is no room's.
  package static func kind(ofKey key: [UInt8]) -> RoomKind? {
    [RoomKind.messages, .operations].first { key.starts(with: Array($0.prefix.utf8)) }
  }

  /// What an entry says; nil if its value is no message or operation.
  package static func content(_ value: [UInt8], _ kind: RoomKind) -> MessageContent? {
    kind.content(value)
  }

  /// The same under a new id.
  package mutating func renewed(
    _ content: MessageContent, _ kind: RoomKind
  ) -> (key: [UInt8], value: [UInt8]) {
    let key = kind.prefix + ids.next(random: &random)
    let value = kind == .messages ? content.value(key: key) : content.operationValue(key: key)
    return (Array(key.utf8), value)
  }
}

/// The kind of data structure that a feed belongs to, according to its first block.
@nonexhaustive
public enum FeedKind: Hashable, Sendable {
  /// The feed of the first writer of a database (a hyperdb); a room is one as well.
  case database
  /// The metadata of an archive: a hyperdrive up to version 9.
  case archive
  /// A hypertrie, such as the metadata of an archive by hyperdrive 10.
  case trie
  /// A feed on its own, whose blocks mean what its writer decides.
  case feed

  /// Reads the kind from a first block.
  ///
  /// The first field of a header (field 1 of a protobuf message) is the name of the data structure; nothing
  /// else of the block is read. Source: hyperdb `lib/messages.js` `Header`, hyperdrive and hypertrie
  /// `schema.proto` `Header`.
  public init(firstBlock block: [UInt8]) {
    guard block.count >= 2, block[0] == 0x0a, block[1] < 0x80, block.count - 2 >= Int(block[1])
    else {
      self = .feed
      return
    }
    let name = block[2..<2 + Int(block[1])]
    if name.elementsEqual("hyperdb".utf8) {
      self = .database
    } else if name.elementsEqual("hyperdrive".utf8) {
      self = .archive
    } else if name.elementsEqual("hypertrie".utf8) {
      self = .trie
    } else {
      self = .feed
    }
  }

  /// A phrase for people, such as `a database`.
  public var name: String {
    switch self {
    case .database: "a database (hyperdb) or a room"
    case .archive: "an archive (hyperdrive)"
    case .trie: "a hypertrie, or an archive of hyperdrive 10 or later"
    case .feed: "a feed of its own, no database"
    }
  }
}

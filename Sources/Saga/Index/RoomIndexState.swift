internal import HyperDB
internal import Hypercore
public import RandomAccessStorage

/// The state of the index beside a room's database. No state is a fault of the room: without a usable index
/// it merely opens more slowly.
public enum RoomIndexState: Hashable, Sendable {
  /// There is none.
  case missing
  /// It fits the feeds, and has this many messages.
  case usable(messages: Int)
  /// It is damaged, of another version, or of another history: the next opening rebuilds it.
  case unusable
}

extension Saga {
  /// Examines the index of the room in a storage, without opening the room.
  ///
  /// - Parameter storage: the storage of the room.
  /// - Parameter removing: true to empty an index that is not usable.
  /// - Throws: `HyperDBError` or `FeedError` if the database can't be opened; `StorageError`.
  public static func examineIndex(
    _ storage: any StorageProvider, removing: Bool = false
  ) async throws -> RoomIndexState {
    guard try storage.exists(RoomIndexFile.name) else { return .missing }
    let file = try storage.storage(named: RoomIndexFile.name)
    defer { file.close() }
    guard try file.length() > 0 else { return .missing }
    for kind in [RoomKind.messages, .operations] {
      guard let stored = RoomIndexFile(storage, kind).read() else { continue }
      var options = HyperDB.Options()
      options.knownFeeds = stored.feeds
      options.readsAllEntries = true
      let db = try await HyperDB.open(ReadingStorage(storage), options: options)
      var holds = true
      for (key, known) in stored.feeds where holds { holds = await db.holds(known, of: key) }
      await db.close()
      if holds { return .usable(messages: stored.index.count) }
    }
    if removing { try file.truncate(to: 0) }
    return .unusable
  }
}

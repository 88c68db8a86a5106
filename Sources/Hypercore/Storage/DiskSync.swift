/// The rule by which writes of a feed are brought to the disk: at once, in groups, or by the system.
struct DiskSync {
  var durability: Durability
  private var unsyncedBlocks = 0
  /// True if it failed: the system may have dropped what it could not write.
  private(set) var hasFailed = false

  init(_ durability: Durability) { self.durability = durability }

  /// Counts blocks that are written.
  ///
  /// - Returns: true if they have to be brought to the disk now.
  mutating func wrote(_ blocks: Int) -> Bool {
    unsyncedBlocks += blocks
    return switch durability {
    case .buffered: false
    case .synced: true
    case .grouped(let blocks): unsyncedBlocks >= blocks
    }
  }

  /// True if written blocks wait for others before they are brought to the disk.
  var isPending: Bool { durability != .buffered && unsyncedBlocks > 0 }

  mutating func synced() { unsyncedBlocks = 0 }

  mutating func fail() { hasFailed = true }
}

public import HypercoreCrypto

/// The plan that the page shows before a room goes on with a new writer key.
public struct RecoveryPlan: Sendable {
  /// Something that the other history lacks.
  public struct Item: Sendable {
    /// A message's text, or a description of something else. It is a stranger's text, not to be trusted.
    public var text: String
    /// The name that a message claims.
    public var username: String?
    /// The time of writing, in milliseconds since 1970.
    public var timestamp: Int64?
    /// The reason why it can't be carried over; nil if it can.
    public var obstacle: String?

    /// Makes an item of these parts.
    public init(
      text: String, username: String? = nil, timestamp: Int64? = nil, obstacle: String? = nil
    ) {
      self.text = text
      self.username = username
      self.timestamp = timestamp
      self.obstacle = obstacle
    }
  }

  /// The number of blocks that both histories share, and that of all blocks of this one.
  public var common: UInt64
  public var length: UInt64
  public var items: [Item]

  /// Makes a plan of these parts.
  public init(common: UInt64, length: UInt64, items: [Item]) {
    self.common = common
    self.length = length
    self.items = items
  }
}

extension RoomDirectory {
  /// Returns what is missing elsewhere of a room whose own feed has two histories.
  ///
  /// - Throws: ``WebError`` if it can't be recovered from the page, with the next step.
  public func recovery(of room: PublicKey) async throws -> RecoveryPlan { throw Self.notHere }

  /// Continues a room with a new writer key.
  ///
  /// - Parameters:
  ///   - room: the room's key.
  ///   - keepsHistory: true if nothing is written again, since the others have this history.
  /// - Returns: the new location of the old folder.
  public func recover(_ room: PublicKey, keepsHistory: Bool) async throws -> String {
    throw Self.notHere
  }

  private static var notHere: WebError {
    WebError(
      .refused,
      "End this program, and run `dat rekey` with the room's folder: it lists what is carried over."
    )
  }
}

extension Wire {
  /// The room's own feed has two histories.
  struct Fork: Encodable, Sendable {
    var reason: String
  }

  struct Recovery: Encodable, Sendable {
    struct Item: Encodable, Sendable {
      var text: String
      var name: String?
      var time: Int64?
      var obstacle: String?
    }

    var common: UInt64
    var length: UInt64
    /// The first of the items, and the number of all.
    var items: [Item]
    var count: Int

    init(_ plan: RecoveryPlan) {
      common = plan.common
      length = plan.length
      count = plan.items.count
      items = plan.items.prefix(Limits.page).map { item in
        Item(
          text: VisibleText.prefix(item.text, bytes: Limits.listedText),
          name: item.username.map { VisibleText.prefix($0, bytes: Limits.name) },
          time: item.timestamp.flatMap { (0...8_640_000_000_000_000).contains($0) ? $0 : nil },
          obstacle: item.obstacle)
      }
    }
  }

  struct Recovered: Encodable, Sendable {
    var oldFolder: String
  }
}

public import HypercoreCrypto

/// The status of one key of a host.
public struct HostedStatus: Hashable, Sendable {
  /// The host's activity for it.
  public enum State: String, Hashable, Sendable, Codable {
    /// It is open.
    case hosting
    /// Nothing of it has been seen yet; the first peer will show its kind.
    case waiting
    /// More keys than may be open at a time; it waits for its turn.
    case queued
    /// It belongs to other hosts of the fleet.
    case elsewhere
    /// It could not be opened; see ``HostedStatus/problem``.
    case failed
  }

  /// The key.
  public let key: PublicKey
  /// Its present kind.
  public internal(set) var kind: HostedKind
  /// The host's activity for it.
  public internal(set) var state = State.hosting
  /// The folder in which it is stored.
  public let folder: String
  /// The number of its feeds.
  public internal(set) var feeds = 0
  /// The known number of their blocks.
  public internal(set) var length: UInt64 = 0
  /// The number of these that are stored here.
  public internal(set) var stored: UInt64 = 0
  /// In a room, true if the host may write, and so can authorize others.
  public internal(set) var isWriter = false
  /// The number of connected peers.
  public internal(set) var connections = 0
  /// The host of the fleet that it belongs to.
  public internal(set) var owner: String?
  /// The error, in a sentence.
  public internal(set) var problem: String?

  init(key: PublicKey, kind: HostedKind, folder: String) {
    self.key = key
    self.kind = kind
    self.folder = folder
  }
}

extension HostedStatus: Codable {
  private enum CodingKeys: String, CodingKey {
    case key, kind, state, folder, feeds, length, stored, isWriter, connections, owner, problem
  }

  /// Reads what ``encode(to:)`` writes.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    guard let key = PublicKey(hex: try values.decode(String.self, forKey: .key)) else {
      throw DecodingError.dataCorruptedError(
        forKey: .key, in: values, debugDescription: "a key has 64 hex digits")
    }
    self.init(
      key: key, kind: try values.decode(HostedKind.self, forKey: .kind),
      folder: try values.decode(String.self, forKey: .folder))
    state = try values.decode(State.self, forKey: .state)
    feeds = try values.decode(Int.self, forKey: .feeds)
    length = try values.decode(UInt64.self, forKey: .length)
    stored = try values.decode(UInt64.self, forKey: .stored)
    isWriter = try values.decode(Bool.self, forKey: .isWriter)
    connections = try values.decode(Int.self, forKey: .connections)
    owner = try values.decodeIfPresent(String.self, forKey: .owner)
    problem = try values.decodeIfPresent(String.self, forKey: .problem)
  }

  /// Writes an object with the key in hex; nil fields are left out.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(key.hex, forKey: .key)
    try values.encode(kind, forKey: .kind)
    try values.encode(state, forKey: .state)
    try values.encode(folder, forKey: .folder)
    try values.encode(feeds, forKey: .feeds)
    try values.encode(length, forKey: .length)
    try values.encode(stored, forKey: .stored)
    try values.encode(isWriter, forKey: .isWriter)
    try values.encode(connections, forKey: .connections)
    try values.encodeIfPresent(owner, forKey: .owner)
    try values.encodeIfPresent(problem, forKey: .problem)
  }
}

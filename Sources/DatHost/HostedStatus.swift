public import HypercoreCrypto

/// How one key of a host stands.
public struct HostedStatus: Hashable, Sendable {
  /// What is being done for it.
  public enum State: String, Hashable, Sendable, Codable {
    /// It is open.
    case hosting
    /// Nothing of it was seen yet; a first peer will tell what it is.
    case waiting
    /// There are more keys than may be open at a time; it waits for its turn.
    case queued
    /// It belongs to other hosts of the fleet.
    case elsewhere
    /// It could not be opened; see ``HostedStatus/problem``.
    case failed
  }

  /// The key.
  public let key: PublicKey
  /// What it is taken for now.
  public internal(set) var kind: HostedKind
  /// What is being done for it.
  public internal(set) var state = State.hosting
  /// Where it is stored.
  public let folder: String
  /// How many feeds it has.
  public internal(set) var feeds = 0
  /// How many blocks these are known to have.
  public internal(set) var length: UInt64 = 0
  /// How many of them are stored here.
  public internal(set) var stored: UInt64 = 0
  /// In a room, whether the host may write, and so can let others in.
  public internal(set) var isWriter = false
  /// With how many peers it is connected.
  public internal(set) var connections = 0
  /// The host of the fleet that has it.
  public internal(set) var owner: String?
  /// What is wrong with it, in a sentence.
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

  /// Writes an object with the key in hex, and nothing for what is nil.
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

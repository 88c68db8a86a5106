internal import Foundation
public import HypercoreCrypto
public import HypercoreProtocol

/// A recorded replication, `Fixtures/sessions/NAME.json`, parsed: which end sent which bytes in which order,
/// and the messages in these bytes.
public struct RecordedSession: Sendable {
  public enum Side: String, Sendable, CaseIterable {
    case a, b

    public var other: Side { self == .a ? .b : .a }
  }

  /// A message of a recorded end, with the feed's discovery key instead of the channel.
  public enum Said: Hashable, Sendable {
    case feed(DiscoveryKey)
    case handshake(Handshake)
    case message(DiscoveryKey, Message)
    case `extension`(DiscoveryKey, name: String, payload: [UInt8])
  }

  /// Bytes that were sent at once.
  public struct Chunk: Sendable {
    public let from: Side
    public let bytes: [UInt8]
    /// The messages that end in the chunk; mostly one.
    public let said: [Said]
  }

  public let name: String
  public let isLive: Bool
  public let isEncrypted: Bool
  /// The key of the first feed.
  public let key: PublicKey
  /// The key pairs of all feeds that were written during the recording.
  public let keyPairs: [KeyPair]
  /// The blocks that the file lists for the first feed; nil if it lists none.
  public let listedBlocks: [[UInt8]]?
  public let chunks: [Chunk]

  /// The names of all recorded sessions, sorted.
  public static func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: Fixtures.url("sessions").path)
      .filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }.sorted()
  }

  /// The names of the sessions about a single feed, rather than a database.
  public static func feedNames() throws -> [String] {
    try names().filter { try RecordedSession($0).feeds.count == 1 }
  }

  /// Reads the session with a name from the fixtures.
  ///
  /// - Parameter folder: the folder of the sessions of its kind.
  public init(_ name: String, in folder: String = "sessions") throws {
    let file: File = try Fixtures.json("\(folder)/\(name).json")
    self.name = name
    isLive = file.live
    isEncrypted = file.encrypted ?? true
    guard let key = PublicKey(hex: file.key) else { throw BadRecording(name) }
    self.key = key
    keyPairs = try file.secretKeys.sorted { $0.key < $1.key }.map { entry in
      guard let publicKey = PublicKey(hex: entry.key), let secret = SecretKey(hex: entry.value)
      else { throw BadRecording(name) }
      return KeyPair(publicKey: publicKey, secretKey: secret)
    }
    listedBlocks = file.blocks?.first?.map { Array($0) }
    let keys = [key] + keyPairs.map(\.publicKey)
    var readers: [Side: StreamReader] = [:]
    for side in Side.allCases {
      let bytes = file.chunks.filter { $0.from == side.rawValue }.map { Array($0.bytes) }
      let names = try StreamReader.extensionNames(in: bytes, keys: keys, isEncrypted: isEncrypted)
      readers[side] = try StreamReader(keys: keys, isEncrypted: isEncrypted, extensions: names)
    }
    chunks = try file.chunks.map { chunk in
      guard let side = Side(rawValue: chunk.from), let reader = readers[side] else {
        throw BadRecording(name)
      }
      let bytes = Array(chunk.bytes)
      return Chunk(from: side, bytes: bytes, said: try reader.read(bytes))
    }
  }

  /// All messages of one end, in order.
  public func said(by side: Side) -> [Said] {
    chunks.filter { $0.from == side }.flatMap(\.said)
  }

  /// The discovery keys of the feeds that were opened.
  public var feeds: Set<DiscoveryKey> {
    Set(chunks.flatMap(\.said).compactMap { if case .feed(let name) = $0 { name } else { nil } })
  }

  /// All messages of one end about a feed; about the first one if none is given.
  public func messages(of side: Side, about feed: DiscoveryKey? = nil) -> [Message] {
    let feed = feed ?? key.discoveryKey
    return said(by: side).compactMap {
      if case .message(feed, let message) = $0 { message } else { nil }
    }
  }

  /// The handshake of one end.
  public func handshake(of side: Side) -> Handshake? {
    for case .handshake(let handshake) in said(by: side) { return handshake }
    return nil
  }

  /// The known blocks of a feed: those listed, and those that one end sent.
  public func blocks(of feed: DiscoveryKey? = nil) -> [UInt64: [UInt8]] {
    let feed = feed ?? key.discoveryKey
    var blocks: [UInt64: [UInt8]] = [:]
    if feed == key.discoveryKey, let listedBlocks {
      for (index, block) in listedBlocks.enumerated() { blocks[UInt64(index)] = block }
    }
    for side in Side.allCases {
      for case .data(let data) in messages(of: side, about: feed) {
        if let value = data.value { blocks[data.index] = value }
      }
    }
    return blocks
  }

  /// The options of a connection that replaces one end: a new id and nonce, and that end's handshake
  /// otherwise.
  public func options(of side: Side, random: inout SeededRandom) -> Connection.Options {
    var options = Connection.Options.random(using: &random)
    options.isEncrypted = isEncrypted
    options.live = isLive
    if let handshake = handshake(of: side) {
      options.live = handshake.live
      options.userData = handshake.userData
      options.extensions = handshake.extensions
      options.ack = handshake.ack
    }
    return options
  }

  private struct File: Decodable {
    struct Chunk: Decodable {
      var from: String
      var bytes: Data
    }
    var live: Bool
    var encrypted: Bool?
    var key: String
    var secretKeys: [String: String]
    var blocks: Blocks?
    var chunks: [Chunk]

    /// The blocks of one feed, or of an archive's feeds by name.
    enum Blocks: Decodable {
      case feed([Data])
      case archive([String: [Data]])

      init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if let blocks = try? value.decode([Data].self) {
          self = .feed(blocks)
        } else {
          self = .archive(try value.decode([String: [Data]].self))
        }
      }

      var first: [Data]? {
        switch self {
        case .feed(let blocks): blocks
        case .archive(let blocks): blocks["metadata"]
        }
      }
    }
  }
}

/// The error that a recording does not match the fixtures' README.
public struct BadRecording: Error, CustomStringConvertible {
  public let description: String

  init(_ name: String) { description = "The recorded session \(name) can't be used." }
}

/// A reader of one direction of a connection about known feeds, which does not take part in it.
public final class StreamReader {
  private let connection: Connection
  private let keys: [DiscoveryKey: PublicKey]
  private var names: [ChannelID: DiscoveryKey] = [:]
  private let now = ContinuousClock.now

  /// - Parameter keys: the keys of all feeds that may be opened, with the first feed's first.
  public init(keys: [PublicKey], isEncrypted: Bool, extensions: [String] = []) throws {
    self.keys = Dictionary(keys.map { ($0.discoveryKey, $0) }) { first, _ in first }
    var random = SeededRandom(seed: 1)
    var options = Connection.Options.random(using: &random)
    options.isEncrypted = isEncrypted
    options.extensions = extensions
    connection = Connection(options: options, now: now)
  }

  /// Returns the messages in the next bytes.
  public func read(_ bytes: [UInt8]) throws -> [RecordedSession.Said] {
    var said: [RecordedSession.Said] = []
    try connection.receive(bytes, now: now)
    while let event = try connection.nextEvent() {
      switch event {
      case .feed(let name):
        if let key = keys[name] { names[try connection.open(key)] = name }
        said.append(.feed(name))
      case .handshake(let handshake): said.append(.handshake(handshake))
      case .message(let channel, let message):
        if let name = names[channel] { said.append(.message(name, message)) }
      case .extension(let channel, let name, let payload):
        if let feed = names[channel] {
          said.append(.extension(feed, name: name, payload: payload))
        }
      case .end: break
      }
    }
    _ = connection.takeOutput()
    return said
  }

  static func extensionNames(
    in chunks: [[UInt8]], keys: [PublicKey], isEncrypted: Bool
  ) throws -> [String] {
    let reader = try StreamReader(keys: keys, isEncrypted: isEncrypted)
    for chunk in chunks {
      for case .handshake(let handshake) in try reader.read(chunk) { return handshake.extensions }
    }
    return []
  }
}

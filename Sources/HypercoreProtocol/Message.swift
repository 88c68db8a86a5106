public import HypercoreCrypto

/// What two peers say about one feed.
///
/// Integers are block indexes or numbers of blocks, at most 2^53 - 1 when received. What was absent
/// on the wire arrives as the value that the reference gives it.
public enum Message: Hashable, Sendable {
  /// Whether the sender will upload and will download. A peer that does neither has ended.
  case info(uploading: Bool, downloading: Bool)
  /// The sender has the blocks from `start` on: `length` of them, or those set in `bitfield`, which
  /// is run-length encoded (`BitfieldRLE`; empty is not the same as none).
  case have(start: UInt64, length: UInt64 = 1, bitfield: [UInt8]? = nil, ack: Bool = false)
  /// The sender no longer has these blocks.
  case unhave(start: UInt64, length: UInt64 = 1)
  /// The sender wants Have messages about these blocks; length 0 stands for all from `start` on.
  case want(start: UInt64, length: UInt64 = 0)
  /// The sender takes a Want back.
  case unwant(start: UInt64, length: UInt64 = 0)
  /// The sender asks for a block or its hash.
  case request(Request)
  /// The sender takes a Request back.
  case cancel(index: UInt64, bytes: UInt64 = 0, hash: Bool = false)
  /// A block, or its hash, with the proof that it belongs to the feed.
  case data(DataMessage)
}

/// Asks for one block and what is missing of its proof.
public struct Request: Hashable, Sendable {
  /// The block's index.
  public var index: UInt64
  /// A byte offset to seek, or 0 for the block itself.
  public var bytes: UInt64
  /// Whether only the block's hash is wanted.
  public var hash: Bool
  /// A digest of which proof nodes the sender has; all 64 bits are in use.
  public var nodes: UInt64

  /// A request; what is left out is 0 or false, as in the reference.
  @inlinable
  public init(index: UInt64, bytes: UInt64 = 0, hash: Bool = false, nodes: UInt64 = 0) {
    self.index = index
    self.bytes = bytes
    self.hash = hash
    self.nodes = nodes
  }
}

/// Answers a ``Request``. Nothing in it is verified yet but the lengths of hashes and signature.
public struct DataMessage: Hashable, Sendable {
  /// The block's index.
  public var index: UInt64
  /// The block; nil where only its hash was asked for. An empty block is not nil.
  public var value: [UInt8]?
  /// The proof; without a value its first node is the block's own.
  public var nodes: [Node]
  /// The signature of the length that the proof leads to, where the proof needs one.
  public var signature: Signature?

  /// A Data message of these parts.
  @inlinable
  public init(
    index: UInt64, value: [UInt8]? = nil, nodes: [Node] = [], signature: Signature? = nil
  ) {
    self.index = index
    self.value = value
    self.nodes = nodes
    self.signature = signature
  }
}

/// What the remote says about itself, once.
public struct Handshake: Hashable, Sendable {
  /// The remote's name for itself, 32 random bytes in the reference. Nothing proves it. Where it is
  /// nil the reference makes one up.
  public var id: [UInt8]?
  /// Whether the remote wants to go on after everything is exchanged.
  public var live: Bool
  /// Bytes for the application, at most 64 KiB.
  public var userData: [UInt8]?
  /// The names of the extensions that the remote speaks, at most 64.
  public var extensions: [String]
  /// Whether the remote wants to know what arrived.
  public var ack: Bool

  /// A handshake; what is left out is as in the reference.
  public init(
    id: [UInt8]?, live: Bool = false, userData: [UInt8]? = nil, extensions: [String] = [],
    ack: Bool = false
  ) {
    self.id = id
    self.live = live
    self.userData = userData
    self.extensions = extensions
    self.ack = ack
  }
}

/// The low four bits of a frame's header.
///
/// Source: hypercore-protocol `index.js`, `_onmessage`. Types 10 to 14 are free.
@frozen
public enum MessageType: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
  /// Opens a channel for a feed.
  case feed
  /// Who speaks and how; the first message after the first Feed.
  case handshake
  /// Whether the sender still uploads and downloads.
  case info
  /// Which blocks the sender has.
  case have
  /// Which blocks the sender has no longer.
  case unhave
  /// Which blocks the sender wants to hear of.
  case want
  /// Which blocks the sender wants to hear of no longer.
  case unwant
  /// Asks for a block and its proof, or for one of them.
  case request
  /// Takes a request back.
  case cancel
  /// A block and its proof, or one of them.
  case data
  /// A message of an extension.
  case `extension` = 15

  /// Whether it is one of those that ``Message`` has.
  var isAboutFeed: Bool { (Self.info.rawValue...Self.data.rawValue).contains(rawValue) }

  /// The message's name in the schema, such as `Have`.
  public var description: String {
    switch self {
    case .feed: "Feed"
    case .handshake: "Handshake"
    case .info: "Info"
    case .have: "Have"
    case .unhave: "Unhave"
    case .want: "Want"
    case .unwant: "Unwant"
    case .request: "Request"
    case .cancel: "Cancel"
    case .data: "Data"
    case .extension: "Extension"
    }
  }
}

/// One feed on one connection, as opened on this side.
@frozen
public struct ChannelID: Hashable, Sendable, CustomStringConvertible {
  /// The number in this side's frames: the n-th feed opened has n - 1.
  public let number: Int

  @inlinable
  init(_ number: Int) { self.number = number }

  public var description: String { "channel \(number)" }
}

public import HypercoreCrypto

/// A message about one feed between two peers.
///
/// Integers are block indexes or numbers of blocks, at most 2^53 - 1 when received. Fields that
/// were absent on the wire have the value that the reference gives them.
public enum Message: Hashable, Sendable {
  /// The sender says whether it will upload and download. A peer that does neither has ended.
  case info(uploading: Bool, downloading: Bool)
  /// The sender has the blocks from `start` on: `length` of them, or those set in `bitfield`, which
  /// is run-length encoded (`BitfieldRLE`; empty is not the same as none).
  case have(start: UInt64, length: UInt64 = 1, bitfield: [UInt8]? = nil, ack: Bool = false)
  /// The sender no longer has these blocks.
  case unhave(start: UInt64, length: UInt64 = 1)
  /// The sender asks for Have messages about these blocks; length 0 stands for all from `start` on.
  case want(start: UInt64, length: UInt64 = 0)
  /// The sender cancels a Want.
  case unwant(start: UInt64, length: UInt64 = 0)
  /// The sender asks for a block or its hash.
  case request(Request)
  /// The sender cancels a Request.
  case cancel(index: UInt64, bytes: UInt64 = 0, hash: Bool = false)
  /// A block, or its hash, with the proof that it belongs to the feed.
  case data(DataMessage)
}

/// A request for one block and the missing part of its proof.
public struct Request: Hashable, Sendable {
  /// The block's index.
  public var index: UInt64
  /// The byte offset to find, or 0 for the block itself.
  public var bytes: UInt64
  /// True if only the block's hash is requested.
  public var hash: Bool
  /// A digest of the proof nodes that the sender has; all 64 bits are in use.
  public var nodes: UInt64

  /// Creates a request. Values that are left out are 0 or false, as in the reference.
  @inlinable
  public init(index: UInt64, bytes: UInt64 = 0, hash: Bool = false, nodes: UInt64 = 0) {
    self.index = index
    self.bytes = bytes
    self.hash = hash
    self.nodes = nodes
  }
}

/// The answer to a ``Request``. Only the lengths of its hashes and its signature are verified.
public struct DataMessage: Hashable, Sendable {
  /// The block's index.
  public var index: UInt64
  /// The block; nil if only its hash was requested. An empty block is not nil.
  public var value: [UInt8]?
  /// The proof; without a value its first node is the block's own.
  public var nodes: [Node]
  /// The signature of the length that the proof leads to, if the proof needs one.
  public var signature: Signature?

  /// Creates a Data message from its parts.
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

/// The remote's description of itself, sent once.
public struct Handshake: Hashable, Sendable {
  /// The remote's own name, 32 random bytes in the reference, unproven. If it is nil, the reference
  /// makes one up.
  public var id: [UInt8]?
  /// True if the remote stays connected after everything is exchanged.
  public var live: Bool
  /// Bytes for the application, at most 64 KiB.
  public var userData: [UInt8]?
  /// The names of the extensions that the remote speaks, at most 64.
  public var extensions: [String]
  /// True if the remote asks for acknowledgements.
  public var ack: Bool

  /// Creates a handshake. Values that are left out are as in the reference.
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
  /// Describes the sender; the first message after the first Feed.
  case handshake
  /// Says whether the sender still uploads and downloads.
  case info
  /// Says which blocks the sender has.
  case have
  /// Says which blocks the sender no longer has.
  case unhave
  /// Asks for notifications about blocks.
  case want
  /// Ends notifications about blocks.
  case unwant
  /// Requests a block and its proof, or one of them.
  case request
  /// Cancels a request.
  case cancel
  /// A block and its proof, or one of them.
  case data
  /// A message of an extension.
  case `extension` = 15

  /// True if the message is one of those in ``Message``.
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

/// A function that accepts any bytes, with the invariants that must hold whatever they are.
///
/// Each target decodes what a peer, a writer or a file could contain. None may trap, hang or allocate beyond
/// its limits. Most check more: what is decoded must encode and decode to the same, and what is stored must be
/// what the writer signed. `make fuzz` runs them under libFuzzer, the tests with their corpus and with every
/// input that once did harm.
public enum FuzzTarget: String, CaseIterable, Sendable {
  /// A varint, then the same one written out.
  case varint
  /// A run-length encoded bitfield.
  case rle
  /// A stream of frames, whole and cut into pieces, from the first byte on.
  case frame
  /// One message of any type: the first byte says which.
  case message
  /// A block and its proof, put into a feed that has some blocks.
  case proof
  /// The six files of a feed, as they are or changed in places.
  case files
  /// A page of a feed's bitfield.
  case bitfield
  /// An entry of a database.
  case entry
  /// The trie of an entry.
  case trie
  /// A database in which writers have blocks of any kind.
  case database
  /// The name of a state of a database.
  case version
  /// An entry of an archive, with its stat and index.
  case archiveEntry
  /// An archive whose entries have any content: walks, look-ups, differences, and what is written next.
  case archive
  /// Rules for files that are left out of an archive, a pattern and a link.
  case archiveNames
  /// A packet of discovery.
  case dns
  /// A peer's data about its user.
  case userData
  /// A message of a room.
  case messageJSON
  /// JSON on the command line and in imported files.
  case commandJSON
  /// A connection: bytes received, sent, opened and closed, in any order.
  case connection
  /// Replication of a feed with a peer that sends anything, right answers included.
  case session
  /// The description of an offer or an answer.
  case sdp
  /// An address that a peer names.
  case candidate
  /// Datagrams before a library sees them: STUN, SCTP, announcements of channels.
  case datagram
  /// Messages of a hub, and requests to one.
  case hub
  /// Peers at a hub that send anything, in any order.
  case signalling
  /// A recording of connections: lines, a capture of packets, or the bytes of one end.
  case recording
  /// Checks of paths to a peer: requests, answers and time, in any order.
  case ice

  /// The longest inputs worth trying. Sequences of operations need few bytes, and long ones are slow.
  public var longest: Int {
    switch self {
    case .proof, .database, .archive, .connection, .session, .signalling, .ice: 128
    case .files: 16_384
    case .recording: 1024
    default: 4096
    }
  }

  /// Runs one input.
  public func run(_ bytes: [UInt8]) {
    switch self {
    case .varint: Self.varint(bytes)
    case .rle: Self.rle(bytes)
    case .frame: Self.frame(bytes)
    case .message: Self.message(bytes)
    case .proof: Self.proof(bytes)
    case .files: Self.files(bytes)
    case .bitfield: Self.bitfield(bytes)
    case .entry: Self.entry(bytes)
    case .trie: Self.trie(bytes)
    case .database: Self.database(bytes)
    case .version: Self.version(bytes)
    case .archiveEntry: Self.archiveEntry(bytes)
    case .archive: Self.archive(bytes)
    case .archiveNames: Self.archiveNames(bytes)
    case .dns: Self.dns(bytes)
    case .userData: Self.userData(bytes)
    case .messageJSON: Self.messageJSON(bytes)
    case .commandJSON: Self.commandJSON(bytes)
    case .connection: Self.connection(bytes)
    case .session: Self.session(bytes)
    case .sdp: Self.sdp(bytes)
    case .candidate: Self.candidate(bytes)
    case .datagram: Self.datagram(bytes)
    case .hub: Self.hub(bytes)
    case .signalling: Self.signalling(bytes)
    case .ice: Self.ice(bytes)
    case .recording: Self.recording(bytes)
    }
  }
}

/// The state of a host as a whole, small enough for one screen: counts, the least complete keys, the most
/// connected peers, and what needs somebody's attention.
public struct HostReport: Hashable, Sendable, Codable {
  /// A key of which blocks are missing.
  public struct Incomplete: Hashable, Sendable, Codable {
    /// The key, as ``HostedKey`` writes it.
    public var key: String
    /// The number of its blocks that are stored here.
    public var stored: UInt64
    /// The known number of its blocks.
    public var length: UInt64
  }

  /// The connections with one machine.
  public struct Peer: Hashable, Sendable, Codable {
    /// The numeric address, without port.
    public var address: String
    /// The number of connections.
    public var connections: Int
    /// The number of different keys that they are about.
    public var keys: Int
  }

  /// Something that needs attention.
  public struct Warning: Hashable, Sendable, Codable {
    /// The key that it concerns, as ``HostedKey`` writes it; nil for the host as a whole.
    public var key: String?
    /// What is the matter and what to do, in a sentence.
    public var sentence: String
  }

  /// The most entries of each list. A report has room for a screen; `list` returns every key.
  public static let listLimit = 100

  /// The version of the program that runs; empty if it gave none.
  public internal(set) var version = ""
  /// The absolute path of the host's folder.
  public internal(set) var folder = ""
  /// The number of the process.
  public internal(set) var process = 0
  /// The time since the host was opened, in seconds.
  public internal(set) var seconds = 0.0

  /// The number of keys by kind, such as `room`; see ``HostedKind``.
  public internal(set) var kinds: [String: Int] = [:]
  /// The number of keys by state, such as `hosting`; see ``HostedStatus/State``.
  public internal(set) var states: [String: Int] = [:]
  /// The number of feeds of all open keys.
  public internal(set) var feeds = 0
  /// The known number of blocks of all open keys.
  public internal(set) var length: UInt64 = 0
  /// The number of these that are stored here.
  public internal(set) var stored: UInt64 = 0
  /// The number of open keys of which every known block is stored.
  public internal(set) var complete = 0
  /// The open keys of which blocks are missing, with the most missing ones first.
  public internal(set) var incomplete: [Incomplete] = []

  /// The number of connections.
  public internal(set) var connections = 0
  /// The number of machines at the other ends.
  public internal(set) var addresses = 0
  /// The machines with the most connections first.
  public internal(set) var peers: [Peer] = []
  /// The bytes received over all connections since the host was opened.
  public internal(set) var received: UInt64 = 0
  /// The bytes sent.
  public internal(set) var sent: UInt64 = 0

  /// The bytes on the disk that the feeds of all open keys take.
  public internal(set) var diskUsed: UInt64 = 0
  /// The bytes that all keys together may take; nil for the disk, less the reserve.
  public internal(set) var quota: UInt64?
  /// The free bytes of the disk that the folder is on; nil if the system does not say.
  public internal(set) var diskAvailable: UInt64?
  /// The size of that disk in bytes.
  public internal(set) var diskTotal: UInt64?
  /// The bytes of it that are kept free.
  public internal(set) var diskReserve: UInt64?

  /// The bytes of memory that the process has resident; nil if the system does not say.
  public internal(set) var memory: UInt64?
  /// The part of them that is not mapped from files.
  public internal(set) var ownMemory: UInt64?
  /// The open file descriptors; nil if the system does not say.
  public internal(set) var descriptors: Int?
  /// The most descriptors that the process may have open.
  public internal(set) var descriptorLimit: Int?

  /// The state of the fleet; nil for a host that is in none.
  public internal(set) var fleet: FleetReport?

  /// What needs attention; the host's own warnings first.
  public internal(set) var warnings: [Warning] = []
  /// The number of warnings, of which ``warnings`` has at most ``listLimit``.
  public internal(set) var warningCount = 0

  init() {}

  mutating func warn(_ sentence: String, about key: String? = nil) {
    warningCount += 1
    if warnings.count < Self.listLimit { warnings.append(Warning(key: key, sentence: sentence)) }
  }

  /// Counts a key.
  mutating func add(_ status: HostedStatus) {
    let key = "\(HostedKey(kind: status.kind, key: status.key))"
    kinds[status.kind.rawValue, default: 0] += 1
    states[status.state.rawValue, default: 0] += 1
    if let problem = status.problem { warn(problem, about: key) }
    guard status.state == .hosting else { return }
    feeds += status.feeds
    // Lengths are a peer's word.
    length = Self.sum(length, status.length)
    stored = Self.sum(stored, status.stored)
    if status.stored >= status.length {
      complete += 1
    } else {
      incomplete.append(Incomplete(key: key, stored: status.stored, length: status.length))
      // Sorted now and then, so that a million keys take no more room than the list.
      if incomplete.count >= 4 * Self.listLimit { cutIncomplete() }
    }
  }

  mutating func cutIncomplete() {
    incomplete.sort {
      let missing = ($0.length - $0.stored, $1.length - $1.stored)
      return missing.0 == missing.1 ? $0.key < $1.key : missing.0 > missing.1
    }
    incomplete = Array(incomplete.prefix(Self.listLimit))
  }

  private static func sum(_ one: UInt64, _ other: UInt64) -> UInt64 {
    let (sum, overflow) = one.addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}

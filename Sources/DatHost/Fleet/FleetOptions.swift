internal import DatFleet
internal import Hypercore
internal import HypercoreCrypto

/// The secret of a fleet, by which its members prove themselves to each other.
public struct FleetSecret: Hashable, Sendable {
  let key: FleetKey

  /// Reads 64 hex digits; spaces and line ends around them count for nothing.
  ///
  /// - Throws: ``HostError`` with `malformedKey`.
  public init(reading bytes: some Collection<UInt8>) throws(HostError) {
    guard let key = FleetKey(reading: bytes) else {
      throw HostError(
        .malformedKey,
        "That is no fleet key: it has 64 hex digits. dat host new-fleet-key makes one.")
    }
    self.key = key
  }

  /// Returns a new secret as 64 hex digits.
  public static func random() -> String {
    Digest(bytes: randomBytes(32))?.hex ?? ""
  }
}

extension ReplicaHost {
  /// The part of a host in its fleet. All members have the same secret, copies and grace.
  public struct FleetOptions: Sendable {
    /// The directory that names the members.
    public var directory: FleetDirectory
    /// The host's own name, as the directory has it.
    public var name: String
    /// The secret of the fleet.
    public var secret: FleetSecret
    /// The number of hosts that hold each key.
    public var copies = 2
    /// The time for which a host may be missing before its keys are copied again.
    public var grace: Duration = .seconds(600)
    /// The time for which a key is kept that is served here no longer; nil for good.
    public var keep: Duration?
    /// The time between two looks at a file, and at most between two questions to a DNS server, which go by the time
    /// for which an answer holds.
    public var look: Duration = .seconds(30)
    /// The time between two questions about a key to another host; doubled after each, up to twenty times as much.
    public var interval: Duration = .seconds(30)
    /// The time between two comparisons of the lists of keys of two connected members; changes are sent at once.
    public var compare: Duration = .seconds(600)

    /// Makes the options of a member.
    public init(directory: FleetDirectory, name: String, secret: FleetSecret) {
      self.directory = directory
      self.name = name
      self.secret = secret
    }

    var plan: FleetPlan.Options {
      var options = FleetPlan.Options()
      options.copies = max(copies, 1)
      options.grace = Self.seconds(grace)
      options.keep = keep.map(Self.seconds)
      options.interval = max(Self.seconds(interval), 1)
      options.patience = max(Self.seconds(interval * 20), 1)
      return options
    }

    static func seconds(_ duration: Duration) -> UInt64 {
      UInt64(clamping: duration.components.seconds)
    }
  }
}

/// The state of a fleet as one of its members sees it.
public struct FleetReport: Hashable, Sendable, Codable {
  /// A key whose former hosts are all gone, and of which nothing is here.
  public struct Lost: Hashable, Sendable, Codable {
    /// The key, as ``HostedKey`` writes it.
    public var key: String
    /// The names of the hosts that had it.
    public var hosts: [String]
  }

  /// The name of the host.
  public internal(set) var name = ""
  /// The number of members, with those that are missing for less than the grace.
  public internal(set) var members = 0
  /// The members that the directory does not name at present; at most ``HostReport/listLimit`` of them.
  public internal(set) var missing: [String] = []
  /// The number of members that are missing.
  public internal(set) var missingCount = 0
  /// The number of members that are connected.
  public internal(set) var connected = 0
  /// The number of keys of the fleet.
  public internal(set) var keys = 0
  /// The number of keys that fall to this host.
  public internal(set) var owned = 0
  /// The number of keys that it serves until their new hosts have them.
  public internal(set) var leaving = 0
  /// The number of keys that it serves no longer and keeps for a time.
  public internal(set) var kept = 0
  /// The number of keys of which it has not all blocks yet, of those that fall to it.
  public internal(set) var fetching = 0
  /// Keys that had their last copies on hosts that are gone; at most ``HostReport/listLimit`` of them.
  public internal(set) var lost: [Lost] = []
  /// The number of these keys.
  public internal(set) var lostCount = 0
  /// The reason why the directory's last answer was none, in a sentence; nil if it was one.
  public internal(set) var trouble: String?

  init() {}
}

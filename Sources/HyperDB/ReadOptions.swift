extension HyperDB {
  /// How entries are looked up.
  public struct ReadOptions: Sendable {
    /// Whether deletes are given, too.
    public var deletes = false
    /// Gives the reference's own answer, with values among it that a later one replaced.
    public var raw = false
    /// Whether a clone that has nothing yet waits for a first peer; nil for as the database does.
    public var update: Bool?
    /// How long to wait for peers; nil for as the database does.
    public var timeout: Duration?
    /// What is done to the nodes; nil for what the database does.
    public var transform: NodeTransform?

    /// Options; what is left out is as the properties say.
    public init(
      deletes: Bool = false, raw: Bool = false, update: Bool? = nil, timeout: Duration? = nil,
      transform: NodeTransform? = nil
    ) {
      self.deletes = deletes
      self.raw = raw
      self.update = update
      self.timeout = timeout
      self.transform = transform
    }
  }
}

/// What a list takes in, and in which order.
public struct ListingOptions: Sendable {
  /// Whether to go below the first level of folders; where not, a folder is shown by one of its keys.
  public var recursive = true
  /// The other way round.
  public var reverse = false
  /// Leaves the prefix itself out: `gt` in hyperdb.
  public var after = false
  /// Begins after this key, where a list ended before: a key as a node of it was given out, whether or not
  /// it is there still. Costs no walk through what comes before it.
  public var following: [UInt8]?
  /// Gives deletes, too.
  public var deletes = false
  /// Gives the reference's own answer.
  public var raw = false
  /// Whether a clone that has nothing yet waits for a first peer; nil for as the database does.
  public var update: Bool?
  /// How long each wait for peers may be; nil for as the database does.
  public var timeout: Duration?
  /// What is done to the nodes; nil for what the database does.
  public var transform: NodeTransform?

  /// Options; what is left out is as the properties say.
  public init(
    recursive: Bool = true, reverse: Bool = false, after: Bool = false, deletes: Bool = false,
    raw: Bool = false, update: Bool? = nil, timeout: Duration? = nil,
    transform: NodeTransform? = nil, following: [UInt8]? = nil
  ) {
    self.following = following
    self.recursive = recursive
    self.reverse = reverse
    self.after = after
    self.deletes = deletes
    self.raw = raw
    self.update = update
    self.timeout = timeout
    self.transform = transform
  }

  var core: ListOptions {
    ListOptions(
      recursive: recursive, reverse: reverse, after: after, deletes: deletes, raw: raw,
      following: following)
  }
}

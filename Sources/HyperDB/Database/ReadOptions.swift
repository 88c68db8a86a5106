extension HyperDB {
  /// The options of a lookup.
  public struct ReadOptions: Sendable {
    /// True to include deletes.
    public var deletes = false
    /// True for the reference's own answer, with values that a later one replaced.
    public var raw = false
    /// True if a clone that has nothing yet waits for a first peer; nil for the database's option.
    public var update: Bool?
    /// The longest wait for peers; nil for the database's option.
    public var timeout: Duration?
    /// The transform of the nodes; nil for the database's option.
    public var transform: NodeTransform?

    /// Makes options; each default is that of its property.
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

/// The extent of a list, and its order.
public struct ListingOptions: Sendable {
  /// True to go below the first level of folders; otherwise one of its keys stands for each folder.
  public var recursive = true
  /// True for the reverse order.
  public var reverse = false
  /// True to leave out the prefix itself: `gt` in hyperdb.
  public var after = false
  /// The key after which the list begins, such as the last of an earlier list: a key as its node was given out,
  /// whether or not it still exists. No walk through the keys before it is needed.
  public var following: [UInt8]?
  /// True to include deletes.
  public var deletes = false
  /// True for the reference's own answer.
  public var raw = false
  /// True if a clone that has nothing yet waits for a first peer; nil for the database's option.
  public var update: Bool?
  /// The longest single wait for peers; nil for the database's option.
  public var timeout: Duration?
  /// The transform of the nodes; nil for the database's option.
  public var transform: NodeTransform?

  /// Makes options; each default is that of its property.
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

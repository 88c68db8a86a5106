/// A feed whose blocks all hold one type of value.
///
/// ```swift
/// let words = try await Feed.open(folder: "words").of(.utf8)
/// try await words.append("hello")
/// print(try await words.get(0))
/// ```
///
/// Stands for a hypercore opened with a `valueEncoding`.
public struct TypedFeed<Value: Sendable>: Sendable {
  /// The feed itself, for everything that doesn't concern values.
  public let feed: Feed
  /// The conversion between values and blocks.
  public let encoding: ValueEncoding<Value>

  /// Appends a value; see ``Feed/append(_:)-([UInt8])``.
  @discardableResult
  public func append(_ value: Value) async throws -> UInt64 {
    try await feed.append(value, as: encoding)
  }

  /// Appends values as one batch; see ``Feed/append(_:)-([[UInt8]])``.
  @discardableResult
  public func append(contentsOf values: [Value]) async throws -> UInt64 {
    try await feed.append(contentsOf: values, as: encoding)
  }

  /// Writes a sequence of values; see ``Feed/write(_:)``.
  @discardableResult
  public func write<Values: AsyncSequence>(_ values: Values) async throws -> UInt64
  where Values.Element == Value {
    try await feed.write(values, as: encoding)
  }

  /// Returns the value of a block; see ``Feed/get(_:options:)-(UInt64,_)``.
  public func get(_ index: UInt64, options: Feed.GetOptions = .init()) async throws -> Value {
    try await feed.get(index, as: encoding, options: options)
  }

  /// Returns the values of a range of blocks; see ``Feed/get(_:options:)-(Range<UInt64>,_)``.
  public func get(_ range: Range<UInt64>, options: Feed.GetOptions = .init()) async throws
    -> [Value]
  {
    try await feed.get(range, as: encoding, options: options)
  }

  /// Returns the last value; see ``Feed/head(options:)``.
  public func head(options: Feed.GetOptions = .init()) async throws -> Value {
    try encoding.decode(try await feed.head(options: options))
  }

  /// The values in order; see ``Feed/blocks(_:)``.
  public func values(_ options: Feed.StreamOptions = .init())
    -> AsyncThrowingMapSequence<FeedBlocks, Value>
  {
    feed.blocks(as: encoding, options)
  }
}

extension Feed {
  /// Returns this feed with all its blocks in one encoding.
  ///
  /// Stands for hypercore's option `valueEncoding`.
  public nonisolated func of<Value: Sendable>(_ encoding: ValueEncoding<Value>) -> TypedFeed<Value>
  {
    TypedFeed(feed: self, encoding: encoding)
  }
}

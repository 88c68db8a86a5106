import Hypercore
import RandomAccessStorage

// Exercise 2: a log. Make a feed that is kept in memory, holds JSON, and begins with one object.

/// The object that the exercise puts into the log.
public struct Dataset: Codable, Hashable, Sendable {
  public var title: String
}

/// Makes a feed in memory whose blocks are JSON, with its first block in it.
public func makeLog(in storage: MemoryStorage = MemoryStorage()) async throws
  -> TypedFeed<Dataset>
{
  let feed = try await Feed.open(storage: storage).of(.json(Dataset.self))
  try await feed.append(Dataset(title: "dat-is-freedom"))
  return feed
}

import Hypercore
import HypercoreCrypto

// Exercise 4: streams. Copy a peer's feed over a replication stream, then read the copy.

/// Returns every message of the feed of a key, fetched from the peer at the other end of a stream.
public func messages(of key: PublicKey, from remote: ReplicationStream) async throws -> [String] {
  let feed = try await Feed.inMemory(options: .init(key: key))
  // Not live: the session ends by itself once each side has what the other has.
  try await connect(feed.replicate(), remote)
  var messages: [String] = []
  for try await message in feed.blocks(as: .utf8) { messages.append(message) }
  return messages
}

/// Joins two streams in this process, as a socket between them would, until both have ended.
public func connect(_ one: ReplicationStream, _ other: ReplicationStream) async throws {
  async let back: Void = carry(from: other, to: one)
  await carry(from: one, to: other)
  await back
  try await one.finished()
}

private func carry(from one: ReplicationStream, to other: ReplicationStream) async {
  while let bytes = await one.nextOutput() { await other.receive(bytes) }
  await other.finishInput()
}

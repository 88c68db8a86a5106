public import Hypercore
public import HypercoreCrypto

/// The second feed of a writer.
struct ContentFeed {
  let feed: Feed
  let replicator: Replicator
  let download: Bool
}

extension HyperDB {
  /// This replica's own content feed, to append to; nil if content feeds are off.
  ///
  /// Its keys are derived from those of the feed that is written here, and not stored.
  ///
  /// Stands for hyperdb `localContent`.
  public var localContent: Feed? { core.local.flatMap { contents[$0]?.feed } }

  /// The content feed of a writer; nil if content feeds are off, or if no list of that writer that names
  /// one is here yet.
  ///
  /// Stands for hyperdb `contentFeeds`.
  public func contentFeed(of writer: PublicKey) -> Feed? {
    core.number(of: writer).flatMap { contents[$0]?.feed }
  }

  /// Opens the content feeds that are known but not open yet.
  func attachContents() {
    guard options.contentFeed else { return }
    for number in core.feedKeys.indices
    where contents[number] == nil && !refusedContents.contains(number) {
      let isOwn = number == core.local
      let known = isOwn ? feedSet.contentKeyPair?.publicKey.bytes : core.contentKey(of: number)
      guard let known, let key = PublicKey(bytes: known) else { continue }
      do {
        let replicator = try feedSet.openContent(
          of: core.feedKeys[number], key: key, secret: isOwn ? feedSet.contentKeyPair : nil)
        contents[number] = ContentFeed(
          feed: Feed.wrapping(OnReplica(replicator, on: replica)), replicator: replicator,
          download: replicator.core.wantsBlocks)
        contentChanges += 1
      } catch {
        // For example, a folder that holds another key: the database does without it.
        contentIssues.append(
          HyperDBError(
            .feed, "The content feed of \(core.feedKeys[number]) can't be opened: \(error)",
            feed: number, cause: error))
        refusedContents.insert(number)
      }
    }
  }
}

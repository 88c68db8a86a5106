/// Blocks that came from peers or were sent to them, by peer, as they wait for one reader of events.
struct BlocksByPeer {
  /// The most peers whose blocks are kept apart: at a bit for each block and peer, 64 peers and a feed of a
  /// million blocks take 8 MB. Blocks of others are kept without their peer.
  static let peers = 64

  private var sets: [(peer: FeedPeerID?, blocks: BlockSet)] = []

  /// The number of peers.
  var count: Int { sets.count }

  mutating func insert(_ range: Range<UInt64>, _ peer: FeedPeerID?) {
    if let place = place(of: peer) {
      sets[place].blocks.insert(range)
    } else if peer != nil, sets.count >= Self.peers {
      insert(range, nil)
    } else {
      var blocks = BlockSet(mixedPageLimit: .max)
      blocks.insert(range)
      sets.append((peer, blocks))
    }
  }

  mutating func remove(_ range: Range<UInt64>) {
    for place in sets.indices { sets[place].blocks.remove(range) }
    sets.removeAll { $0.blocks.isEmpty }
  }

  /// Removes the first run of blocks of one peer.
  mutating func removeFirst() -> (Range<UInt64>, FeedPeerID?)? {
    guard !sets.isEmpty, let range = sets[0].blocks.removeFirstRange() else { return nil }
    let peer = sets[0].peer
    if sets[0].blocks.isEmpty { sets.removeFirst() }
    return (range, peer)
  }

  private func place(of peer: FeedPeerID?) -> Int? {
    sets.firstIndex { $0.peer?.number == peer?.number }
  }
}

internal import HypercoreCrypto

/// The feeds of one connection: each maps this side's channel number to the remote's.
struct ChannelTable {
  /// One feed. It is added when either side opens it, and stays.
  struct Channel {
    let discoveryKey: DiscoveryKey
    /// This side's number, once it is open here.
    var localID: ChannelID?
    /// The remote's number, once it is open there.
    var remoteNumber: Int?
    /// True if it was opened here and closed again; messages that still arrive are dropped.
    var isClosedLocally = false
    /// The messages that arrived before it was opened here.
    var queue: [Message] = []
    var queuedBytes = 0
  }

  /// The handling of a message that arrived on a channel.
  enum Delivery {
    case deliver(ChannelID)
    case queued
    case drop
    case tooMany
  }

  private var channels: [Channel] = []
  private var byDiscoveryKey: [DiscoveryKey: Int] = [:]
  /// Positions in ``channels`` by this side's number.
  private var local: [Int] = []
  /// Positions in ``channels`` by the remote's number, which may leave gaps.
  private var remote: [Int?] = []
  private var queuedBytesInAll = 0

  var localCount: Int { local.count }

  /// The channel of the feed with this discovery key, if it was opened here.
  func localID(of discoveryKey: DiscoveryKey) -> ChannelID? {
    byDiscoveryKey[discoveryKey].flatMap { channels[$0].localID }
  }

  /// Returns whether the channel was opened here and not closed again.
  func isOpen(_ id: ChannelID) -> Bool {
    id.number >= 0 && id.number < local.count && !channels[local[id.number]].isClosedLocally
  }

  /// Returns whether the remote has opened the feed.
  func isOpenRemotely(_ id: ChannelID) -> Bool {
    id.number >= 0 && id.number < local.count && channels[local[id.number]].remoteNumber != nil
  }

  /// The remote's channel; nil if the remote has not opened it.
  func remoteChannel(_ number: Int) -> Channel? {
    guard number < remote.count, let place = remote[number] else { return nil }
    return channels[place]
  }

  /// This side's number of the remote's channel; nil unless both sides have opened it and this side
  /// has not closed it.
  func openChannel(_ number: Int) -> ChannelID? {
    guard number < remote.count, let place = remote[number], !channels[place].isClosedLocally
    else { return nil }
    return channels[place].localID
  }

  /// Opens the feed on this side, if it isn't open yet.
  ///
  /// - Returns: the channel's number, and the messages that arrived before.
  mutating func openLocally(_ discoveryKey: DiscoveryKey) -> (id: ChannelID, queue: [Message]) {
    let place = place(of: discoveryKey)
    let id = ChannelID(local.count)
    local.append(place)
    channels[place].localID = id
    let queue = channels[place].queue
    channels[place].queue = []
    queuedBytesInAll -= channels[place].queuedBytes
    channels[place].queuedBytes = 0
    return (id, queue)
  }

  /// Closes the channel on this side.
  mutating func closeLocally(_ id: ChannelID) {
    if isOpen(id) { channels[local[id.number]].isClosedLocally = true }
  }

  /// Records that the remote opened a feed.
  ///
  /// - Returns: false if the number or the feed is in use by another.
  mutating func openRemotely(_ discoveryKey: DiscoveryKey, number: Int) -> Bool {
    if number < remote.count, remote[number] != nil { return false }
    let place = place(of: discoveryKey)
    if channels[place].remoteNumber != nil { return false }
    channels[place].remoteNumber = number
    while remote.count <= number { remote.append(nil) }
    remote[number] = place
    return true
  }

  /// Decides what happens to a message on one of the remote's open channels; queues it if the
  /// channel is not open here.
  ///
  /// - Parameter byteCount: the size of its frame.
  mutating func deliver(_ message: Message, on number: Int, byteCount: Int) -> Delivery {
    guard number < remote.count, let place = remote[number] else { return .drop }
    if let id = channels[place].localID {
      return channels[place].isClosedLocally ? .drop : .deliver(id)
    }
    guard channels[place].queue.count < WireLimits.queuedMessages,
      channels[place].queuedBytes + byteCount <= WireLimits.queuedBytes,
      queuedBytesInAll + byteCount <= WireLimits.queuedBytesInAll
    else { return .tooMany }
    channels[place].queue.append(message)
    channels[place].queuedBytes += byteCount
    queuedBytesInAll += byteCount
    return .queued
  }

  private mutating func place(of discoveryKey: DiscoveryKey) -> Int {
    if let place = byDiscoveryKey[discoveryKey] { return place }
    let place = channels.count
    channels.append(Channel(discoveryKey: discoveryKey))
    byDiscoveryKey[discoveryKey] = place
    return place
  }
}

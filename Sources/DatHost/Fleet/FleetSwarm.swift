internal import DatFleet
internal import DatSwarm
internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol

/// The swarm of a host as its fleet uses it: members meet about a feed that stays empty, and whose key follows from the
/// fleet's secret.
struct FleetSwarm: Sendable {
  /// The name of the extension of the protocol by which members talk.
  private static let extensionName = "dat/fleet"

  private let swarm: Swarm
  private let feed: Feed
  private let topic: DiscoveryKey

  /// Opens the feed about which members meet.
  static func open(_ key: FleetKey, in swarm: Swarm) async throws(HostError) -> FleetSwarm {
    guard let pair = key.feed else {
      throw HostError(.malformedKey, "No feed can be derived from the fleet key.")
    }
    do {
      let feed = try await Feed.inMemory(options: Feed.Options(key: pair.publicKey))
      return FleetSwarm(swarm: swarm, feed: feed, topic: pair.publicKey.discoveryKey)
    } catch {
      throw HostError(.folder, "The fleet's feed can't be opened: \(error)")
    }
  }

  // MARK: Members

  /// Begins to meet members. Only those are met that are dialled, or that dial this host.
  func join(replicate: @escaping Swarm.Replicate, meet: @escaping Swarm.Meet) async {
    await swarm.join(
      topic, search: Swarm.Search(announces: false, origins: []), replicate: replicate, meet: meet)
  }

  /// Ends and begins connections with members about the fleet itself.
  func apply(_ change: FleetContacts.Change) async { await apply(change, about: topic) }

  /// Ends and begins connections with members about a key.
  func apply(_ change: FleetContacts.Change, about key: DiscoveryKey) async {
    for address in change.removed { await swarm.disconnect(from: address, about: key) }
    for address in change.added { await swarm.connect(to: address, about: key) }
  }

  /// Ends all connections with members.
  func close() async {
    await swarm.leave(topic)
    try? await feed.close()
  }

  // MARK: Messages

  /// Makes the stream of a connection, on which only messages are exchanged, and begins to keep those that come.
  func stream() async throws -> (stream: ReplicationStream, messages: ExtensionMessages) {
    var options = ReplicationOptions.live
    options.extensions = [Self.extensionName]
    (options.download, options.upload) = (false, false)
    let stream = try await feed.replicate(options)
    return (stream, await stream.extensionMessages())
  }

  /// Sends a message of a member.
  func send(_ bytes: [UInt8], on stream: ReplicationStream) async throws {
    try await stream.send(extension: Self.extensionName, payload: bytes)
  }

  /// Returns whether a message is one of a member.
  func isFleetMessage(_ message: ExtensionMessage) -> Bool { message.name == Self.extensionName }
}

import DatTesting
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import DatSwarm

/// An ID that a peer claims has no effect on others' connections; one that it proves has.
@Suite struct ClaimedIDTests {
  private func inbound(_ world: inout SwarmWorld, _ host: String = "192.0.2.7") -> Int {
    world.core.arrived(world.key, from: PeerAddress(host: host, port: 40_000))!.number
  }

  private func outbound(_ world: inout SwarmWorld, _ host: String = "192.0.2.7", at: Double = 0)
    -> Int
  {
    world.find([host], at: at)
    let order = world.orders(at: at)[0]
    world.core.dialed(order.number)
    return order.number
  }

  @Test(arguments: [true, false])
  func `a connection that claims another peer's name ends and parks nothing`(canProve: Bool) {
    for name in [[1], [3]] as [[UInt8]] {
      var world = SwarmWorld()
      let real = outbound(&world)
      #expect(
        world.core.handshaken(real, remote: name, own: [2], canProve: canProve) == .stays)
      for _ in 0..<5 {
        let liar = inbound(&world, "192.0.2.66")
        #expect(
          world.core.handshaken(liar, remote: name, own: [2], canProve: canProve) == .stays)
      }
      #expect(world.core.peers.count == 6)
      #expect(world.core.peers.contains { $0.number == real })
    }
  }

  @Test(arguments: [true, false])
  func `of two connections shown to be one peer's the smaller name leaves one`(isSmaller: Bool) {
    for inboundFirst in [true, false] {
      var world = SwarmWorld()
      let out = outbound(&world)
      let come = inbound(&world)
      let (remote, own): ([UInt8], [UInt8]) = isSmaller ? ([3], [2]) : ([1], [2])
      for number in inboundFirst ? [come, out] : [out, come] {
        #expect(
          world.core.handshaken(number, remote: remote, own: own, canProve: true) == .stays)
      }
      #expect(world.core.namesakes(of: out) == [come])
      let left = world.core.same(come, out, own: own)
      // The connection that the smaller side opened stays.
      #expect(left == (isSmaller ? come : nil))
      world.core.closed(left ?? out, reason: nil, now: world.start)
      #expect(world.orders(at: 3600).isEmpty, "the loss of a duplicate is no reason to dial")
      if !isSmaller {
        world.core.closed(come, reason: nil, now: world.at(60))
        #expect(world.orders(at: 62).count == 1, "the loss of the last connection is")
      }
    }
  }

  @Test func `what a peer of the reference closed beside another is dialled when that has ended`() {
    var world = SwarmWorld()
    let come = inbound(&world)
    #expect(world.core.handshaken(come, remote: [3], own: [2]) == .stays)
    let out = outbound(&world)
    #expect(world.core.handshaken(out, remote: [3], own: [2]) == .stays)
    world.core.closed(out, reason: nil, now: world.start)
    #expect(world.orders(at: 500).isEmpty)
    world.core.closed(come, reason: nil, now: world.at(500))
    #expect(world.orders(at: 502).count == 1)
  }

  @Test func `a liar keeps the address of a peer of the reference away for ten minutes at most`() {
    var world = SwarmWorld()
    let out = outbound(&world)
    #expect(world.core.handshaken(out, remote: [3], own: [2]) == .stays)
    let liar = inbound(&world, "192.0.2.66")
    #expect(world.core.handshaken(liar, remote: [3], own: [2]) == .stays)
    world.core.closed(out, reason: nil, now: world.start)
    #expect(world.orders(at: 599).isEmpty)
    #expect(world.orders(at: 601).count == 1)
  }

  @Test func `peers of one name in different topics are no duplicates`() {
    var world = SwarmWorld()
    let other = DiscoveryKey(bytes: [UInt8](repeating: 8, count: 32))!
    world.core.join(other)
    var numbers: [Int] = []
    for key in [world.key, other] {
      let peer = world.core.arrived(key, from: PeerAddress(host: "192.0.2.7", port: 1))!
      numbers.append(peer.number)
      #expect(
        world.core.handshaken(peer.number, remote: [1], own: [0], canProve: true) == .stays)
    }
    #expect(world.core.namesakes(of: numbers[0]).isEmpty)
    #expect(world.core.same(numbers[0], numbers[1], own: [0]) == nil)
  }

  // MARK: Over sockets

  private func feeds() async throws -> (Feed, Feed) {
    let feed = try await Feed.open(storage: MemoryStorage())
    try await feed.append([1])
    var options = Feed.Options()
    options.key = feed.key
    return (feed, try await Feed.open(storage: MemoryStorage(), options: options))
  }

  @Test(.timeLimit(.minutes(1)))
  func `two connections with one peer come down to one, and the peers stay together`() async throws
  {
    let (feed, copy) = try await feeds()
    let key = feed.discoveryKey!
    let one = Swarm()
    let other = Swarm()
    let events = await one.events()
    let address = try await other.listen(host: "127.0.0.1")
    for (swarm, feed) in [(one, feed), (other, copy)] {
      await swarm.join(key) { _ in try await feed.replicate(.live) }
    }
    // Two ways to one peer.
    await one.connect(to: address, about: key)
    await one.connect(to: PeerAddress(host: "localhost", port: address.port), about: key)
    for await event in events { if case .duplicate = event { break } }
    try await feed.append([2])
    #expect(try await copy.get(1) == [2])
    #expect(await one.peers.count == 1)
    await one.close()
    await other.close()
  }

  @Test(.timeLimit(.minutes(1)))
  func `a reader that calls itself like a connected peer takes that peer's place from nobody`()
    async throws
  {
    let (feed, copy) = try await feeds()
    let (key, publicKey) = (feed.discoveryKey!, feed.key!)
    let host = Swarm()
    let address = try await host.listen(host: "127.0.0.1")
    await host.join(key) { _ in try await feed.replicate(.live) }
    let guest = Swarm()
    await guest.join(key) { _ in try await copy.replicate(.live) }
    await guest.connect(to: address, about: key)
    _ = try await copy.get(0)
    let events = await host.events()
    let name = try await copy.replicate(.live).id
    // The liar announces the same ID, claims that it can prove it, and sends back what it receives.
    var options = Feed.Options()
    options.key = publicKey
    let third = try await Feed.open(storage: MemoryStorage(), options: options)
    for _ in 0..<3 {
      let liar = Swarm()
      await liar.join(key) { _ in
        var options = ReplicationOptions.live
        options.id = name
        return try await third.replicate(options)
      }
      await liar.connect(to: address, about: key)
      for await event in events { if case .connected = event { break } }
      #expect(try await third.get(0) == [1])
      #expect(await host.peers.count == 2)
      try await feed.append([7])
      let newest = await feed.length - 1
      #expect(try await copy.get(newest) == [7], "the real peer's connection goes on")
      await liar.close()
      for await event in events { if case .disconnected = event { break } }
    }
    #expect(await host.peers.count == 1)
    await guest.close()
    await host.close()
  }
}

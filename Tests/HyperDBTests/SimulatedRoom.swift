import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import HypercoreProtocol

/// One replica of a database in a ``SimulatedRoom``: its disk, and what runs on it.
final class RoomMember {
  let name: String
  let options: HyperDBOptions
  /// The difference between its clock and that of the others.
  let skew: Duration
  /// The database's key; nil for its owner.
  let key: PublicKey?
  private(set) var disk = SimulatedDisk()
  private(set) var db: HyperDB
  /// The length of its own feed that was acknowledged to it.
  var acknowledged: UInt64 = 1
  fileprivate var links: [(session: ReplicationSession, link: SimulatedLink)] = []
  /// Processes that were killed: what they left behind gets no more events.
  private var grave: [(HyperDB, [ReplicationSession])] = []

  init(
    _ name: String, key: PublicKey?, options: HyperDBOptions, skew: Duration, on replica: Replica
  ) async throws {
    self.name = name
    self.options = options
    self.skew = skew
    self.key = key
    db = try await HyperDB.open(disk, key: key, options: options, replica: replica)
  }

  var localLength: UInt64 {
    get async { await db.feeds.first { $0.isLocal }?.length ?? 0 }
  }

  /// Kills the process and starts another one with what the disk has kept.
  ///
  /// - Parameter change: changes the files in between.
  func restart(
    at point: Int? = nil, losing loss: SimulatedDisk.Loss, in simulation: Simulation,
    change: (SimulatedDisk) throws -> Void = { _ in }
  ) async throws {
    for (session, link) in links where !link.isOver {
      simulation.cut(link, without: link.ends.first { ($0 as? RoomEnd)?.session === session }!)
    }
    grave.append((db, links.map(\.session)))
    links = []
    disk = try disk.crashed(
      at: point ?? disk.crashPoints - 1, losing: loss, random: &simulation.random)
    try change(disk)
    db = try await HyperDB.open(disk, key: key, options: options, replica: db.replica)
  }
}

/// A session on a machine whose clock is wrong, or whose bytes are damaged in transit.
final class RoomEnd: NetworkEnd {
  let session: ReplicationSession
  private let skew: Duration
  /// The chance that a byte of one transmission is damaged.
  private let damage: Double
  private var random: SeededRandom

  init(_ session: ReplicationSession, skew: Duration, damage: Double, seed: UInt64) {
    self.session = session
    self.skew = skew
    self.damage = damage
    random = SeededRandom(seed: seed)
  }

  func receive(_ bytes: [UInt8], now: Instant) { session.receive(bytes, now: now + skew) }
  func finishInput(now: Instant) { session.finishInput(now: now + skew) }
  func lose(now: Instant) { session.close(ConnectionLost()) }
  func tick(now: Instant) { session.tick(now: now + skew) }
  var deadline: Instant? { session.deadline.map { $0 - skew } }
  func nextTick(now: Instant) -> Instant { session.nextTick(now: now + skew) - skew }
  var isLive: Bool { session.isLive }

  func takeOutput(now: Instant) -> [UInt8]? {
    guard var bytes = session.takeOutput(now: now + skew) else { return nil }
    if !bytes.isEmpty, random.chance(damage) {
      bytes[Int.random(in: bytes.indices, using: &random)] ^=
        1
        << UInt8.random(
          in: 0..<8, using: &random)
    }
    return bytes
  }

  var onOutput: (() -> Void)? {
    get { session.hooks.onOutput }
    set { session.hooks.onOutput = newValue }
  }
}

/// Several replicas of one database in one process, on virtual time, with everything that can go
/// wrong between them. The events follow from the seed and the steps alone.
final class SimulatedRoom {
  struct Broken: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  let simulation: Simulation
  private(set) var members: [RoomMember] = []
  /// Writers of the room that mean ill; the last member runs them.
  private(set) var hostile: [HostileWriter] = []
  private var connections: [RoomConnection] = []
  /// By member, its side of the parted network.
  private var side: [Bool] = []
  private var written: UInt8 = 0
  private var random: SeededRandom
  /// A hash of everything that was delivered, and when.
  private(set) var trace: UInt64 = 0xcbf2_9ce4_8422_2325

  init(seed: UInt64, writers: Int, hostile: Int, on replica: Replica) async throws {
    simulation = Simulation(seed: seed)
    random = SeededRandom(seed: seed &+ 1)
    for number in 0..<(writers + min(hostile, 1)) {
      var options = HyperDBOptions()
      options.durability = .synced
      // No call may wait for peers, which only answer while the simulation runs.
      options.update = false
      let pair = KeyPair(seed: random.bytes(32))
      options.isNew = true
      if number == 0 { options.keyPair = pair } else { options.localKeyPair = pair }
      // Half of the others write as the reference does, if there is a liar to believe.
      options.writesAsReference =
        hostile > 0 && number > 0 && number < writers && random.chance(0.5)
      options.makeRandom = { SeededRandom(seed: seed &+ UInt64(number)) }
      members.append(
        try await RoomMember(
          number < writers ? "writer \(number)" : "hostile", key: members.first?.db.key,
          options: options, skew: .seconds(Int.random(in: -4000...4000, using: &random)),
          on: replica))
    }
    side = members.map { _ in false }
    for _ in 0..<hostile {
      let writer = HostileWriter(pair: KeyPair(seed: random.bytes(32))!, source: members[0].db.key)
      self.hostile.append(writer)
      try await members[0].db.authorize(writer.pair.publicKey)
    }
  }

  /// The honest members.
  var honest: ArraySlice<RoomMember> { hostile.isEmpty ? members[...] : members.dropLast() }

  func run(_ steps: [RoomStep]) async throws {
    for step in steps { try await run(step) }
  }

  private func run(_ step: RoomStep) async throws {
    switch step {
    case .put(let number, let key): try await write(number) { try await $0.put(key, $1) }
    case .delete(let number, let key): try await write(number) { db, _ in try await db.delete(key) }
    case .batch(let number, let keys):
      try await write(number) { db, value in try await db.batch(keys.map { .put($0, value) }) }
    case .authorize(let number, let other):
      let key = members[other % honest.count].db.localKey
      try await write(number) { db, _ in try await db.authorize(key) }
    case .connect(let one, let other, let breaksAfter):
      var conditions = Simulation.Conditions()
      conditions.breaksAfter = breaksAfter
      conditions.cutting = .random(upTo: Int.random(in: 1...4000, using: &random))
      conditions.window = Int.random(in: 100...100_000, using: &random)
      try await connect(one % members.count, other % members.count, conditions)
    case .disconnect(let number):
      let open = connections.filter { !$0.link.isOver }
      if !open.isEmpty { simulation.cut(open[number % open.count].link) }
    case .part(let mask):
      side = members.indices.map { mask >> $0 & 1 == 1 }
      for connection in connections where !connection.link.isOver && isParted(connection.members) {
        simulation.cut(connection.link)
      }
    case .wait(let milliseconds): simulation.run(for: .milliseconds(milliseconds))
    case .crash(let number, let loss, let inside):
      try await crash(members[number % members.count], loss, inside: inside)
    case .misbehave(let writer, let kind): try await misbehave(writer, kind)
    }
    try checkReasons()
  }

  // MARK: Steps

  private func write(
    _ number: Int, _ body: (HyperDB, [UInt8]) async throws -> Void
  ) async throws {
    let member = honest[number % honest.count]
    written &+= 1
    try await body(member.db, [written, UInt8(number % honest.count)])
    member.acknowledged = await member.localLength
  }

  private func isParted(_ pair: [Int]) -> Bool { side[pair[0]] != side[pair[1]] }

  private func connect(
    _ one: Int, _ other: Int, _ conditions: Simulation.Conditions = .init(),
    damage: Double = 0.2
  ) async throws {
    let pair = [one, other]
    guard one != other, !isParted(pair),
      !connections.contains(where: { Set($0.members) == Set(pair) && !$0.link.isOver })
    else { return }
    var ends: [RoomEnd] = []
    for number in pair {
      let member = members[number]
      let session = try await member.session(live: true, in: simulation)
      let isDamaged = !hostile.isEmpty && number == members.count - 1 && random.chance(0.3)
      ends.append(
        RoomEnd(
          session, skew: member.skew, damage: isDamaged ? damage : 0,
          seed: random.next()))
    }
    let link = simulation.connect(ends[0], ends[1], conditions)
    link.onDelivery = { [unowned self] side, bytes in record(side, bytes) }
    connections.append(RoomConnection(pair, ends.map(\.session), link))
    for (number, end) in zip(pair, ends) { members[number].links.append((end.session, link)) }
  }

  private func record(_ side: Int, _ bytes: [UInt8]) {
    let instant = (simulation.now - simulation.start).components
    for word in [UInt64(side), UInt64(instant.attoseconds), UInt64(bitPattern: instant.seconds)] {
      trace = (trace ^ word) &* 0x100_0000_01b3
    }
    for byte in bytes { trace = (trace ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }

  private func crash(
    _ member: RoomMember, _ loss: SimulatedDisk.Loss, inside: Bool
  ) async throws {
    var point: Int?
    let before = member.disk.crashPoints
    if inside {
      try await member.db.put("crash", [1])
      point = Int.random(in: before - 1...member.disk.crashPoints - 1, using: &random)
    }
    try await member.restart(at: point, losing: loss, in: simulation) { disk in
      if member === members.last { for writer in hostile { try writer.recover(on: disk) } }
    }
    try await checkKept(member)
    member.acknowledged = await member.localLength
  }

  private func misbehave(_ number: Int, _ kind: HostileWriter.Kind) async throws {
    guard !hostile.isEmpty, let member = members.last else { return }
    let hostile = hostile[number % hostile.count]
    let feeds = await member.db.feeds
    let block = hostile.entry(kind, knowing: feeds, &random)
    try await member.restart(losing: .nothing, in: simulation) { disk in
      if kind == .forking {
        try hostile.fork(block, on: disk)
      } else {
        try hostile.append(block, to: disk)
      }
    }
  }

  // MARK: Checks

  /// Checks that no peer but the hostile one is at fault.
  private func checkReasons() throws {
    for connection in connections {
      guard let reason = connection.reason, !(reason is ConnectionLost) else { continue }
      if !hostile.isEmpty, connection.members.contains(members.count - 1) { continue }
      throw Broken("members \(connection.members) fell out: \(reason)")
    }
  }

  private func checkKept(_ member: RoomMember) async throws {
    let length = await member.localLength
    guard length >= member.acknowledged else {
      throw Broken(
        "\(member.name) has \(length) blocks of its own, \(member.acknowledged) were acknowledged")
    }
  }

  /// Ends all troubles, lets everything be exchanged, and expects the same view of all.
  func heal() async throws {
    for connection in connections where !connection.link.isOver { simulation.cut(connection.link) }
    try simulation.settle()
    try checkReasons()
    connections = []
    side = members.map { _ in false }
    for member in honest.dropFirst() { try await members[0].db.authorize(member.db.localKey) }
    for number in members.indices.dropFirst() {
      let other = Int.random(in: 0..<min(number, honest.count), using: &random)
      try await connect(number, other, damage: 0)
      if random.chance(0.3) {
        try await connect(
          Int.random(in: 0..<honest.count, using: &random), number, damage: 0)
      }
    }
    try simulation.settle()
    try checkReasons()
    for member in honest { try await checkKept(member) }
    try await letNewcomerIn()
    try await compare()
  }

  /// Lets a late newcomer in, whose entry reaches all.
  private func letNewcomerIn() async throws {
    var options = HyperDBOptions()
    options.update = false
    options.durability = .synced
    options.localKeyPair = KeyPair(seed: random.bytes(32))
    options.isNew = true
    let seed = random.next()
    options.makeRandom = { SeededRandom(seed: seed) }
    let newcomer = try await RoomMember(
      "newcomer", key: members[0].db.key, options: options, skew: .zero, on: members[0].db.replica)
    let number = honest.count
    members.insert(newcomer, at: number)
    for connection in connections {
      connection.members = connection.members.map { $0 < number ? $0 : $0 + 1 }
    }
    side.append(false)
    try await members[0].db.authorize(newcomer.db.localKey)
    for member in honest { await member.db.expect(newcomer.db.localKey) }
    try await connect(0, number, damage: 0)
    try simulation.settle()
    try await newcomer.db.put("newcomer", [1])
    for other in 1..<number { try await connect(number, other, damage: 0) }
    try simulation.settle()
    try checkReasons()
  }

  private func compare() async throws {
    var first: (view: RoomView, name: String)?
    for member in honest {
      let feedCount = await member.db.feedCount
      guard feedCount <= members.count + hostile.count else {
        throw Broken("\(member.name) has \(feedCount) feeds")
      }
      let view = try await RoomView(
        of: member, hostile: Set(hostile.map(\.pair.publicKey)),
        forked: Set(hostile.filter(\.hasForked).map(\.pair.publicKey)))
      if let problem = view.problem { throw Broken("\(member.name): \(problem)") }
      guard let known = first else {
        first = (view, member.name)
        continue
      }
      if let difference = known.view.difference(from: view) {
        throw Broken("\(known.name) and \(member.name) differ in \(difference)")
      }
    }
  }
}

extension RoomMember {
  /// Returns one end of a connection.
  func session(
    live: Bool, in simulation: Simulation, _ change: (inout ReplicationOptions) -> Void = { _ in }
  ) async throws -> ReplicationSession {
    var connection = Connection.Options.random(using: &simulation.random)
    connection.live = live
    connection.timeout = nil
    var options = live ? ReplicationOptions.live : ReplicationOptions()
    change(&options)
    return try await db.session(options, connection, now: simulation.now + skew)
      .take(on: db.replica)
  }
}

/// A connection of two members, and the reason why it ended.
private final class RoomConnection {
  var members: [Int]
  let link: SimulatedLink
  private(set) var reason: (any Error)?

  init(_ members: [Int], _ sessions: [ReplicationSession], _ link: SimulatedLink) {
    self.members = members
    self.link = link
    for session in sessions {
      let onClose = session.hooks.onClose
      session.hooks.onClose = { [weak self] reason in
        onClose?(reason)
        if let reason { self?.reason = reason }
      }
    }
  }
}

import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import HypercoreProtocol

/// An event in the life of a feed's replicas. Numbers of replicas and connections are taken modulo
/// their count, so any steps make a plan.
enum FeedStep: CustomStringConvertible {
  case append(sizes: [Int])
  case clear(replica: Int, start: UInt64, count: UInt64)
  case get(replica: Int, block: UInt64)
  case download(replica: Int, start: UInt64, count: UInt64, linear: Bool)
  case connect(Int, Int, breaksAfter: Int?)
  case disconnect(Int)
  case wait(milliseconds: Int)
  /// The process of a replica is killed, or the machine loses power: between two calls or, with
  /// `inside`, somewhere in the writes of one.
  case crash(replica: Int, SimulatedDisk.Loss, inside: Bool)

  var description: String {
    switch self {
    case .append(let sizes): ".append(sizes: \(sizes))"
    case .clear(let replica, let start, let count):
      ".clear(replica: \(replica), start: \(start), count: \(count))"
    case .get(let replica, let block): ".get(replica: \(replica), block: \(block))"
    case .download(let replica, let start, let count, let linear):
      ".download(replica: \(replica), start: \(start), count: \(count), linear: \(linear))"
    case .connect(let one, let other, let breaks):
      ".connect(\(one), \(other), breaksAfter: \(breaks.map(String.init) ?? "nil"))"
    case .disconnect(let number): ".disconnect(\(number))"
    case .wait(let milliseconds): ".wait(milliseconds: \(milliseconds))"
    case .crash(let replica, let loss, let inside):
      ".crash(replica: \(replica), .\(loss), inside: \(inside))"
    }
  }

  static func random(using random: inout SeededRandom) -> FeedStep {
    let replica = Int.random(in: 0..<60, using: &random)
    let start = UInt64.random(in: 0..<80, using: &random)
    switch Int.random(in: 0..<20, using: &random) {
    case 0..<5:
      let count = random.chance(0.5) ? 1 : Int.random(in: 1...12, using: &random)
      return .append(
        sizes: (0..<count).map { _ in
          random.chance(0.05)
            ? Int.random(in: 0...5000, using: &random)
            : Int.random(in: 0...40, using: &random)
        })
    case 5..<10:
      return .connect(
        replica, Int.random(in: 0..<60, using: &random),
        breaksAfter: random.chance(0.3) ? Int.random(in: 0...4000, using: &random) : nil)
    case 10..<12: return .disconnect(replica)
    case 12..<16: return .wait(milliseconds: Int.random(in: 0...60, using: &random))
    case 16: return .get(replica: replica, block: start)
    case 17:
      return .download(
        replica: replica, start: start, count: .random(in: 1...20, using: &random),
        linear: random.chance(0.5))
    case 18:
      return .clear(
        replica: replica, start: start, count: .random(in: 1...20, using: &random))
    default:
      return .crash(
        replica: replica, SimulatedDisk.Loss.allCases.randomElement(using: &random)!,
        inside: random.chance(0.6))
    }
  }
}

/// A writer and 1 to 4 readers of one feed, with all or some of its blocks, and what they should
/// have.
final class FeedWorld {
  struct Broken: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  let simulation: Simulation
  let replicas: [SimulatedReplica]
  var connections: [SimulatedConnection] = []
  /// The blocks that the writer has appended.
  private var blocks: [[UInt8]] = []
  private var random: SeededRandom
  private var wanted: [(replica: Int, block: UInt64)] = []

  var writer: SimulatedReplica { replicas[0] }

  /// - Parameter sparse: the chance that a reader fetches only what it is asked for.
  init(seed: UInt64, readers: Int, sparse: Double = 0.3) throws {
    simulation = Simulation(seed: seed)
    random = SeededRandom(seed: seed &+ 1)
    let pair = KeyPair(seed: random.bytes(32))!
    var replicas = [
      try SimulatedReplica(
        "writer", FeedOptions(key: pair.publicKey, secretKey: pair.secretKey, durability: .synced),
        seed: seed)
    ]
    for number in 1...max(readers, 1) {
      let isSparse = random.chance(sparse)
      replicas.append(
        try SimulatedReplica(
          isSparse ? "sparse \(number)" : "reader \(number)",
          FeedOptions(key: pair.publicKey, durability: .synced), isSparse: isSparse,
          seed: seed &+ UInt64(number)))
    }
    self.replicas = replicas
  }

  // MARK: Steps

  func run(_ steps: [FeedStep]) throws {
    for step in steps {
      if Self.isTracing { print(step) }
      try run(step)
    }
  }

  private func run(_ step: FeedStep) throws {
    switch step {
    case .append(let sizes): try append(sizes)
    case .clear(let number, let start, let count):
      let replica = replica(number)
      // Blocks that the writer gives up may be gone for good.
      guard replica !== writer else { return }
      try replica.core.clear(start..<start + count)
      try replica.replicator.flush()
    case .get(let number, let block):
      let replica = replica(number)
      guard replica !== writer else { return }
      wanted.append((number % replicas.count, block))
      try get(block, by: replica)
    case .download(let number, let start, let count, let linear):
      let replica = replica(number)
      guard replica !== writer else { return }
      replica.replicator.download(
        DownloadRange(start: start, end: start + count, linear: linear))
      try replica.replicator.flush()
    case .connect(let one, let other, let breaksAfter):
      var conditions = Simulation.Conditions()
      conditions.breaksAfter = breaksAfter
      conditions.cutting = .random(upTo: Int.random(in: 1...4000, using: &random))
      conditions.window = Int.random(in: 100...100_000, using: &random)
      try connect(one % replicas.count, other % replicas.count, conditions)
    case .disconnect(let number):
      let open = connections.filter { $0.link?.isOver == false }
      if !open.isEmpty, let link = open[number % open.count].link { simulation.cut(link) }
    case .wait(let milliseconds): simulation.run(for: .milliseconds(milliseconds))
    case .crash(let number, let loss, let inside):
      try crash(replica(number), loss, inside: inside)
    }
    try checkReasons()
  }

  func replica(_ number: Int) -> SimulatedReplica { replicas[number % replicas.count] }

  func append(_ sizes: [Int]) throws {
    guard writer.core.isWritable else {
      throw Broken("the writer can't be written: \(writer.core.report.findings)")
    }
    let new = sizes.map { random.bytes($0) }
    try writer.core.append(new)
    blocks += new
    try writer.replicator.flush()
  }

  @discardableResult
  func connect(
    _ one: Int, _ other: Int, _ conditions: Simulation.Conditions = .init(), live: Bool = true
  ) throws -> SimulatedConnection? {
    guard one != other else { return nil }
    // One connection between two replicas at a time, as an owner would keep it.
    let pair = [replicas[one], replicas[other]]
    guard
      !connections.contains(where: { old in
        old.hasEnded != [true, true] && pair.contains { $0 === old.one }
          && pair.contains { $0 === old.other } && old.link?.isOver == false
      })
    else { return nil }
    let connection = try SimulatedReplica.connect(
      pair[0], pair[1], live: live, in: simulation, conditions)
    connections.append(connection)
    // Turned on to examine a seed that fails.
    if Self.isTracing { try trace(connection) }
    return connection
  }

  private static let isTracing = ProcessInfo.processInfo.environment["TRACE"] != nil

  /// Prints every message that arrives.
  private func trace(_ connection: SimulatedConnection) throws {
    let names = [connection.one.name, connection.other.name]
    let readers = try names.map { _ in
      try StreamReader(keys: [writer.core.key!], isEncrypted: true)
    }
    connection.link?.onDelivery = { [unowned self] side, bytes in
      for said in (try? readers[side].read(bytes)) ?? [] {
        print(
          "\(simulation.now - simulation.start) \(names[side]) > \(names[1 - side]): "
            + short(said))
      }
    }
  }

  private func short(_ said: RecordedSession.Said) -> String {
    guard case .message(_, let message) = said else { return "handshake or feed" }
    guard case .data(let data) = message else { return "\(message)" }
    return "data \(data.index) \(data.value?.count ?? -1) nodes \(data.nodes.map(\.index)) "
      + (data.signature == nil ? "" : "signed")
  }

  private func get(_ block: UInt64, by replica: SimulatedReplica) throws {
    _ = replica.replicator.get(block) { _ in }
    try replica.replicator.flush()
  }

  private func crash(
    _ replica: SimulatedReplica, _ loss: SimulatedDisk.Loss, inside: Bool
  ) throws {
    var point: Int?
    if inside {
      let before = replica.disk.crashPoints
      if replica === writer {
        let new = [random.bytes(5), random.bytes(7)]
        try writer.core.append(new)
        blocks += new
      } else {
        for _ in 0..<40 where replica.disk.crashPoints == before {
          simulation.step(until: simulation.now + .milliseconds(100))
        }
      }
      point = Int.random(in: before - 1...replica.disk.crashPoints - 1, using: &random)
    }
    try replica.crash(at: point, losing: loss, in: simulation)
    if replica === writer {
      // The interrupted append is there, or it is not.
      let length = Int(writer.core.length)
      guard length <= blocks.count, length >= blocks.count - (inside ? 2 : 0) else {
        throw Broken("the writer has \(length) of \(blocks.count) blocks after a crash")
      }
      blocks.removeSubrange(length...)
    }
    for (number, block) in wanted where replicas[number] === replica { try get(block, by: replica) }
  }

  // MARK: Checks

  /// Checks that no peer was at fault.
  private func checkReasons() throws {
    for connection in connections {
      for case let reason? in connection.reasons where !(reason is ConnectionLost) {
        throw Broken("\(connection.one.name) and \(connection.other.name) fell out: \(reason)")
      }
    }
  }

  func disconnectAll() throws {
    for connection in connections {
      if let link = connection.link, !link.isOver { simulation.cut(link) }
    }
    try simulation.settle()
    connections = []
  }

  func expectEverywhere() throws {
    for replica in replicas { try verify(replica, isComplete: true) }
  }

  /// Connects pairs for one exchange each, which may overlap, and expects all of them to end
  /// properly with everything on both sides that either side had.
  func exchangeOnce(_ steps: [FeedStep]) throws {
    var had: [(connection: SimulatedConnection, blocks: [UInt64])] = []
    for case .connect(let one, let other, _) in steps {
      let pair = [one % replicas.count, other % replicas.count]
      let blocks = (0..<UInt64(blocks.count)).filter { block in
        pair.contains { replicas[$0].core.has(block) }
      }
      guard let connection = try connect(pair[0], pair[1], live: false) else { continue }
      had.append((connection, blocks))
      if random.chance(0.5) {
        simulation.run(for: .milliseconds(Int.random(in: 0...80, using: &random)))
      }
    }
    try simulation.settle()
    try checkReasons()
    for (connection, blocks) in had {
      let names = "\(connection.one.name) and \(connection.other.name)"
      guard connection.hasEnded == [true, true] else {
        throw Broken("the session of \(names) did not end: \(connection.hasEnded)")
      }
      for replica in [connection.one, connection.other] where replica !== writer {
        let missing = blocks.filter { !replica.core.has($0) }
        guard missing.isEmpty else {
          throw Broken("\(replica.name) lacks \(missing) after the session of \(names)")
        }
      }
    }
    for replica in replicas { try verify(replica, isComplete: false) }
  }

  /// Connects all replicas, lets everything be exchanged, and compares.
  func heal() throws {
    try disconnectAll()
    var full = [0]
    for number in replicas.indices.dropFirst().sorted(by: { one, _ in !replicas[one].isSparse }) {
      // To some replica that fetches everything: a tree of relays, with a few rings.
      try connect(number, full.randomElement(using: &random)!)
      if random.chance(0.3) { try connect(full.randomElement(using: &random)!, number) }
      if !replicas[number].isSparse { full.append(number) }
    }
    try simulation.settle()
    if random.chance(0.3) {
      try append([3, 4])
      try simulation.settle()
    }
    try checkReasons()
    for replica in replicas { try verify(replica, isComplete: !replica.isSparse) }
    for (number, block) in wanted where block < blocks.count {
      guard replicas[number].core.has(block) else {
        throw Broken("\(replicas[number].name) never got block \(block)")
      }
    }
  }

  /// Checks that the blocks here are what was written; with `isComplete`, all of it.
  func verify(_ replica: SimulatedReplica, isComplete: Bool) throws {
    guard simulation.lateLooks == 0 else {
      throw Broken("\(simulation.lateLooks) timers of live sessions were looked at too late")
    }
    let core = replica.core
    guard core.length <= blocks.count else {
      throw Broken("\(replica.name) has \(core.length) blocks of \(blocks.count)")
    }
    if isComplete, !core.has(0..<UInt64(blocks.count)) || core.length != blocks.count {
      let missing = (0..<UInt64(blocks.count)).filter { !core.has($0) }
      throw Broken(
        "\(replica.name) has length \(core.length) of \(blocks.count), lacks blocks \(missing)")
    }
    for (index, expected) in blocks.enumerated() {
      guard let block = try core.block(at: UInt64(index)) else { continue }
      guard block == expected else { throw Broken("\(replica.name) has a wrong block \(index)") }
    }
    guard core.length < blocks.count || core.treeHash == writer.core.treeHash else {
      throw Broken("\(replica.name) has another tree")
    }
    let invalid = try core.audit().invalid
    guard invalid == 0 else { throw Broken("\(replica.name) has \(invalid) damaged blocks") }
  }
}

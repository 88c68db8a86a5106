import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

@testable import Hypercore

/// Two copies of one feed that were both written: the fork is found over the wire, whichever has
/// more.
@Suite struct ForkMatrixTests {
  /// The common length of two copies, and the number of blocks that each has written since.
  struct Cell: CustomTestStringConvertible, Sendable {
    var common: Int
    var own: Int
    var foreign: Int

    var testDescription: String { "\(common) in common, \(own) here, \(foreign) there" }

    static let all = [0, 1, 2, 3, 4, 5, 7, 8, 13, 16, 31, 100].flatMap { common in
      [(2, 1), (1, 1), (1, 2), (3, 3), (5, 17), (17, 5)].map {
        Cell(common: common, own: $0, foreign: $1)
      }
    }
    static let some = all.filter { [0, 3, 8, 31].contains($0.common) }
  }

  /// The two writers of a cell.
  private func writers(_ cell: Cell) throws -> [SimulatedReplica] {
    try [cell.own, cell.foreign].enumerated().map { number, count in
      let writer = try SimulatedReplica(
        number == 0 ? "here" : "there", FeedOptions(keyPair: keyPair(1)), seed: UInt64(number))
      for block in 0..<cell.common { try writer.core.append([[UInt8(block)]]) }
      for block in 0..<count { try writer.core.append([[UInt8(100 + number), UInt8(block)]]) }
      return writer
    }
  }

  private func reader(_ name: String, isSparse: Bool = false) throws -> SimulatedReplica {
    try SimulatedReplica(
      name, FeedOptions(key: keyPair(1).publicKey), isSparse: isSparse, seed: 9)
  }

  /// Checks that all replicas know the fork, the evidence convinces others, and every connection
  /// goes on.
  private func expectFork(
    _ replicas: [SimulatedReplica], _ connections: [SimulatedConnection], lengths: [Int]
  ) throws {
    for (number, replica) in replicas.enumerated() {
      let evidence = try #require(replica.replicator.forkEvidence, "\(replica.name) was not told")
      #expect(evidence.isProven)
      #expect(
        lengths.isEmpty || Int(replica.core.length) == lengths[number],
        "\(replica.name) has another history now")
      #expect(try replica.core.audit().invalid == 0)
      if replica.core.isOwned {
        let error = #expect(throws: FeedError.self) { try replica.core.append([[1]]) }
        #expect(error?.code == .forked)
      }
    }
    for connection in connections {
      #expect(connection.hasEnded == [false, false], "\(connection.reasons)")
    }
  }

  @Test(arguments: Cell.all)
  func `two writers that meet both learn of it`(cell: Cell) throws {
    let simulation = Simulation(seed: 1)
    let both = try writers(cell)
    let connection = try SimulatedReplica.connect(both[0], both[1], live: true, in: simulation)
    simulation.run(for: .seconds(3))
    try expectFork(both, [connection], lengths: both.map { Int($0.core.length) })
    for writer in both {
      #expect(writer.core.forkEvidence?.commonLength == UInt64(cell.common), "\(writer.name)")
      let stored = ForkEvidence(
        fileBytes: try FeedFile("fork.json", in: writer.disk).read(at: 0, count: 1 << 18))
      #expect(stored == writer.core.forkEvidence)
    }
  }

  @Test(arguments: Cell.all, [false, true])
  func `through a reader that has one history both writers learn of it`(
    cell: Cell, isLate: Bool
  ) throws {
    let simulation = Simulation(seed: 1)
    let both = try writers(cell)
    let between = try reader("between")
    let first = try SimulatedReplica.connect(both[0], between, live: true, in: simulation)
    simulation.run(for: .seconds(3))
    #expect(between.core.has(0..<both[0].core.length))
    let lengths = [both[0], both[1], both[0]].map { Int($0.core.length) }
    var connections = [first]
    if isLate {
      simulation.cut(try #require(first.link))
      simulation.run(for: .seconds(3))
      connections = []
    }
    connections.append(
      try SimulatedReplica.connect(between, both[1], live: true, in: simulation))
    simulation.run(for: .seconds(3))
    if isLate {
      connections.append(
        try SimulatedReplica.connect(both[0], between, live: true, in: simulation))
      simulation.run(for: .seconds(3))
    }
    try expectFork(both + [between], connections, lengths: lengths)
    for replica in both + [between] {
      #expect(replica.replicator.forkEvidence?.commonLength == UInt64(cell.common))
    }
    for block in 0..<between.core.length {
      #expect(try between.core.block(at: block) == both[0].core.block(at: block))
    }
  }

  @Test(arguments: Cell.some)
  func `a session that ends by itself finds it, too`(cell: Cell) throws {
    let simulation = Simulation(seed: 2)
    let both = try writers(cell)
    let between = try reader("between")
    let lengths = [both[0], both[1], both[0]].map { Int($0.core.length) }
    for pair in [(both[0], between), (between, both[1]), (both[0], between)] {
      let connection = try SimulatedReplica.connect(pair.0, pair.1, live: false, in: simulation)
      try simulation.settle()
      #expect(connection.hasEnded == [true, true])
      for case let reason? in connection.reasons { Issue.record("\(reason)") }
    }
    try expectFork(both + [between], [], lengths: lengths)
  }

  @Test(arguments: Cell.some)
  func `two writers in a session that ends by itself learn of it`(cell: Cell) throws {
    let simulation = Simulation(seed: 2)
    let both = try writers(cell)
    let connection = try SimulatedReplica.connect(both[0], both[1], live: false, in: simulation)
    try simulation.settle()
    #expect(connection.hasEnded == [true, true])
    for case let reason? in connection.reasons { Issue.record("\(reason)") }
    try expectFork(both, [], lengths: both.map { Int($0.core.length) })
  }

  @Test(arguments: 0..<12)
  func `copies that are written while both are connected to a reader are found`(
    common: Int
  ) throws {
    let simulation = Simulation(seed: UInt64(common))
    let both = try writers(Cell(common: common, own: 0, foreign: 0))
    let between = try reader("between")
    let connections = try both.map {
      try SimulatedReplica.connect($0, between, live: true, in: simulation)
    }
    simulation.run(for: .seconds(2))
    for round in 0..<2 {
      for (number, writer) in both.enumerated() {
        if writer.core.isWritable { try writer.core.append([[UInt8(number), UInt8(round)]]) }
        try writer.replicator.flush()
      }
      simulation.run(for: .seconds(3))
    }
    try expectFork(both + [between], connections, lengths: [])
  }

  @Test(arguments: Cell.some)
  func `a writer that is only behind gets what it lacks and goes on`(cell: Cell) throws {
    let simulation = Simulation(seed: 4)
    let ahead = try writers(Cell(common: cell.common + cell.own, own: 0, foreign: cell.foreign))[1]
    let behind = try writers(Cell(common: cell.common + cell.own, own: 0, foreign: 0))[0]
    let connection = try SimulatedReplica.connect(ahead, behind, live: true, in: simulation)
    simulation.run(for: .seconds(3))
    #expect(connection.hasEnded == [false, false])
    #expect(behind.core.length == ahead.core.length && behind.core.treeHash == ahead.core.treeHash)
    #expect(
      behind.core.has(0..<behind.core.length) && behind.core.isWritable && !behind.core.isCopy)
    try behind.core.append([[1, 2, 3]])
    #expect(ahead.core.forkEvidence == nil)
  }

  @Test func `sound replicas are asked one question a connection`() throws {
    let simulation = Simulation(seed: 5)
    let writer = try writers(Cell(common: 50, own: 0, foreign: 0))[0]
    let copy = try reader("copy")
    let first = try SimulatedReplica.connect(writer, copy, live: true, in: simulation)
    simulation.run(for: .seconds(3))
    for _ in 0..<10 {
      try writer.core.append([[1]])
      try writer.replicator.flush()
      simulation.run(for: .seconds(1))
    }
    #expect(copy.core.has(0..<60))
    simulation.cut(try #require(first.link))
    simulation.run(for: .seconds(2))
    let again = try SimulatedReplica.connect(writer, copy, live: true, in: simulation)
    var questions = [0, 0]
    let readers = try (0..<2).map { _ in
      try StreamReader(keys: [keyPair(1).publicKey], isEncrypted: true)
    }
    again.link?.onDelivery = { side, bytes in
      for case .message(_, .request(let request)) in (try? readers[side].read(bytes)) ?? []
      where request.hash { questions[side] += 1 }
    }
    simulation.run(for: .seconds(3))
    for _ in 0..<10 {
      try writer.core.append([[1]])
      try writer.replicator.flush()
      simulation.run(for: .seconds(1))
    }
    // At most one each, and one of them is enough.
    #expect(questions[0] <= 1 && questions[1] <= 1 && questions != [0, 0], "\(questions)")
  }
}

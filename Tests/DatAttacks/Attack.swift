internal import DatTesting
internal import Foundation

/// One row of the table of attacks: what a stranger, a reader or a writer may send, and what must hold.
///
/// The victim is the built command `dat` (or the reference in Node). It is a process of its own that is
/// attacked over TCP, and an honest peer beside it has to be served during the attack and after.
public struct Attack: Sendable, CustomStringConvertible {
  /// The row's number.
  public let row: Int
  /// The attack, in a few words.
  public let name: String
  /// The most bytes by which the victim's memory may grow: 16 MiB for a hostile connection.
  let memoryLimit: Int
  /// True if the reference can be the victim as well.
  public let isForNode: Bool
  let run: @Sendable (VictimKind) async throws -> Cost

  public var description: String { "\(row): \(name)" }

  /// An attack on a served feed.
  static func feed(
    _ row: Int, _ name: String, _ scene: FeedScene.Options = .init(), memory: Int = 16 << 20,
    node: Bool = true, _ body: @escaping @Sendable (FeedScene) async throws -> Void
  ) -> Attack {
    Attack(row: row, name: name, memoryLimit: memory, isForNode: node) { kind in
      let scene = try await FeedScene(scene, kind)
      return try await scene.measure { try await body(scene) }
    }
  }

  /// An attack on a room.
  static func room(
    _ row: Int, _ name: String, memory: Int = 16 << 20, arguments: [String] = [],
    _ body: @escaping @Sendable (RoomScene) async throws -> Void
  ) -> Attack {
    Attack(row: row, name: name, memoryLimit: memory, isForNode: false) { kind in
      let scene = try await RoomScene(arguments)
      return try await scene.measure { try await body(scene) }
    }
  }

  /// Runs the attack.
  public func result(against kind: VictimKind = .dat) async -> AttackResult {
    do {
      let cost = try await run(kind)
      if let memory = cost.memory, kind == .dat, memory > memoryLimit, !isSanitized {
        return AttackResult(
          attack: self, isHeld: false, cost: cost,
          detail: "memory grew by \(memory >> 10) KiB; \(memoryLimit >> 10) are allowed")
      }
      return AttackResult(attack: self, isHeld: true, cost: cost, detail: "")
    } catch let failure as SceneFailure {
      return AttackResult(
        attack: self, isHeld: false, cost: failure.cost, detail: "\(failure.error)")
    } catch {
      return AttackResult(attack: self, isHeld: false, cost: Cost(), detail: "\(error)")
    }
  }

  /// Runs attacks, several at a time, each on a victim of its own.
  public static func results(of attacks: [Attack], width: Int) async -> [AttackResult] {
    await withTaskGroup(of: (Int, AttackResult).self) { group in
      var results = [AttackResult?](repeating: nil, count: attacks.count)
      for (place, attack) in attacks.enumerated() {
        if place >= width, let (done, result) = await group.next() { results[done] = result }
        group.addTask { (place, await attack.result()) }
      }
      for await (place, result) in group { results[place] = result }
      return results.compactMap { $0 }
    }
  }

  /// The rows that are no attack on a peer's port, and the places of their tests.
  public static let elsewhere: [(row: Int, name: String, place: String)] = [
    (35, "markup in text and names", "make test-web, cases_strangers.py"),
    (36, "addresses that are fetched for a preview", "DatWebTests, RequestGuardTests"),
    (37, "other pages, foreign names, requests across origins", "DatWebTests, RequestGuardTests"),
    (39, "made-up peers and packets of discovery", "DatSwarmTests, SwarmCoreTests and DNSTests"),
    (40, "who can read what", "README, by DatAttackTests"),
    (56, "text that is slow to draw on the page", "make test-web, cases_strangers.py"),
    (57, "names that look alike", "DatCommandTests, NameBookTests, and make test-web"),
    (58, "a feed of one block, signed at length 2^32", "HypercoreTests, LongFeedTests"),
    (
      63, "copied folders, in rooms and databases",
      "ForkMatrixTests, ForkedDatabaseTests, ForkCommandTests"
    ),
    (64, "a key pair without its blocks", "RestoringTests, ForkCommandTests"),
    (65, "a block that no frame can carry", "HypercoreTests, BlockSizeTests"),
    (66, "files that are missing beside an intact bitfield", "HypercoreTests, OpeningTests"),
    (67, "a feed's key where a room's is meant", "HyperDBTests, WrongKindTests"),
  ]

  /// All attacks, by row.
  public static let all: [Attack] =
    (frames + claims + channels + floods + proofs + rooms + writers + ownership
    + connections + discovery + heads + texts + disk + forks + signals + archives)
    .sorted { $0.row < $1.row }
}

/// The program that is attacked.
public enum VictimKind: Sendable {
  /// The command `dat`.
  case dat
  /// hypercore in Node, from `NODE_PATH`.
  case node
}

/// The cost of an attack to its victim.
public struct Cost: Sendable {
  /// The greatest growth of its resident memory in bytes; nil if it can't be measured.
  public var memory: Int?
  /// The processor time that it used, in seconds; nil if it can't be measured.
  public var cpu: Double?
  /// The duration of the attack in seconds.
  public var time = 0.0
}

/// The outcome of an attack.
public struct AttackResult: Sendable {
  public let attack: Attack
  /// True if everything that is required held.
  public let isHeld: Bool
  public let cost: Cost
  /// The requirement that did not hold.
  public let detail: String
}

/// The failure of something that must hold.
struct AttackFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// A failure, with the cost until then.
struct SceneFailure: Error {
  let error: any Error
  let cost: Cost
}

/// Fails the attack if `condition` does not hold.
func require(_ condition: Bool, _ what: @autoclosure () -> String) throws {
  if !condition { throw AttackFailure(what()) }
}

/// Runs blocking code on a thread of its own.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value
{
  try await withCheckedThrowingContinuation { continuation in
    let thread = Thread { continuation.resume(with: Result { try body() }) }
    thread.start()
  }
}

/// Waits for something, at most this long, or ten times as long under a sanitizer.
func within<Value: Sendable>(
  seconds: Double = isSanitized ? 600 : 60, _ what: String,
  _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  let race = Race<Value>()
  return try await withTaskCancellationHandler {
    try await withCheckedThrowingContinuation { continuation in
      race.start(continuation)
      race.add(Task { race.finish(await Task { try await body() }.result) })
      race.add(
        Task {
          try? await Task.sleep(for: .seconds(seconds))
          race.finish(.failure(AttackFailure("\(what) did not happen within \(Int(seconds)) s")))
        })
    }
  } onCancel: {
    race.finish(.failure(CancellationError()))
  }
}

/// Resumes a continuation with the first result; the other task is left running.
///
/// `@unchecked Sendable`: the state is accessed only while the lock is held.
private final class Race<Value: Sendable>: @unchecked Sendable {
  private let lock = NSLock()
  private var continuation: CheckedContinuation<Value, any Error>?
  private var tasks: [Task<Void, Never>] = []

  func start(_ continuation: CheckedContinuation<Value, any Error>) {
    lock.withLock { self.continuation = continuation }
  }

  func add(_ task: Task<Void, Never>) { lock.withLock { tasks.append(task) } }

  func finish(_ result: Result<Value, any Error>) {
    let (first, losers) = lock.withLock {
      defer { continuation = nil }
      return (continuation, tasks)
    }
    first?.resume(with: result)
    for task in losers { task.cancel() }
  }
}

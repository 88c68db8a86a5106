import DatTesting
import Foundation

/// A Node process that runs one of the scripts of this kit and answers commands.
actor NodePeer {
  /// A command. Fields that are nil are left out.
  struct Command: Encodable, Sendable {
    var id = 0
    var `do`: String
    var folder: String?
    var key: String?
    var value: String?
    var live: Bool?
    var blocks: [Data]?
    var changes: [Change]?
    var port: Int?
    var length: Int?
    var count: Int?
    var name: String?
    var text: String?
    var workshop: Bool?

    init(_ name: String) { `do` = name }

    init(_ name: String, _ fill: (inout Command) -> Void) {
      `do` = name
      fill(&self)
    }
  }

  struct Change: Encodable, Sendable {
    let key: String
    let value: String
  }

  /// An answer, or an event: whatever fields there are.
  struct Reply: Decodable, Sendable {
    var error: String?
    var event: String?
    var key: String?
    var local: String?
    var length: Int?
    var byteLength: Int?
    var writable: Bool?
    var port: Int?
    var roots: [FeedContents.Root]?
    var blocks: [Data?]?
    var valid: Int?
    var invalid: Int?
    var feeds: [String: Int]?
    var groups: [[Entry]]?
    var message: String?
    var username: String?
    var texts: [String: String]?
  }

  private let process: DatProcess
  private let script: String
  private var number = 0

  /// Where `node` and the scripts are; set once, before anything starts.
  struct Place: Sendable {
    let node: URL
    let scripts: URL
  }

  init(_ script: String, _ place: Place) async throws {
    self.script = script
    process = try await DatProcess(
      [place.scripts.appendingPathComponent(script).path], executable: place.node)
  }

  /// Sends a command and waits for its answer.
  @discardableResult
  func call(_ command: Command) async throws -> Reply {
    number += 1
    var command = command
    command.id = number
    let line = String(decoding: try JSONEncoder().encode(command), as: UTF8.self)
    let prefix = "{\"id\":\(number)"
    await process.send(line)
    let answer = try await process.line("answer to \(line)") {
      $0.hasPrefix(prefix + ",") || $0.hasPrefix(prefix + "}")
    }
    let reply = try JSONDecoder().decode(Reply.self, from: Data(answer.utf8))
    if let error = reply.error { throw Failure("\(script), \(command.do): \(error)") }
    return reply
  }

  @discardableResult
  func call(_ name: String) async throws -> Reply { try await call(Command(name)) }

  /// The events so far.
  func events(_ name: String) async throws -> [Reply] {
    let prefix = "{\"event\":\"\(name)\""
    return try await process.lines.filter { $0.hasPrefix(prefix) }.map {
      try JSONDecoder().decode(Reply.self, from: Data($0.utf8))
    }
  }

  /// Ends the process.
  func stop() async {
    await process.closeInput()
    _ = await process.status()
  }
}

/// What went wrong, in a sentence.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

func require(_ holds: Bool, _ otherwise: @autoclosure () -> String) throws {
  if !holds { throw Failure(otherwise()) }
}

/// Waits until `condition` holds.
func eventually(
  _ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Bool
) async throws {
  let end = ContinuousClock.now + limit
  while try await !condition() {
    if ContinuousClock.now > end { throw Failure("waited \(limit) in vain for: \(what)") }
    try await Task.sleep(for: .milliseconds(10))
  }
}

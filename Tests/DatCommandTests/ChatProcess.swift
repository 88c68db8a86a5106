import DatTesting
import Foundation

/// `dat chat --json` as a process, with its events as values.
struct ChatProcess {
  let process: DatProcess
  /// The room's key and this peer's own.
  let key: String
  let local: String
  /// The address at which it listens, if it was asked to.
  let address: String?

  /// Starts a peer and waits until it is ready, and listening if it should.
  init(
    _ dir: String, key: String? = nil, name: String, listen: Bool = false, connect: [String] = [],
    options: [String] = [], on machine: (NetworkNamespaces, Int)? = nil
  ) async throws {
    var arguments = ["chat", dir]
    if let key { arguments.append(key) }
    arguments += ["--name", name, "--json"]
    // The messages of tests stay on this machine.
    if !options.contains("--lan") { arguments.append("--no-lan") }
    if listen { arguments += ["--listen", "127.0.0.1:0"] }
    for address in connect { arguments += ["--connect", address] }
    process =
      if let (machines, number) = machine {
        try await machines.start(arguments + options, on: number)
      } else { try await DatProcess(arguments + options) }
    let ready = try Self.event(await process.line(containing: #""event":"ready""#))
    self.key = ready["key"] as? String ?? ""
    local = ready["local"] as? String ?? ""
    guard listen else {
      address = nil
      return
    }
    let listening = try Self.event(
      try await process.line(containing: #""event":"listening""#))
    address = "127.0.0.1:\(listening["port"] as? Int ?? 0)"
  }

  /// Returns the event in a line.
  static func event(_ line: String) throws -> [String: Any] {
    guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    else { throw Missing() }
    return object
  }

  struct Missing: Error {}

  /// Waits for an event of a kind whose data has a field with a value.
  @discardableResult
  func event(_ kind: String, _ field: String, _ value: String) async throws -> [String: Any] {
    let line = try await process.line("event \(kind) with \(field) \(value)") { line in
      guard
        let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
        object["event"] as? String == kind
      else { return false }
      return (object["data"] as? [String: Any])?[field] as? String == value
    }
    return try Self.event(line)["data"] as? [String: Any] ?? [:]
  }

  /// Returns the texts of all messages so far.
  func messages() async -> [String] {
    await process.lines.compactMap { line in
      guard
        let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
        object["event"] as? String == "message"
      else { return nil }
      return (object["data"] as? [String: Any])?["message"] as? String
    }
  }

  /// Sends Ctrl-C, and returns the exit status.
  func leave() async -> Int32 {
    await process.signal(SIGINT)
    return await process.status()
  }
}

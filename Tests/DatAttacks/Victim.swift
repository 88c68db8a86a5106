internal import DatTesting
internal import Foundation

/// A process that is attacked: it listens, prints its events as JSON, and can be measured.
final class Victim: Sendable {
  let process: DatProcess
  let port: Int
  /// The key that it prints when it is ready.
  let key: String
  private let pid: Int32
  private let guardian: Guardian

  /// Starts `dat` with these arguments, or the Node script that takes its place.
  ///
  /// - Parameter saysReady: true if it prints a key.
  init(
    _ arguments: [String], _ kind: VictimKind = .dat, saysReady: Bool = true
  ) async throws {
    switch kind {
    case .dat: process = try await DatProcess(arguments, executable: Self.command)
    case .node:
      process = try await DatProcess(
        ["node", Self.script.path] + arguments.suffix(from: 2),
        executable: URL(fileURLWithPath: "/usr/bin/env"))
    }
    pid = await process.processIdentifier
    guardian = try Guardian(of: pid)
    let started = process
    let ready =
      saysReady
      ? try await within("the victim's start") {
        try await started.line(containing: #""event":"ready""#)
      } : nil
    let listening = try await within("the victim's listening") {
      try await started.line(containing: #""event":"listening""#)
    }
    key = Self.field("key", of: ready) as? String ?? ""
    guard let port = Self.field("port", of: listening) as? Int else {
      throw AttackFailure("the victim does not listen: \(await process.errorText)")
    }
    self.port = port
  }

  deinit {
    guardian.end()
    kill(pid, SIGKILL)
  }

  /// A guardian that ends the victim if this process is killed: it notices that a pipe closes.
  private struct Guardian: Sendable {
    private let shell: Process
    private let lifeline: FileHandle

    init(of pid: Int32) throws {
      let pipe = Pipe()
      lifeline = pipe.fileHandleForWriting
      shell = Process()
      shell.executableURL = URL(fileURLWithPath: "/bin/sh")
      shell.arguments = ["-c", "cat >/dev/null; kill -9 \(pid) 2>/dev/null"]
      shell.standardInput = pipe
      try shell.run()
    }

    /// Ends the guardian, which is no longer needed.
    func end() {
      shell.terminate()
      try? lifeline.close()
    }
  }

  /// The command, next to the program that runs this.
  static var command: URL {
    ProcessInfo.processInfo.environment["DAT"].map { URL(fileURLWithPath: $0) }
      ?? DatProcess.executable
  }

  private static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Interop/attacks/victim.js")

  static func field(_ name: String, of line: String?) -> Any? {
    guard let line,
      let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    else { return nil }
    return object[name]
  }

  var isRunning: Bool { kill(pid, 0) == 0 && !status("State").hasPrefix("Z") }

  /// Its last output, to explain a failure.
  func said() async -> String {
    await
      (process.lines.suffix(5) + process.errorText.split(separator: "\n").suffix(5).map(String.init))
      .joined(separator: " | ")
  }

  // MARK: Measuring

  /// Its resident memory in bytes, now or at its peak since ``resetPeak()``; nil if the system doesn't tell.
  func memory(peak: Bool = false) -> Int? {
    status(peak ? "VmHWM" : "VmRSS").split(separator: " ").first.flatMap { Int($0) }
      .map { $0 << 10 }
  }

  func resetPeak() {
    try? Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/\(pid)/clear_refs"))
  }

  /// Waits until it has handled what was sent to it: until it computes next to nothing.
  func settle() async {
    for _ in 0..<50 {
      guard let before = scheduled() else { return }
      try? await Task.sleep(for: .milliseconds(60))
      guard let now = scheduled(), now - before > 1_500_000 else { return }
    }
  }

  /// Its processor time in nanoseconds, more exact than ``cpu()``.
  private func scheduled() -> Int? {
    let tasks = URL(fileURLWithPath: "/proc/\(pid)/task")
    let threads = try? FileManager.default.contentsOfDirectory(atPath: tasks.path)
    return threads?.reduce(0) { sum, thread in
      let path = tasks.appendingPathComponent(thread + "/schedstat").path
      let text = try? String(contentsOfFile: path, encoding: .utf8)
      return sum + (text?.split(separator: " ").first.flatMap { Int($0) } ?? 0)
    }
  }

  /// Its processor time in seconds; nil if the system doesn't tell.
  func cpu() -> Double? {
    guard let line = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else {
      return nil
    }
    let fields = line.suffix(from: line.lastIndex(of: ")") ?? line.startIndex).split(separator: " ")
    guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
      return nil
    }
    return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  private func status(_ name: String) -> String {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("\(name):") } ?? ""
    return line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
  }
}

extension Victim {
  /// Runs an attack and the check after it, and returns the cost.
  func measure(
    _ attack: () async throws -> Void, after check: () async throws -> Void
  ) async throws -> Cost {
    resetPeak()
    let (memoryBefore, cpuBefore, start) = (memory(), cpu(), ContinuousClock.now)
    func cost() -> Cost {
      var cost = Cost()
      if let before = memoryBefore, let peak = memory(peak: true) { cost.memory = peak - before }
      if let before = cpuBefore, let now = cpu() { cost.cpu = now - before }
      let (seconds, attoseconds) = (ContinuousClock.now - start).components
      cost.time = Double(seconds) + Double(attoseconds) / 1e18
      return cost
    }
    do {
      try await attack()
      // What was sent last may still be in flight.
      await settle()
      let attackCost = cost()
      try require(isRunning, "it was ended by the attack")
      try await check()
      try require(isRunning, "it ended after the attack")
      return attackCost
    } catch {
      let note = isRunning ? "" : "; the process is gone: \(await said())"
      throw SceneFailure(error: AttackFailure("\(error)\(note)"), cost: cost())
    }
  }
}

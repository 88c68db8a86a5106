public import Foundation

/// The built command, run as a process of its own and driven through its pipes.
///
/// Lines of output are awaited as they are printed, so no test has to guess how long something
/// takes.
public actor DatProcess {
  /// The command, which the build put next to the tests.
  public static let executable: URL = {
    #if os(macOS)
      let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") } ?? .main
      return bundle.bundleURL.deletingLastPathComponent().appendingPathComponent("dat")
    #else
      return URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appendingPathComponent("dat")
    #endif
  }()

  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private let errors = Pipe()
  private var isInputClosed = false
  private var awaited = Awaited<String>()
  private var awaitedErrors = Awaited<String>()
  /// The lines of standard output so far.
  public private(set) var lines: [String] = []
  /// The output on standard error so far.
  public private(set) var errorText = ""
  private var readers: [Task<Void, Never>] = []
  private var outputEnded = false
  private var errorsEnded = false

  /// Starts the command with these arguments.
  public init(_ arguments: [String], environment: [String: String] = [:], executable: URL? = nil)
    async throws
  {
    process.executableURL = executable ?? Self.executable
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = input
    process.standardOutput = output
    process.standardError = errors
    let lines = Self.lines(of: output.fileHandleForReading)
    let errorLines = Self.lines(of: errors.fileHandleForReading)
    try process.run()
    readers = [
      Task { [weak self] in
        for await line in lines { await self?.add(line) }
        await self?.endOutput()
      },
      Task { [weak self] in
        for await line in errorLines { await self?.addError(line) }
        await self?.endErrors()
      },
    ]
  }

  deinit {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
  }

  /// Runs the command to its end, with `input` on standard input.
  public static func run(
    _ arguments: [String], input: String = "", environment: [String: String] = [:]
  ) async throws -> (status: Int32, lines: [String], errors: String) {
    let process = try await DatProcess(arguments, environment: environment)
    if !input.isEmpty { await process.write(input) }
    await process.closeInput()
    let status = await process.status()
    return (status, await process.lines, await process.errorText)
  }

  private static func lines(of handle: FileHandle) -> AsyncStream<String> {
    AsyncStream { continuation in
      Thread {
        var rest = Data()
        while case let data = handle.availableData, !data.isEmpty {
          rest.append(data)
          while let end = rest.firstIndex(of: 10) {
            continuation.yield(String(decoding: rest[rest.startIndex..<end], as: UTF8.self))
            rest = Data(rest[rest.index(after: end)...])
          }
        }
        if !rest.isEmpty { continuation.yield(String(decoding: rest, as: UTF8.self)) }
        continuation.finish()
      }.start()
    }
  }

  // MARK: Input

  /// Writes a line to its standard input.
  public func send(_ line: String) { write(line + "\n") }

  /// Writes text to its standard input.
  public func write(_ text: String) {
    try? input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
  }

  /// Ends its standard input.
  public func closeInput() {
    guard !isInputClosed else { return }
    isInputClosed = true
    try? input.fileHandleForWriting.close()
  }

  /// Its process id.
  public var processIdentifier: Int32 { process.processIdentifier }

  /// Sends it a signal.
  public func signal(_ number: Int32) { kill(process.processIdentifier, number) }

  // MARK: Output

  /// Returns the first line that matches, among those printed so far or later.
  ///
  /// - Throws: ``NotShown`` if the output ends without one, or it takes too long.
  @discardableResult
  public func line(
    _ what: String = "line that is waited for", where matches: @escaping @Sendable (String) -> Bool
  ) async throws -> String {
    if let found = lines.first(where: matches) { return found }
    let end = outputEnded ? .processEnded : await wait(for: matches)
    guard end == .met, let found = lines.first(where: matches) else {
      throw NotShown(what, end, of: command, printed: printed)
    }
    return found
  }

  /// Returns the first line that contains `text`.
  @discardableResult
  public func line(containing text: String) async throws -> String {
    try await line("line with \(text)") { $0.contains(text) }
  }

  /// Waits until standard error contains `text`. What is printed there and on standard output arrives in any
  /// order.
  ///
  /// - Throws: ``NotShown`` if it ends without, or it takes too long.
  public func error(containing text: String) async throws {
    if errorText.contains(text) { return }
    let end =
      errorsEnded ? .processEnded : await wait(onErrors: true) { $0.contains(text) }
    guard end == .met else {
      throw NotShown("complaint with \(text)", end, of: command, printed: printed)
    }
  }

  private func wait(
    onErrors: Bool = false, for matches: @escaping @Sendable (String) -> Bool
  ) async -> Awaited<String>.End {
    let number = awaited.number()
    return await bounded(
      Awaited<String>.limit,
      stop: { [weak self] isLate in
        Task { await self?.giveUp(number, isLate ? .tooLate : .cancelled) }
      }
    ) {
      await withCheckedContinuation { continuation in
        guard !Task.isCancelled else { return continuation.resume(returning: .cancelled) }
        if onErrors {
          awaitedErrors.add(number, matches, continuation)
        } else {
          awaited.add(number, matches, continuation)
        }
      }
    }
  }

  /// Waits for it to end. If that takes too long, it is killed, and its output is printed.
  ///
  /// - Returns: the exit status; 128 and more for a signal.
  public func status() async -> Int32 {
    let process = process
    await bounded(
      Awaited<String>.limit,
      stop: { [weak self] _ in Task { await self?.endByForce() } }
    ) {
      await withCheckedContinuation { continuation in
        Thread {
          process.waitUntilExit()
          continuation.resume()
        }.start()
      }
    }
    for reader in readers { await reader.value }
    return process.terminationReason == .uncaughtSignal
      ? 128 + process.terminationStatus : process.terminationStatus
  }

  private func endByForce() {
    guard process.isRunning else { return }
    print("\(command.joined(separator: " ")): had to be killed. It printed:\n\(printed)")
    kill(process.processIdentifier, SIGKILL)
  }

  private func giveUp(_ number: Int, _ end: Awaited<String>.End) {
    awaited.end(number, end)
    awaitedErrors.end(number, end)
  }

  private var command: [String] {
    [process.executableURL?.lastPathComponent ?? ""] + (process.arguments ?? [])
  }

  private var printed: String {
    (lines.suffix(40) + [errorText].filter { !$0.isEmpty }).joined(separator: "\n")
  }

  private func add(_ line: String) {
    lines.append(line)
    awaited.show(line)
  }

  private func addError(_ line: String) {
    errorText += line + "\n"
    awaitedErrors.show(errorText)
  }

  private func endOutput() {
    outputEnded = true
    awaited.endAll(.processEnded)
  }

  private func endErrors() {
    errorsEnded = true
    awaitedErrors.endAll(.processEnded)
  }
}

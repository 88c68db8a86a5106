internal import Foundation

/// The built command at a terminal of its own, whose keys can be typed and whose screen can be
/// read.
public actor TerminalProcess {
  private let terminal: Int32
  private let process: pid_t
  private let command: [String]
  private var awaited = Awaited<TerminalScreen>()
  private var hasEnded = false
  private var reader: Task<Void, Never>?
  private let exit: Task<Int32, Never>
  /// The screen that it has drawn.
  public private(set) var screen: TerminalScreen
  /// All bytes it has written.
  public private(set) var output: [UInt8] = []

  public struct Failure: Error {
    public let what: String
  }

  /// Starts the command, as the leader of a session whose terminal this is.
  public init(
    _ arguments: [String], environment: [String: String] = [:], columns: Int = 80, rows: Int = 24
  ) async throws {
    guard let (terminal, name) = Self.open() else {
      throw Failure(what: "no pseudo-terminal is to be had")
    }
    _ = fcntl(terminal, F_SETFD, FD_CLOEXEC)
    self.terminal = terminal
    command = arguments
    Self.setSize(terminal, columns, rows)
    screen = TerminalScreen(columns: columns, rows: rows)
    let process = try Self.spawn(
      [DatProcess.executable.path] + arguments,
      ProcessInfo.processInfo.environment.merging(["TERM": "xterm-256color", "NO_COLOR": ""]) { $1 }
        .merging(environment) { $1 }, name)
    self.process = process
    let pieces = Self.pieces(of: terminal)
    exit = Task.detached { await Self.wait(for: process) }
    reader = Task { [weak self] in
      for await piece in pieces { await self?.take(piece) }
      await self?.end()
    }
  }

  deinit {
    if !hasEnded { kill(process, SIGKILL) }
    close(terminal)
  }

  /// Opens a new pseudo-terminal: the test's end, and the path of the command's.
  private static func open() -> (Int32, String)? {
    #if os(Linux)
      // The functions for this are not imported into Swift.
      let terminal = Foundation.open("/dev/ptmx", O_RDWR | O_NOCTTY)
      var isLocked: Int32 = 0
      var number: UInt32 = 0
      let (unlock, getNumber) = (UInt(0x4004_5431), UInt(0x8004_5430))
      guard terminal >= 0, ioctl(terminal, unlock, &isLocked) == 0,
        ioctl(terminal, getNumber, &number) == 0
      else { return nil }
      return (terminal, "/dev/pts/\(number)")
    #else
      let terminal = posix_openpt(O_RDWR | O_NOCTTY)
      guard terminal >= 0, grantpt(terminal) == 0, unlockpt(terminal) == 0,
        let name = ptsname(terminal)
      else { return nil }
      return (terminal, String(cString: name))
    #endif
  }

  private static func spawn(
    _ arguments: [String], _ environment: [String: String], _ terminal: String
  ) throws -> pid_t {
    #if os(Linux)
      var actions = posix_spawn_file_actions_t()
      var attributes = posix_spawnattr_t()
      // Not imported into Swift.
      let newSession: Int16 = 0x80
    #else
      var actions: posix_spawn_file_actions_t?
      var attributes: posix_spawnattr_t?
      let newSession = Int16(POSIX_SPAWN_SETSID)
    #endif
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    posix_spawnattr_setflags(&attributes, newSession)
    // The first terminal that the leader of a session opens becomes the session's.
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, terminal, O_RDWR, 0)
    posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDERR_FILENO)
    let words = arguments.map { strdup($0) } + [nil]
    let variables = environment.map { strdup("\($0)=\($1)") } + [nil]
    defer { for text in words + variables { free(text) } }
    var process = pid_t()
    let problem = posix_spawn(&process, arguments[0], &actions, &attributes, words, variables)
    guard problem == 0 else { throw Failure(what: String(cString: strerror(problem))) }
    return process
  }

  private static func pieces(of terminal: Int32) -> AsyncStream<[UInt8]> {
    AsyncStream { continuation in
      Thread {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        // The last close of the other end is reported as an error.
        while case let count = read(terminal, &buffer, buffer.count), count > 0 {
          continuation.yield(Array(buffer.prefix(count)))
        }
        continuation.finish()
      }.start()
    }
  }

  private static func wait(for process: pid_t) async -> Int32 {
    await withCheckedContinuation { continuation in
      Thread {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7f
        continuation.resume(returning: signal == 0 ? (status >> 8) & 0xff : 128 + signal)
      }.start()
    }
  }

  private static func setSize(_ terminal: Int32, _ columns: Int, _ rows: Int) {
    var size = winsize()
    size.ws_col = UInt16(columns)
    size.ws_row = UInt16(rows)
    _ = ioctl(terminal, UInt(TIOCSWINSZ), &size)
  }

  // MARK: Typing

  /// Presses keys.
  public func type(_ text: String) {
    let bytes = Array(text.utf8)
    var sent = 0
    while sent < bytes.count {
      let count = write(terminal, Array(bytes[sent...]), bytes.count - sent)
      guard count > 0 else { return }
      sent += count
    }
  }

  /// Enters lines, and presses keys at a moment at which the command has the terminal as programs leave it,
  /// between one line and the next. The lines are entered anew until such a moment is met.
  ///
  /// - Returns: true if it was met.
  public func type(_ lines: String, thenBetweenLines keys: String) async -> Bool {
    for _ in 0..<50 {
      type(lines)
      let end = ContinuousClock.now + .milliseconds(50)
      while ContinuousClock.now < end, !isCooked {}
      guard isCooked else { continue }
      kill(process, SIGSTOP)
      try? await Task.sleep(for: .milliseconds(5))
      let isMet = isCooked
      if isMet { type(keys) }
      kill(process, SIGCONT)
      if isMet { return true }
    }
    return false
  }

  /// Gives the window another size, of which the system notifies the command.
  public func resize(columns: Int, rows: Int) {
    screen.resize(columns: columns, rows: rows)
    Self.setSize(terminal, columns, rows)
  }

  // MARK: Reading the screen

  /// Waits until the screen matches.
  ///
  /// - Throws: ``NotShown`` if the command ends before, or it takes too long.
  public func until(
    _ what: String = "screen that is waited for",
    _ matches: @escaping @Sendable (TerminalScreen) -> Bool
  ) async throws {
    if matches(screen) { return }
    var end = Awaited<TerminalScreen>.End.processEnded
    if !hasEnded {
      let number = awaited.number()
      end = await bounded(
        Awaited<TerminalScreen>.limit,
        stop: { [weak self] isLate in
          Task { await self?.giveUp(number, isLate ? .tooLate : .cancelled) }
        }
      ) {
        await withCheckedContinuation { continuation in
          guard !Task.isCancelled else { return continuation.resume(returning: .cancelled) }
          awaited.add(number, matches, continuation)
        }
      }
    }
    guard end == .met else {
      throw NotShown(
        what, end, of: command, printed: screen.allRows.joined(separator: "\n"))
    }
  }

  /// Waits for a row that contains a text, shown now or scrolled off.
  @discardableResult
  public func row(containing text: String) async throws -> String {
    try await until("row with \(text)") { $0.allRows.contains { $0.contains(text) } }
    return screen.allRows.last { $0.contains(text) } ?? ""
  }

  /// Waits until the row of the cursor is this.
  public func prompt(_ text: String) async throws {
    try await until("prompt \(text)") { $0.rows.last == text && $0.row == $0.rows.count - 1 }
  }

  private func giveUp(_ number: Int, _ end: Awaited<TerminalScreen>.End) {
    awaited.end(number, end)
  }

  /// True if input is echoed and delivered by lines, as programs leave a terminal.
  public var isCooked: Bool {
    var settings = termios()
    guard tcgetattr(terminal, &settings) == 0 else { return false }
    return settings.c_lflag & tcflag_t(ICANON) != 0 && settings.c_lflag & tcflag_t(ECHO) != 0
  }

  /// True if Ctrl-D ends the input, as programs leave a terminal.
  public var hasEndOfFile: Bool {
    var settings = termios()
    guard tcgetattr(terminal, &settings) == 0 else { return false }
    return withUnsafeBytes(of: &settings.c_cc) { $0[Int(VEOF)] == 4 }
  }

  /// Waits for it to end. If that takes too long, it is killed, and its screen is printed.
  ///
  /// - Returns: the exit status; 128 and more for a signal.
  public func status() async -> Int32 {
    let exit = exit
    let status = await bounded(
      Awaited<TerminalScreen>.limit,
      stop: { [weak self] _ in Task { await self?.endByForce() } }
    ) { await exit.value }
    await reader?.value
    return status
  }

  private func endByForce() {
    guard !hasEnded else { return }
    print("\(command): had to be killed. Its screen:\n\(screen.allRows.joined(separator: "\n"))")
    kill(process, SIGKILL)
  }

  private func take(_ piece: [UInt8]) {
    output += piece
    screen.feed(piece)
    awaited.show(screen)
  }

  private func end() {
    hasEnded = true
    awaited.endAll(.processEnded)
  }
}

internal import Foundation

/// Standard input, output and error as the system has them.
///
/// Everything that the command prints goes through ``write(_:)`` or ``complain(_:)``, and each of these
/// writes is checked. If the reader of a pipe has gone, the command ends quietly as by the signal SIGPIPE,
/// which a shell shows as 141. Any other failure of standard output ends it with one sentence on standard error
/// and the status 1. A command with something to close in order uses ``whenLost(_:)``; all others end at
/// once.
enum StandardStreams {
  private static let outputLock = NSLock()
  private static let errorLock = NSLock()
  /// Guards the two variables below it.
  private static let stateLock = NSLock()
  /// The system's error number of the write that failed.
  ///
  /// Unsafe, with this proof: it is read and written under `stateLock` alone.
  nonisolated(unsafe) private static var failure: Int32?
  /// Unsafe, with the same proof.
  nonisolated(unsafe) private static var onLoss: (@Sendable () -> Void)?

  /// Ensures that no file takes the number of a stream that was closed when the command started: output would
  /// end up in that file. Call it before any file is opened.
  ///
  /// Reading and writing a closed stream still fail, since the file in its place is opened the other way.
  static func secure() {
    signal(SIGPIPE, SIG_IGN)
    for (number, flags) in [
      (STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_RDONLY),
    ] where fcntl(number, F_GETFD) == -1 && errno == EBADF {
      // It takes the lowest free number, which is this one.
      _ = open("/dev/null", flags)
    }
  }

  // MARK: Output

  /// Prints text on standard output.
  static func write(_ text: String) { write(Array(text.utf8)) }

  /// Prints bytes on standard output; ends the command if they can't be printed.
  static func write(_ bytes: [UInt8]) {
    guard !isLost else { return }
    let number = outputLock.withLock { Descriptor.write(bytes, to: STDOUT_FILENO) }
    if number != 0 { lose(number) }
  }

  /// Prints text on standard error. If that fails there is no one left to notify.
  static func complain(_ text: String) {
    _ = errorLock.withLock { Descriptor.write(Array(text.utf8), to: STDERR_FILENO) }
  }

  /// True if standard output can't be written any more; what is printed then is dropped.
  static var isLost: Bool { stateLock.withLock { failure != nil } }

  /// Sets the action to call, instead of ending at once, when standard output can't be written any more.
  /// The action begins an orderly end; it is called at once if that has already happened.
  static func whenLost(_ action: @escaping @Sendable () -> Void) {
    let isLate = stateLock.withLock {
      onLoss = action
      return failure != nil
    }
    if isLate { action() }
  }

  /// Ends the process if standard output was lost; call it when everything is closed.
  static func endIfLost() {
    if let number = stateLock.withLock({ failure }) { end(number) }
  }

  private static func lose(_ number: Int32) {
    let (isFirst, action) = stateLock.withLock {
      defer { failure = failure ?? number }
      return (failure == nil, onLoss)
    }
    guard isFirst else { return }
    if let action { action() } else { end(number) }
  }

  /// Ends the process, whatever runs in it. Files are left as a kill would leave them, which they survive.
  private static func end(_ number: Int32) -> Never {
    guard number == EPIPE else {
      let why = number == EBADF ? "it is closed" : Descriptor.message(number)
      complain(
        "dat: Standard output can't be written (\(why)); what should be there is not complete.\n")
      _exit(1)
    }
    signal(SIGPIPE, SIG_DFL)
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGPIPE)
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
    raise(SIGPIPE)
    _exit(128 + SIGPIPE)
  }

  // MARK: Terminals

  /// True if people read standard output on a terminal.
  static var isOutputTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// True if people read standard error on a terminal.
  static var isErrorTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// True if a terminal shows colours: it does unless `TERM` is `dumb` or missing, or `NO_COLOR` is set.
  static var showsColours: Bool {
    let environment = ProcessInfo.processInfo.environment
    guard (environment["NO_COLOR"] ?? "").isEmpty else { return false }
    return !["", "dumb"].contains(environment["TERM"] ?? "")
  }
}

/// System calls on open files.
enum Descriptor {
  /// Returns the meaning of an error number, in the system's words.
  static func message(_ number: Int32) -> String { String(cString: strerror(number)) }

  /// Writes all bytes, even if the other end takes them slowly.
  ///
  /// - Returns: 0, or the system's error number.
  static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
    bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress else { return 0 }
      var done = 0
      while done < buffer.count {
        let count = Foundation.write(descriptor, base + done, buffer.count - done)
        if count >= 0 {
          done += count
        } else if errno == EAGAIN || errno == EWOULDBLOCK {
          wait(for: POLLOUT, on: descriptor)
        } else if errno != EINTR {
          return errno
        }
      }
      return 0
    }
  }

  /// The result of reading a piece.
  enum Piece {
    /// Bytes, none at the end.
    case bytes([UInt8])
    /// The system's error number.
    case failure(Int32)
  }

  /// Reads the available bytes, up to `limit`, and waits while there are none.
  static func read(_ descriptor: Int32, limit: Int = 1 << 16) -> Piece {
    while true {
      var number: Int32 = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
        let result = Foundation.read(descriptor, buffer.baseAddress, limit)
        if result < 0 { number = errno }
        count = max(result, 0)
      }
      switch number {
      case 0: return .bytes(bytes)
      case EINTR: continue
      case EAGAIN, EWOULDBLOCK: wait(for: POLLIN, on: descriptor)
      default: return .failure(number)
      }
    }
  }

  private static func wait(for events: Int32, on descriptor: Int32) {
    var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    _ = poll(&entry, 1, -1)
  }
}

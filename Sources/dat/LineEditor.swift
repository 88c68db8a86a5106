internal import CLibEdit
internal import DatCoding
internal import Foundation

/// The line that is being typed at a terminal, edited with libedit, and the lines that arrive meanwhile.
///
/// libedit belongs to one thread. That thread waits for keys and for text from others, so a line that
/// arrives is printed above the one being typed, which is then redrawn.
///
/// Unchecked, with this proof: `inbox` and `candidates` are read and written under the lock alone, all
/// other variables by the editing thread alone once it runs, and the rest never changes.
final class LineEditor: @unchecked Sendable {
  /// The data that others pass to the editing thread.
  private struct Inbox {
    var text = ""
    var isResized = false
    var isEnding = false
    /// True once editing has ended: text is then printed directly.
    var isOver = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  /// Returns the completions of a word: from the line up to it, and its beginning.
  typealias Completion = @Sendable (_ before: String, _ word: String) -> [String]

  private let lock = NSLock()
  private var inbox = Inbox()
  private var complete: Completion = { _, _ in [] }
  private let wake: (reading: Int32, writing: Int32)
  /// Returns whether a typed line is replaced by its result on the screen.
  private let isReplaced: @Sendable (String) -> Bool
  private var editor: OpaquePointer?
  /// The width of the window for which the line was drawn.
  private var drawnColumns = 80
  private var sources: [any DispatchSourceSignal] = []

  /// Nil if there is no terminal to edit at.
  init?(isReplaced: @escaping @Sendable (String) -> Bool) {
    let terminal = ProcessInfo.processInfo.environment["TERM"] ?? "dumb"
    guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1, terminal != "dumb" else {
      return nil
    }
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { return nil }
    for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    wake = (ends[0], ends[1])
    self.isReplaced = isReplaced
  }

  deinit {
    close(wake.reading)
    close(wake.writing)
  }

  // MARK: From any thread

  /// Returns the lines as they are entered; ends with Ctrl-D on an empty one. Call it once.
  func lines() -> AsyncStream<String> {
    AsyncStream { continuation in
      for number in [SIGWINCH, SIGCONT] {
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler { [weak self] in self?.hand { $0.isResized = true } }
        source.resume()
        sources.append(source)
      }
      let thread = Thread { [self] in
        edit { continuation.yield($0) }
        continuation.finish()
      }
      thread.name = "line editor"
      thread.start()
    }
  }

  /// Prints above the line that is being typed.
  func print(_ text: String) { hand { $0.text += text } }

  /// Sets the function that completes words.
  func setCompletion(_ complete: @escaping Completion) {
    lock.withLock { self.complete = complete }
  }

  /// Ends the editing and restores the terminal.
  func end() async {
    await withCheckedContinuation { continuation in
      let isOver = lock.withLock {
        if !inbox.isOver { inbox.waiters.append(continuation) }
        return inbox.isOver
      }
      if isOver { return continuation.resume() }
      hand { $0.isEnding = true }
    }
  }

  private func hand(_ change: (inout Inbox) -> Void) {
    let direct: String? = lock.withLock {
      change(&inbox)
      guard inbox.isOver else { return nil }
      defer { inbox.text = "" }
      return inbox.text
    }
    if let direct { return Self.write(direct) }
    var byte: UInt8 = 0
    // A full pipe wakes the thread as well.
    _ = Foundation.write(wake.writing, &byte, 1)
  }

  // MARK: The editing thread

  private func edit(_ yield: (String) -> Void) {
    dat_el_use_utf8()
    let history = history_winit()
    let context = Unmanaged.passUnretained(self).toOpaque()
    var before = termios()
    let isKnown = tcgetattr(STDIN_FILENO, &before) == 0
    editor = dat_el_open(
      history, context,
      { editor, key in
        guard let editor, let key, let context = dat_el_client(editor) else { return -1 }
        return Unmanaged<LineEditor>.fromOpaque(context).takeUnretainedValue().readKey(key)
      },
      { editor, _ in
        guard let editor, let context = dat_el_client(editor) else { return UInt8(CC_ERROR) }
        return Unmanaged<LineEditor>.fromOpaque(context).takeUnretainedValue().completeWord()
      })
    if editor != nil {
      drawnColumns = Self.columns
      var count: Int32 = 0
      while true {
        // Before the prompt shows, not after it as by default: a Ctrl-D between the two would be lost.
        dat_el_retake(editor)
        guard let text = el_wgets(editor, &count), count > 0 else { break }
        var line = Self.string(UnsafeBufferPointer(start: text, count: Int(count)))
        if line.unicodeScalars.last == "\n" { line.unicodeScalars.removeLast() }
        if !ForeignText(line).isBlank { dat_el_remember(history, text) }
        if isReplaced(line) {
          // The cursor is at the beginning of the row below the line.
          Self.write("\u{1b}[\(rows(to: line) + 1)A\u{1b}[J")
        }
        yield(line)
      }
      // Erases the prompt of a line that will not come.
      Self.write("\r\u{1b}[J")
      el_end(editor)
      editor = nil
    }
    if isKnown { tcsetattr(STDIN_FILENO, TCSADRAIN, &before) }
    history_wend(history)
    let (rest, waiters) = lock.withLock {
      inbox.isOver = true
      defer { inbox.text = "" }
      return (inbox.text, inbox.waiters)
    }
    Self.write(rest)
    for waiter in waiters { waiter.resume() }
  }

  /// Returns the next key; 0 at the end of the input. Prints what arrives meanwhile.
  private func readKey(_ key: UnsafeMutablePointer<wchar_t>) -> Int32 {
    while true {
      var descriptors = [
        pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
        pollfd(fd: wake.reading, events: Int16(POLLIN), revents: 0),
      ]
      if poll(&descriptors, 2, -1) < 0 {
        if errno == EINTR { continue }
        return 0
      }
      if descriptors[1].revents != 0, !readInbox() { return 0 }
      if descriptors[0].revents != 0 {
        guard let scalar = Self.readScalar() else { return 0 }
        key.pointee = wchar_t(bitPattern: scalar.value)
        return 1
      }
    }
  }

  /// - Returns: true to go on.
  private func readInbox() -> Bool {
    var bytes = [UInt8](repeating: 0, count: 256)
    while read(wake.reading, &bytes, bytes.count) > 0 {}
    let received = lock.withLock {
      defer {
        inbox.text = ""
        inbox.isResized = false
      }
      return inbox
    }
    // The window changes before its signal comes: a line drawn for the old width could not be erased, and would
    // take the text above it along.
    let columns = Self.columns
    if received.isResized || columns != drawnColumns {
      drawnColumns = columns
      erase()
      dat_el_retake(editor)
      el_resize(editor)
      Self.write(received.text)
      dat_el_redraw(editor)
    } else if !received.text.isEmpty {
      erase()
      Self.write(received.text)
      if !received.isEnding { dat_el_redraw(editor) }
    }
    if received.isEnding { erase() }
    return !received.isEnding
  }

  /// Erases the prompt and the line from the screen.
  private func erase() {
    guard let info = el_wline(editor)?.pointee, let start = info.buffer else { return }
    let before = Self.string(UnsafeBufferPointer(start: start, count: info.cursor - start))
    let up = rows(to: before)
    Self.write("\r" + (up > 0 ? "\u{1b}[\(up)A" : "") + "\u{1b}[J")
  }

  /// Returns the number of rows from the prompt's down to the end of a text.
  private func rows(to text: String) -> Int {
    let width = text.unicodeScalars.reduce(2) { sum, scalar in
      sum + max(Int(dat_el_width(wchar_t(bitPattern: scalar.value))), 0)
    }
    return width / max(drawnColumns, 1)
  }

  private static var columns: Int {
    var size = winsize()
    let isKnown = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    return isKnown ? Int(size.ws_col) : 80
  }

  // MARK: Completion

  private func completeWord() -> UInt8 {
    guard let info = el_wline(editor)?.pointee, let start = info.buffer else {
      return UInt8(CC_ERROR)
    }
    let before = Self.string(UnsafeBufferPointer(start: start, count: info.cursor - start))
    let words = ForeignText(before).split(separator: UInt8(ascii: " "))
    let word = words.last?.string
    let complete = lock.withLock { self.complete }
    let found = complete(String(before.dropLast(word?.count ?? 0)), word ?? "")
    guard let first = found.first else { return UInt8(CC_REFRESH_BEEP) }
    let common = found.dropFirst().reduce(first) { $0.commonPrefix(with: $1) }
    let rest = String(common.dropFirst(word?.count ?? 0)) + (found.count == 1 ? " " : "")
    if rest.isEmpty {
      // Nothing certain to insert: lists the choices.
      erase()
      Self.write(found.joined(separator: "  ") + "\n")
      dat_el_redraw(editor)
      return UInt8(CC_NORM)
    }
    // A name typed in another case, `BE` for `bea`, takes the letters of the name.
    if let word, found.count == 1, !ForeignText(common).starts(with: ForeignText(word)) {
      el_deletestr(editor, Int32(word.unicodeScalars.count))
      insert(common + " ")
    } else {
      insert(rest)
    }
    return UInt8(CC_REFRESH)
  }

  private func insert(_ text: String) {
    var wide = text.unicodeScalars.map { wchar_t(bitPattern: $0.value) }
    wide.append(0)
    el_winsertstr(editor, wide)
  }

  // MARK: Bytes and characters

  private static func string(_ text: UnsafeBufferPointer<wchar_t>) -> String {
    var string = ""
    for unit in text {
      string.unicodeScalars.append(Unicode.Scalar(UInt32(bitPattern: unit)) ?? "\u{fffd}")
    }
    return string
  }

  /// Returns one character of the terminal's UTF-8; nil at the end.
  private static func readScalar() -> Unicode.Scalar? {
    guard let lead = readByte() else { return nil }
    let count = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    var bytes = [lead]
    while bytes.count < count {
      guard let byte = readByte() else { return nil }
      bytes.append(byte)
    }
    return String(decoding: bytes, as: UTF8.self).unicodeScalars.first
  }

  private static func readByte() -> UInt8? {
    var byte: UInt8 = 0
    while true {
      switch read(STDIN_FILENO, &byte, 1) {
      case 1: return byte
      case -1 where errno == EINTR: continue
      default: return nil
      }
    }
  }

  private static func write(_ text: String) {
    guard !text.isEmpty else { return }
    dat_el_flush()
    StandardStreams.write(text)
  }
}

internal import DatCoding
internal import Foundation
internal import Hypercore
internal import HyperDB
internal import Saga

// Lines that are typed or piped, and the end of a chat.
extension ChatSession {
  // MARK: Input

  /// - Returns: the error that the key is not a room's, if that ends it.
  func untilLeaving(
    _ interruptions: AsyncStream<Void>, _ refusals: AsyncStream<HyperDBError>
  ) async -> HyperDBError? {
    var inputs = ChatInputs(
      editor: editor, lines: options.lines, interruptions: interruptions, refusals: refusals)
    defer { inputs.cancel() }
    for await input in inputs.stream {
      switch input {
      case .line(let text): if await !handle(text) { return nil }
      case .unreadable(let reason):
        output.problem(reason)
        outbox.noteIncomplete()
      case .interrupt, .delivered: return nil
      case .refused(let refusal): return refusal
      case .end:
        // Ctrl-D at a terminal means to leave now; a pipe's end leaves the page open.
        if options.stay || (page != nil && editor == nil) { continue }
        if editor != nil { return nil }
        inputs.addDelivered { [self] in await untilDelivered() }
      }
    }
    return nil
  }

  /// Handles a line that was typed or piped.
  ///
  /// - Returns: true to go on.
  private func handle(_ text: String) async -> Bool {
    if output.json {
      let text = ForeignText(text).trimmed.string
      if !text.isEmpty { await write(text) }
      return true
    }
    switch ChatLine(text) {
    case .nothing: break
    case .message(let text): await write(text)
    case .command(let command, let argument): return await run(command, argument)
    case .unknown(let word):
      output.problem(
        "/\(SafeText.line(word, limit: 40)) is no command; /help lists them, and // sends a line "
          + "that begins with a slash")
    }
    return true
  }

  private func write(_ text: String) async {
    do { try await send(text) } catch let error as FeedError where error.code == .restoring {
      keep(text)
    } catch {
      output.problem(Problem.sentence(for: error))
      if editor == nil { outbox.noteIncomplete() }
    }
  }

  private func send(_ text: String) async throws {
    let id = try await saga.writeMessage(text)
    if let message = await saga.message(id) { outbox.noteWritten(message.seq) }
  }

  // MARK: Before the user's own feed is here

  /// Keeps a line until the user's feed can be written.
  private func keep(_ text: String) {
    if outbox.waiting.isEmpty {
      output.problem(
        "your key is here, but not what you wrote before: what you type is kept until a peer has brought that; "
          + "if you never wrote anything in this room, leave and start with --new")
    }
    do { try outbox.keep(text) } catch {
      output.problem("a line can't be kept: \(Problem.sentence(for: error))")
    }
  }

  /// Writes the kept lines, once that is possible.
  func writeKept() async {
    let lines = outbox.waiting
    guard !lines.isEmpty else { return }
    note(
      "what you wrote before can be had again: \(lines.count == 1 ? "1 line is" : "\(lines.count) lines are") sent"
    )
    for line in lines {
      do {
        try await send(line)
        try outbox.removeFirstWaiting()
      } catch {
        output.problem(Problem.sentence(for: error))
        return
      }
    }
  }

  /// Waits, at the end of standard input, until what was written has reached a peer or, if nothing was written,
  /// until what peers have is here; up to a time limit.
  private func untilDelivered() async {
    // The stored messages are shown first: the room may have been opened without waiting for it.
    await saga.initialize()
    guard options.mayMeet, options.linger > .zero else { return }
    let deadline = ContinuousClock.now + options.linger
    while ContinuousClock.now < deadline, !Task.isCancelled {
      switch outbox.goal {
      case .writeKept: break
      case .upload(let block): if await saga.db.uploadedLength > block { return }
      case .catchUp: if await saga.db.isSynced, await saga.isCaughtUp { return }
      }
      try? await Task.sleep(for: .milliseconds(20))
    }
    if !Task.isCancelled { await reportUndelivered() }
  }

  private func reportUndelivered() async {
    let time = options.linger.formatted(
      .units(allowed: [.hours, .minutes, .seconds], width: .wide))
    switch outbox.goal {
    // Lines that wait are reported at the end.
    case .writeKept: break
    case .upload:
      outbox.noteIncomplete()
      let fate =
        options.notesFolder == nil
        ? "with --memory it is lost." : "it is stored here, and goes out when a peer is met."
      output.problem("Nobody took what was written within \(time); \(fate)")
    case .catchUp:
      if await saga.db.hasContent { break }
      outbox.noteIncomplete()
      output.problem("Nobody was met within \(time), and nothing of the room is here yet.")
    }
  }
}

internal import ArgumentParser
internal import DatCoding
internal import DatSwarm
internal import DatWeb
internal import Foundation
internal import Hypercore
internal import HyperDB
internal import HypercoreCrypto
internal import Saga

/// One run of `dat chat`: the room, its connections, and the person or program in front of it.
///
/// Its properties are 13, since the session is where the room, the network, the screen and what is typed meet.
actor ChatSession {
  /// The parts of the command's options that hold for the whole session.
  struct Options {
    /// True to stay after the end of standard input.
    var stay: Bool
    /// The time to wait for a delivery at that end.
    var linger: Duration
    /// The time for which a person may be away before it is shown.
    var patience: Duration
    /// True if there is any way to meet a peer.
    var mayMeet: Bool
    /// The address of the workshop's page.
    var pageURL: String?
    var notesFolder: String?
    /// The piped lines; nil if none are expected.
    var lines: InputLines?
  }

  let saga: Saga
  let output: Output
  private let options: Options
  private let page: ChatPage?
  private let editor: LineEditor?
  /// The lines for people; programs get the events themselves.
  var screen: ChatScreen
  /// The people who are here, with patience for connections that break and come back.
  var presence: Presence
  private var leaveTimer: Task<Void, Never>?
  /// The latest name that each feed wrote under.
  private(set) var authors: [PublicKey: ForeignText] = [:]
  /// The page's address, once it is served.
  private(set) var pageAddress: String?
  /// The swarm, once it has started.
  private(set) var swarm: Swarm?
  private var stage = Stage.loading
  /// The lines that were written, and those that wait to be.
  private var outbox: Outbox

  private enum Stage {
    case loading
    /// The stored messages were shown.
    case ready
    /// The connections end because this side leaves.
    case leaving
  }

  private struct Outbox {
    /// The last entry written here.
    var written: UInt64?
    /// Lines that wait until the user's own feed is here again.
    var kept: KeptLines
    /// True if a line was not accepted or did not reach a peer, which was reported.
    var isIncomplete = false
  }

  init(saga: Saga, output: Output, page: ChatPage?, options: Options) {
    self.saga = saga
    var output = output
    let editor =
      output.json ? nil : LineEditor { if case .message = ChatLine($0) { true } else { false } }
    if let editor { output.sink = { editor.print($0) } }
    self.output = output
    self.editor = editor
    self.page = page
    self.options = options
    screen = ChatScreen(output: output, own: saga.userData)
    presence = Presence(patience: options.patience, now: Self.now)
    outbox = Outbox(kept: KeptLines(folder: options.notesFolder))
  }

  /// Returns when the person leaves, or standard input ends.
  func run(
    listen: [ListenAddress], connect: [PeerAddress], sources: [any PeerSource],
    transports: [any PeerTransport], options: Swarm.Options, verbose: Bool,
    refusals: AsyncStream<HyperDBError>
  ) async throws {
    let interruptions = Interruption.requests()
    announceRoom()
    if let path = outbox.kept.setAside {
      output.problem(
        "the lines that waited to be sent can't be read; what holds them is kept as \(SafeText.line(path))"
      )
    }
    let network = try await OpenSwarm(
      listen: listen, sources: sources, transports: transports, options: options, output: output,
      isVerbose: verbose)
    let swarm = network.swarm
    self.swarm = swarm
    let address = try await page?.open()
    if let address {
      pageAddress = address.url
      output.announce(address)
    }
    screen.muted = await saga.muted
    let key = saga.db.discoveryKey
    try await swarm.join(saga)
    for address in connect { await swarm.connect(to: address, about: key) }
    let events = saga.events(stored: stored)
    let following = Task { await follow(events) }
    let refusal = await untilLeaving(interruptions, refusals)
    if outbox.kept.hasLines, refusal == nil {
      if editor == nil { outbox.isIncomplete = true }
      output.problem(
        "\(outbox.kept.lines.count == 1 ? "1 line was" : "\(outbox.kept.lines.count) lines were") not sent, and \(outbox.kept.place)"
      )
    }
    stage = .leaving
    leaveTimer?.cancel()
    await page?.close()
    await network.close()
    await saga.close()
    // What is stored is shown before the end.
    await following.value
    await editor?.end()
    if let refusal { throw refusal }
    if outbox.isIncomplete { throw ExitCode(1) }
  }

  private func note(_ text: String) {
    if !output.json { screen.note(text) }
  }

  // MARK: Events

  private func announceRoom() {
    if output.json {
      output.object([
        "event": "ready", "key": .string(saga.key.hex), "local": .string(saga.db.localKey.hex),
      ])
    } else {
      output.line("\(output.bold("dat://\(saga.key.hex)"))")
      output.line(output.dim("share this key: whoever has it can join the room"))
      if let pageURL = options.pageURL {
        output.line("\(output.bold(RoomLink.page(at: pageURL, of: saga.key)))")
        output.line(output.dim("the same room in the browser, for those who have no dat"))
      }
    }
  }

  /// The stored messages to show: a terminal shows the newest, a pipe all.
  private var stored: StoredMessages { editor == nil ? .all : .newest(Self.shownAtStart) }
  /// The messages shown at the start: some ten screens.
  private static let shownAtStart = 500

  private func follow(_ events: SagaEvents) async {
    for await event in events {
      if stage == .leaving, case .leave = event { continue }
      switch event {
      case .ready:
        if stage == .loading { stage = .ready }
        if editor != nil { await noteOlder() }
        // Events before the subscription were missed.
        if await !saga.db.isRestoring { await writeKept() }
      case .muted: await keepMuted()
      case .restored: await writeKept()
      default: break
      }
      if output.json { showJSON(event) } else { show(event) }
    }
  }

  /// Notes how many messages were not shown at the start.
  private func noteOlder() async {
    let older = await saga.messageCount - Self.shownAtStart
    if older > 0 { note("\(older) older messages are not shown here; /search finds them") }
  }

  private static var now: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }

  private func show(_ event: SagaEvent) {
    switch event {
    case .join(let user): present { $0.join(user, now: Self.now) }
    case .change(let user): presence.change(user)
    case .leave(let user):
      presence.leave(user.key, now: Self.now)
      scheduleLeave()
    default: screen.show(event)
    }
    if changesNames(event) { refreshCompletion() }
  }

  /// Returns whether an event changes the names that words can be completed to.
  private func changesNames(_ event: SagaEvent) -> Bool {
    switch event {
    case .message(let message), .edit(let message):
      let name = ForeignText(message.username)
      return authors.updateValue(name, forKey: message.feed) != name && stage != .loading
    case .ready, .join, .change, .request, .requestGone, .muted: return true
    default: return false
    }
  }

  /// Stores the muted feeds for the next run.
  private func keepMuted() async {
    guard let notesFolder = options.notesFolder else { return }
    var notes = RoomNotes(folder: notesFolder)
    notes.setMuted(await saga.muted)
    do { try notes.write(folder: notesFolder) } catch {
      output.problem("who is muted can't be noted: \(Problem.sentence(for: error))")
    }
  }

  /// Changes who is here, and shows the resulting notices.
  private func present(_ change: (inout Presence) -> Void) {
    let last = presence.notices.last?.id ?? 0
    change(&presence)
    for notice in presence.notices where notice.id > last { screen.show(notice) }
  }

  /// Sleeps until the next leave is to be shown.
  private func scheduleLeave() {
    guard leaveTimer == nil, let deadline = presence.deadline else { return }
    leaveTimer = Task {
      try? await Task.sleep(for: .milliseconds(max(0, deadline - Self.now)))
      guard !Task.isCancelled else { return }
      leaveTimer = nil
      present { $0.tick(Self.now) }
      scheduleLeave()
    }
  }

  private func refreshCompletion() {
    guard let editor else { return }
    Task {
      let names = await completionNames()
      editor.setCompletion { ChatLine.completions(of: $1, after: $0, names: names) }
    }
  }

  // MARK: Writing and leaving

  private enum Input: Sendable {
    case line(String)
    /// A line, or everything after it, can't be read; the reason.
    case unreadable(String)
    case end
    case interrupt
    case delivered
    case refused(HyperDBError)
  }

  /// - Returns: the error that the key is not a room's, if that ends it.
  private func untilLeaving(
    _ interruptions: AsyncStream<Void>, _ refusals: AsyncStream<HyperDBError>
  ) async -> HyperDBError? {
    let (inputs, arrivals) = AsyncStream.makeStream(of: Input.self)
    var tasks = [
      Task {
        if let editor {
          for await line in editor.lines() { arrivals.yield(.line(line)) }
        } else if let lines = options.lines {
          await Self.read(lines) { arrivals.yield($0) }
        }
        arrivals.yield(.end)
      },
      Task { for await _ in interruptions { arrivals.yield(.interrupt) } },
      Task { for await refusal in refusals { arrivals.yield(.refused(refusal)) } },
    ]
    defer { for task in tasks { task.cancel() } }
    for await input in inputs {
      switch input {
      case .line(let text): if await !handle(text) { return nil }
      case .unreadable(let reason):
        output.problem(reason)
        outbox.isIncomplete = true
      case .interrupt, .delivered: return nil
      case .refused(let refusal): return refusal
      case .end:
        // Ctrl-D at a terminal means to leave now; a pipe's end leaves the page open.
        if options.stay || (page != nil && editor == nil) { continue }
        if editor != nil { return nil }
        tasks.append(
          Task {
            await untilDelivered()
            arrivals.yield(.delivered)
          })
      }
    }
    return nil
  }

  /// Reads piped lines. One that is not text is left out, and the others are read.
  private static func read(_ lines: InputLines, _ yield: (Input) -> Void) async {
    var lines = lines
    do {
      while let line = try await lines.next() {
        do { yield(.line(try line.text)) } catch {
          yield(.unreadable(Problem.sentence(for: error)))
        }
      }
    } catch {
      yield(.unreadable(Problem.sentence(for: error)))
    }
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
    do {
      let id = try await saga.writeMessage(text)
      if let message = await saga.message(id) { outbox.written = message.seq }
    } catch let error as FeedError where error.code == .restoring {
      keep(text)
    } catch {
      output.problem(Problem.sentence(for: error))
      if editor == nil { outbox.isIncomplete = true }
    }
  }

  // MARK: Before the user's own feed is here

  /// Keeps a line until the user's feed can be written.
  private func keep(_ text: String) {
    if !outbox.kept.hasLines {
      output.problem(
        "your key is here, but not what you wrote before: what you type is kept until a peer has brought that; "
          + "if you never wrote anything in this room, leave and start with --new")
    }
    do { try outbox.kept.add(text) } catch {
      output.problem("a line can't be kept: \(Problem.sentence(for: error))")
    }
  }

  /// Writes the kept lines, once that is possible.
  private func writeKept() async {
    let lines = outbox.kept.lines
    guard !lines.isEmpty else { return }
    note(
      "what you wrote before can be had again: \(lines.count == 1 ? "1 line is" : "\(lines.count) lines are") sent"
    )
    for line in lines {
      do {
        let id = try await saga.writeMessage(line)
        if let message = await saga.message(id) { outbox.written = message.seq }
        try outbox.kept.removeFirst()
      } catch {
        output.problem(Problem.sentence(for: error))
        return
      }
    }
  }

  /// Waits, at the end of standard input, until what was written has reached a peer or, if nothing was written,
  /// until what peers have is here; up to a time limit.
  private func untilDelivered() async {
    // What is stored is shown first: the room may have been opened without waiting for it.
    await saga.initialize()
    guard options.mayMeet, options.linger > .zero else { return }
    let deadline = ContinuousClock.now + options.linger
    while ContinuousClock.now < deadline, !Task.isCancelled {
      if outbox.kept.hasLines {
        // Until they are written or the time is up.
      } else if let written = outbox.written {
        if await saga.db.uploadedLength > written { return }
      } else if await saga.db.isSynced, await saga.isCaughtUp {
        return
      }
      try? await Task.sleep(for: .milliseconds(20))
    }
    // Kept lines are reported at the end.
    guard !Task.isCancelled, !outbox.kept.hasLines else { return }
    let time = options.linger.formatted(
      .units(allowed: [.hours, .minutes, .seconds], width: .wide))
    if outbox.written != nil {
      outbox.isIncomplete = true
      let fate =
        options.notesFolder == nil
        ? "with --memory it is lost." : "it is stored here, and goes out when a peer is met."
      output.problem("Nobody took what was written within \(time); \(fate)")
    } else if await !saga.db.hasContent {
      outbox.isIncomplete = true
      output.problem("Nobody was met within \(time), and nothing of the room is here yet.")
    }
  }
}

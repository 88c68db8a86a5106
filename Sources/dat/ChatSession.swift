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
  let options: Options
  let page: ChatPage?
  let editor: LineEditor?
  /// The lines for people; programs get the events themselves.
  var screen: ChatScreen
  private(set) var people: ChatPeople
  private var leaveTimer: Task<Void, Never>?
  /// The swarm, once it has started.
  private(set) var swarm: Swarm?
  private var stage = Stage.loading
  var outbox: ChatOutbox

  private enum Stage {
    case loading
    /// The stored messages were shown.
    case ready
    /// The connections end because this side leaves.
    case leaving
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
    people = ChatPeople(own: saga.db.localKey, patience: options.patience, now: Self.now)
    outbox = ChatOutbox(folder: options.notesFolder)
  }

  /// Returns when the person leaves, or standard input ends.
  func run(
    listen: [ListenAddress], connect: [PeerAddress], sources: [any PeerSource],
    transports: [any PeerTransport], options: Swarm.Options, verbose: Bool,
    refusals: AsyncStream<HyperDBError>
  ) async throws {
    let interruptions = Interruption.requests()
    announceRoom()
    if let path = outbox.unreadable {
      output.problem(
        "the lines that waited to be sent can't be read; what holds them is kept as \(SafeText.line(path))"
      )
    }
    let network = try await OpenSwarm(
      listen: listen, sources: sources, transports: transports, options: options, output: output,
      isVerbose: verbose)
    let swarm = network.swarm
    self.swarm = swarm
    if let address = try await page?.open() { output.announce(address) }
    screen.muted = await saga.muted
    let key = saga.db.discoveryKey
    try await swarm.join(saga)
    for address in connect { await swarm.connect(to: address, about: key) }
    let events = saga.events(stored: stored)
    let following = Task { await follow(events) }
    let refusal = await untilLeaving(interruptions, refusals)
    if let remains = outbox.remains, refusal == nil {
      if editor == nil { outbox.noteIncomplete() }
      output.problem(remains)
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

  /// Prints a line that is not a message, for people.
  func note(_ text: String) {
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
    case .join, .change, .leave: show(people.handle(event, now: Self.now))
    default: screen.show(event)
    }
    if case .leave = event { scheduleLeave() }
    if changesNames(event) { refreshCompletion() }
  }

  private func show(_ notices: [Presence.Notice]) {
    for notice in notices { screen.show(notice) }
  }

  /// Returns whether an event changes the names that words can be completed to.
  private func changesNames(_ event: SagaEvent) -> Bool {
    switch event {
    case .message(let message), .edit(let message):
      return people.noteName(of: message) && stage != .loading
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

  /// Sleeps until the next leave is to be shown.
  private func scheduleLeave() {
    guard leaveTimer == nil, let time = people.nextLeave else { return }
    leaveTimer = Task {
      try? await Task.sleep(for: .milliseconds(max(0, time - Self.now)))
      guard !Task.isCancelled else { return }
      leaveTimer = nil
      show(people.showLeaves(now: Self.now))
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
}

internal import DatSwarm
internal import DatWeb
internal import Foundation
internal import Hypercore
internal import HyperDB
internal import HypercoreCrypto
internal import Saga

/// One run of `dat chat`: the room, its connections, the person or program in front of it.
actor ChatSession {
  private let saga: Saga
  private let output: Output
  private let ownName: String
  private let stay: Bool
  private let linger: Duration
  /// Whether there is any way to meet a peer.
  private let mayMeet: Bool
  private let page: ChatPage?
  /// The last entry written here, and the last one that a peer has fetched.
  private var written: UInt64?
  private var sent: UInt64 = 0
  private var isReady = false
  private var isLeaving = false
  private var lastDay = ""

  init(
    saga: Saga, output: Output, ownName: String, stay: Bool, linger: Duration, mayMeet: Bool,
    page: ChatPage? = nil
  ) {
    self.saga = saga
    self.output = output
    self.ownName = ownName
    self.stay = stay
    self.linger = linger
    self.mayMeet = mayMeet
    self.page = page
  }

  /// Returns when the person leaves, or standard input ends.
  func run(
    listen: [ListenAddress], connect: [PeerAddress], sources: [any PeerSource], verbose: Bool
  ) async throws {
    Interruption.ignoreBrokenPipes()
    announceRoom()
    let swarm = Swarm(sources: sources)
    let report = SwarmReport(output: output, isVerbose: verbose)
    let events = await swarm.events()
    let reporting = Task { await report.follow(events) }
    for address in listen { try await swarm.listen(host: address.host, port: address.port) }
    if listen.isEmpty, !sources.isEmpty {
      _ = try await swarm.listen(preferring: Swarm.datPorts)
    }
    let address = try await page?.open()
    if let address { announce(address) }
    let key = saga.db.discoveryKey
    await swarm.join(key) { [saga] _ in
      try await saga.replicate()
    } meet: { [saga] stream, _ in
      // A peer without a user replicates all the same.
      try? await saga.connect(stream)
    }
    for address in connect { await swarm.connect(to: address, about: key) }
    let following = Task { await follow() }
    await untilLeaving()
    isLeaving = true
    reporting.cancel()
    await page?.close()
    await swarm.close()
    await saga.close()
    // What is stored here is shown before the end.
    await following.value
  }

  private func note(_ text: String) {
    if !output.json { output.line(output.dim(SafeText.line(text))) }
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
    }
  }

  private func announce(_ page: WebAddress) {
    if output.json {
      output.object(["event": "web", "url": .string(page.url)])
    } else {
      output.line(output.bold(page.url))
      output.line(
        output.dim(
          "open this in a browser, and keep it to yourself: whoever has it reads and writes as you")
      )
    }
  }

  private func follow() async {
    for await event in saga.events() {
      // That connections end is our own doing.
      if isLeaving, case .leave = event { continue }
      switch event {
      case .ready: isReady = true
      case .sent(let seq): sent = max(sent, seq)
      default: break
      }
      if output.json { showJSON(event) } else { show(event) }
    }
  }

  private func showJSON(_ event: SagaEvent) {
    switch event {
    case .message(let message): output.object(["event": "message", "data": Self.json(message)])
    case .edit(let message): output.object(["event": "edit", "data": Self.json(message)])
    case .removal(let message): output.object(["event": "removal", "data": Self.json(message)])
    case .conflict(let message): output.object(["event": "conflict", "data": Self.json(message)])
    case .unreadable(let key, let feed):
      output.object([
        "event": "unreadable", "data": ["key": .string(key), "feed": .string(feed.hex)],
      ])
    case .join(let user): output.object(["event": "join", "data": Self.json(user)])
    case .leave(let user): output.object(["event": "leave", "data": Self.json(user)])
    case .authorized: output.object(["event": "authorized"])
    case .request(let user): output.object(["event": "request", "data": Self.json(user)])
    case .waiting(let user, let reason):
      output.object([
        "event": "waiting", "data": Self.json(user), "message": .string(reason),
      ])
    case .error(let error): output.problem(error.reason)
    case .ready, .sent: break
    @unknown default: break
    }
  }

  private static func json(_ message: Message) -> JSON {
    [
      "key": .string(message.key), "message": .string(message.text),
      "username": .string(message.username), "timestamp": .integer(message.timestamp),
      "feed": .string(message.feed.hex),
    ]
  }

  private static func json(_ user: UserData) -> JSON {
    [
      "username": .string(user.username), "key": .string(user.key.hex),
      "timestamp": .integer(user.timestamp),
    ]
  }

  private func show(_ event: SagaEvent) {
    switch event {
    case .message(let message): show(message, note: "")
    case .edit(let message): show(message, note: " (edited)")
    case .removal(let message): note("\(SafeText.name(message.username)) took a message back")
    case .conflict(let message):
      note(
        "somebody else wrote over a message of \(SafeText.name(message.username)); it is not shown")
    case .unreadable: note("a message that can't be read was skipped")
    case .join(let user): note("\(SafeText.name(user.username)) joined")
    case .leave(let user): note("\(SafeText.name(user.username)) left")
    case .authorized: note("you can write in this room now")
    case .request(let user):
      let name = SafeText.name(user.username)
      note("\(name) wants to write: /accept or /refuse \(user.key.hex.prefix(8))")
    case .waiting(let user, let reason):
      note("\(SafeText.name(user.username)) has to wait: \(reason)")
    case .error(let error): output.problem(error.reason)
    case .ready, .sent: break
    @unknown default: break
    }
  }

  private func show(_ message: Message, note: String) {
    let date = Date(timeIntervalSince1970: Double(message.timestamp) / 1000)
    let day = date.formatted(.iso8601.year().month().day())
    if day != lastDay {
      lastDay = day
      output.line(output.dim("— \(day) —"))
    }
    let time = date.formatted(.iso8601.time(includingFractionalSeconds: false)).prefix(5)
    let name = output.name(SafeText.name(message.username), of: message.feed.bytes)
    // Every line of a message stands under its author.
    let lines = message.text.split(separator: "\n", omittingEmptySubsequences: false).prefix(100)
    let text = lines.map { SafeText.line(String($0)) }.joined(separator: "\n      ")
    output.line("\(output.dim(String(time))) \(name): \(text)\(output.dim(note))")
  }

  // MARK: Writing and leaving

  private enum Input: Sendable {
    case line(String)
    case end
    case interrupt
    case delivered
  }

  private func untilLeaving() async {
    let (inputs, arrivals) = AsyncStream.makeStream(of: Input.self)
    var tasks = [
      Task {
        for await line in StandardInput.lines() { arrivals.yield(.line(line)) }
        arrivals.yield(.end)
      },
      Task { for await _ in Interruption.requests() { arrivals.yield(.interrupt) } },
    ]
    defer { for task in tasks { task.cancel() } }
    for await input in inputs {
      switch input {
      case .line(let text): await write(text)
      case .interrupt, .delivered: return
      case .end:
        if stay { continue }
        tasks.append(
          Task {
            await untilDelivered()
            arrivals.yield(.delivered)
          })
      }
    }
  }

  private func write(_ text: String) async {
    let text = text.trimmingCharacters(in: .whitespaces)
    guard !text.isEmpty else { return }
    if !output.json, await answer(text) { return }
    // The typed line gives way to the message that it becomes.
    if output.isTerminal, isatty(STDIN_FILENO) == 1 { output.write("\u{1b}[1A\u{1b}[2K") }
    do {
      let key = try await saga.writeMessage(text)
      if let message = await saga.message(key) { written = message.seq }
    } catch {
      output.problem(Problem.sentence(for: error))
    }
  }

  /// Answers a request to write: `/accept` or `/refuse`, with a name or the beginning of a key.
  ///
  /// - Returns: whether the line was such an answer, and so is no message.
  private func answer(_ line: String) async -> Bool {
    let words = line.split(separator: " ", maxSplits: 1)
    guard words.first == "/accept" || words.first == "/refuse" else { return false }
    let requests = await saga.requests
    let wanted = words.dropFirst().first.map(String.init) ?? ""
    let meant = requests.filter { user in
      wanted.isEmpty || user.username == wanted
        || user.key.hex.hasPrefix(wanted.lowercased().filter { $0 != " " })
    }
    guard let user = meant.first, meant.count == 1 else {
      output.problem(
        meant.isEmpty
          ? "nobody of that name or key waits for an answer"
          : "\(meant.count) wait for an answer; say which one by the beginning of the key")
      return true
    }
    if words.first == "/accept" {
      await saga.accept(user.key)
      note("\(SafeText.name(user.username)) may write")
    } else {
      await saga.refuse(user.key)
      note("\(SafeText.name(user.username)) is refused here; another writer may say yes")
    }
    return true
  }

  /// Standard input has ended: what was written gets its chance to reach a peer, and with nothing
  /// written what peers have gets its chance to be shown.
  private func untilDelivered() async {
    guard mayMeet else { return }
    let deadline = ContinuousClock.now + linger
    while ContinuousClock.now < deadline, !Task.isCancelled {
      if let written {
        if await saga.db.uploadedLength > written { return }
      } else if await saga.db.isSynced, await saga.isCaughtUp {
        return
      }
      try? await Task.sleep(for: .milliseconds(20))
    }
  }
}

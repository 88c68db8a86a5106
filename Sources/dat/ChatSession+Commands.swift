internal import DatCoding
internal import DatSwarm
internal import DatWeb
internal import Foundation
internal import HyperDB
internal import HypercoreCrypto
internal import Saga

// The commands with a slash.
extension ChatSession {
  /// - Returns: true to go on.
  func run(_ command: ChatLine.Command, _ argument: String) async -> Bool {
    switch command {
    case .who: await showPeople()
    case .key:
      output.line("\(output.bold("dat://\(saga.key.hex)"))")
      if let url = await page?.address?.url { output.line(output.bold(url)) }
    case .search: await search(argument)
    case .edit: await edit(argument)
    case .delete: await delete()
    case .accept, .refuse: await answer(command, argument)
    case .mute, .unmute: await mute(command, argument)
    case .help:
      for command in ChatLine.Command.allCases {
        let usage = "/\(command.rawValue)\(command.argument)"
        output.line(
          "  \(usage.padding(toLength: 18, withPad: " ", startingAt: 0)) \(command.meaning)")
      }
      output.line(output.dim("  A line that begins with // is sent, with one slash less."))
    case .leave: return false
    }
    return true
  }

  private func showPeople() async {
    output.line(
      "  \(output.name(screen.tag(saga.username, saga.db.localKey), of: saga.db.localKey.bytes)) (you)"
    )
    let here = people.here
    for user in here {
      let claim = user.isProven ? "" : output.dim(" (unproven)")
      output.line("  \(person(user.username, user.key)) is here\(claim)")
    }
    let present = Set(here.map(\.key) + [saga.db.localKey])
    let was = await saga.authors.filter { !present.contains($0.feed) }
      .sorted { ($1.messages, $0.feed.hex) < ($0.messages, $1.feed.hex) }
    for author in was.prefix(50) {
      let count = author.messages == 1 ? "1 message" : "\(author.messages) messages"
      output.line("  \(person(author.username, author.feed)) \(output.dim("wrote \(count)"))")
    }
    if was.count > 50 { output.line(output.dim("  and \(was.count - 50) others")) }
    for user in await saga.requests {
      output.line(
        "  \(person(user.username, user.key)) wants to write"
          + output.dim(ChatScreen.standing(user)))
    }
    for trouble in await swarm?.troubles ?? [] { screen.note("  \(trouble)") }
  }

  private func person(_ name: String, _ key: PublicKey) -> String {
    let muted = screen.muted.contains(key) ? ", muted" : ""
    return output.name(SafeText.name(name), of: key.bytes)
      + output.dim(" [\(ChatScreen.short(key))\(muted)]")
  }

  private func search(_ words: String) async {
    guard !words.isEmpty else { return output.problem("say what to look for: /search WORDS") }
    var found: [Message] = []
    for await message in saga.search(words, without: screen.muted) {
      found.append(message)
      if found.count == 20 { break }
    }
    if found.isEmpty { screen.note("nothing found") }
    for message in found.reversed() { screen.showFound(message) }
    if found.count == 20 { screen.note("the newest 20; more words find less") }
  }

  // MARK: The user's own newest message

  private func edit(_ text: String) async {
    guard !text.isEmpty else { return output.problem("say what it is to be: /edit TEXT") }
    await changeNewest { try await saga.edit($0, to: text) }
  }

  private func delete() async { await changeNewest { try await saga.delete($0) } }

  private func changeNewest(_ change: (Message.ID) async throws -> Void) async {
    guard let newest = await saga.latestMessage(of: saga.db.localKey) else {
      return output.problem("you have no message here yet")
    }
    do { try await change(newest.id) } catch { output.problem(Problem.sentence(for: error)) }
  }

  // MARK: People by name or key

  private func answer(_ command: ChatLine.Command, _ argument: String) async {
    var pool = await saga.requests.map { (name: $0.username, key: $0.key) }
    // By name or key also those that were refused before.
    if !argument.isEmpty {
      let asking = Set(pool.map(\.key))
      pool += knownPeople().filter { !asking.contains($0.key) }
    }
    guard let (name, key) = choose(argument, from: pool, "wait for an answer") else { return }
    if command == .accept {
      await saga.accept(key)
      screen.note("\(screen.tag(name, key)) may write")
    } else {
      await saga.refuse(key)
      screen.note("\(screen.tag(name, key)) is refused here; another writer may say yes")
    }
  }

  private func mute(_ command: ChatLine.Command, _ argument: String) async {
    guard !argument.isEmpty else { return output.problem("say who: /\(command.rawValue) NAME|KEY") }
    guard let (name, key) = choose(argument, from: knownPeople(), "are known here")
    else { return }
    await saga.setMuted(command == .mute, key)
    screen.note("\(screen.tag(name, key)) is \(command == .mute ? "muted here" : "shown again")")
  }

  private func knownPeople() -> [(name: String, key: PublicKey)] {
    people.known(muted: screen.muted)
  }

  /// Returns the person that a name or the beginning of a key means; without one the only person.
  private func choose(
    _ wanted: String, from people: [(name: String, key: PublicKey)], _ what: String
  ) -> (name: String, key: PublicKey)? {
    let typed = ForeignText(wanted)
    let digits = String(
      decoding: typed.asciiLowercased.utf8.filter { $0 != UInt8(ascii: " ") }, as: UTF8.self)
    let meant = people.filter { name, key in
      wanted.isEmpty || ForeignText(name) == typed || ForeignText(SafeText.name(name)) == typed
        || (digits.count >= 4 && key.hex.hasPrefix(digits))
    }
    if let one = meant.first, meant.count == 1 { return one }
    output.problem(
      meant.isEmpty
        ? "nobody of that name or key \(what == "wait for an answer" ? "waits for an answer" : "is known here")"
        : "\(meant.count) \(what); say which one by the beginning of the key")
    return nil
  }

  /// Returns the names that words can be completed to.
  func completionNames() async -> [String] {
    await saga.requests.map(\.username) + knownPeople().map(\.name)
  }
}

internal import DatFleet
internal import Hypercore
internal import HypercoreCrypto

/// The connections with other members, and the comparisons of lists on them.
struct FleetLinks {
  /// One of them.
  private struct Link {
    /// The name that the other program gives itself on its connections; random, and the same on all of them.
    let program: [UInt8]
    /// When the connection began.
    let since: UInt64
    var session: FleetSession
    /// Messages as bytes, which one task sends in their order.
    let outbox: AsyncStream<[UInt8]>.Continuation
    /// The bytes in the outbox.
    var queued = 0
    /// Digests that came while the outbox was not empty.
    var owed: [UInt64]?
    /// Entries that are to be sent.
    var entries: [PublicKey: FleetEntry] = [:]
  }

  private var links: [Int: Link] = [:]
  /// The messages of connections with which this host has not met yet.
  private var early: [Int: ExtensionMessages] = [:]
  /// When another host gave this one's name last.
  private var twinSeen: UInt64?
  private var pulls = FleetPulls()
  private var isCollecting = false

  // MARK: Beginning and end

  /// Keeps the messages of a connection from before its first byte.
  mutating func keep(_ messages: ExtensionMessages, of number: Int) { early[number] = messages }

  /// Removes the messages that were kept.
  @discardableResult
  mutating func removeMessages(of number: Int) -> ExtensionMessages? {
    early.removeValue(forKey: number)
  }

  /// Adds a connection.
  mutating func add(
    _ number: Int, program: [UInt8], session: FleetSession,
    outbox: AsyncStream<[UInt8]>.Continuation, now: UInt64
  ) {
    links[number] = Link(program: program, since: now, session: session, outbox: outbox)
  }

  /// Removes a connection that has ended.
  ///
  /// - Returns: true if lists are being compared on it: ``endPull()`` is to be called.
  mutating func remove(_ number: Int) -> Bool {
    links[number] = nil
    pulls.remove(number)
    return isPulling(from: number)
  }

  // MARK: Members

  func contains(_ number: Int) -> Bool { links[number] != nil }

  /// The names of the members that are connected.
  var members: Set<String> { Set(links.values.compactMap(\.session.member)) }

  /// The numbers of the connections with members.
  var numbers: [Int] { links.filter { $0.value.session.member != nil }.map(\.key) }

  /// Returns the number of a connection with a member.
  func number(with name: String) -> Int? {
    links.filter { $0.value.session.member == name }.map(\.key).min()
  }

  /// Notes that another host gives the name of this one.
  mutating func noteTwin(now: UInt64) { twinSeen = now }

  /// Returns the names that more than one program gives, and has given for a while: a program that was started again
  /// is no second one.
  func sharedNames(own: String, after seconds: UInt64, now: UInt64) -> [String] {
    var programs: [String: Set<[UInt8]>] = [:]
    for link in links.values where now - link.since >= seconds {
      if let member = link.session.member { programs[member, default: []].insert(link.program) }
    }
    if let twinSeen, now - twinSeen < 120 { programs[own] = [[0], [1]] }
    return programs.filter { $0.value.count > 1 }.keys.sorted()
  }

  // MARK: Messages

  /// Queues bytes to be sent.
  mutating func queue(_ bytes: [UInt8], on number: Int) {
    guard let link = links[number] else { return }
    links[number]?.queued += bytes.count
    link.outbox.yield(bytes)
  }

  /// Queues a message to be sent.
  mutating func send(_ message: FleetMessage, on number: Int) {
    guard let bytes = links[number]?.session.seal(message) else { return }
    queue(bytes, on: number)
  }

  /// Decodes bytes that came.
  mutating func receive(
    _ bytes: [UInt8], on number: Int
  ) throws(FleetSession.Refusal) -> [FleetSession.Event] {
    try links[number]?.session.receive(bytes) ?? []
  }

  /// Counts bytes as sent.
  ///
  /// - Returns: digests that can be answered now that the outbox is empty.
  mutating func sent(_ count: Int, on number: Int) -> [UInt64]? {
    guard let link = links[number] else { return nil }
    links[number]?.queued -= count
    guard link.queued == count, let digests = link.owed else { return nil }
    links[number]?.owed = nil
    return digests
  }

  /// Returns whether digests can be answered now. Otherwise they are kept until the outbox is empty: one answer at a
  /// time, so that a member that does not read is not sent more and more.
  mutating func mayAnswer(_ digests: [UInt64], on number: Int) -> Bool {
    if links[number]?.queued == 0 { return true }
    links[number]?.owed = digests
    return false
  }

  // MARK: Comparing lists

  /// Adds a member, by its connection, to those that are asked for what their lists have and this one lacks.
  mutating func queuePull(from number: Int) { pulls.add(number) }

  /// Begins the next comparison, if none is in flight.
  ///
  /// - Returns: the connection on which to ask.
  mutating func beginPull(now: UInt64) -> Int? {
    pulls.begin(now: now) { [links] in links[$0]?.session.member != nil }
  }

  /// Returns whether lists are being compared on a connection.
  func isPulling(from number: Int) -> Bool { pulls.current?.number == number }

  /// Returns whether a comparison has taken so long that it is given up.
  func isPullLate(now: UInt64) -> Bool { pulls.isLate(now: now) }

  /// Passes on to other members what was news to this host: at once or, if it is part of a comparison, at its end.
  ///
  /// - Returns: true if a time is to be set at which ``removeCollected()`` is called.
  mutating func passOn(_ news: [FleetEntry], from number: Int) -> Bool {
    pulls.add(news, from: number) ? false : collect(news, except: number)
  }

  /// Ends the comparison, and passes on what was news: entry by entry or, if that is much, by letting the other members
  /// compare lists themselves.
  ///
  /// - Returns: true if a time is to be set at which ``removeCollected()`` is called.
  mutating func endPull() -> Bool {
    guard let pull = pulls.end() else { return false }
    guard pull.isLarge else { return collect(pull.news, except: pull.number) }
    for number in numbers where number != pull.number { send(.changed, on: number) }
    return false
  }

  // MARK: Entries

  /// Adds entries to those that are sent to all members but one, a moment from now.
  ///
  /// - Returns: true if a time is to be set at which ``removeCollected()`` is called.
  mutating func collect(_ entries: [FleetEntry], except number: Int?) -> Bool {
    guard !entries.isEmpty else { return false }
    for (other, link) in links where link.session.member != nil && other != number {
      for entry in entries { links[other]?.entries[entry.key] = entry }
    }
    defer { isCollecting = true }
    return !isCollecting
  }

  /// Removes the entries that a member has just sent itself from those that are sent to it.
  mutating func removeKnown(_ entries: [FleetEntry], on number: Int) {
    for entry in entries {
      guard let own = links[number]?.entries[entry.key], own.stamp <= entry.stamp else { continue }
      links[number]?.entries[entry.key] = nil
    }
  }

  /// Returns the entries that are to be sent, by connection.
  mutating func removeCollected() -> [(number: Int, entries: [FleetEntry])] {
    isCollecting = false
    var all: [(number: Int, entries: [FleetEntry])] = []
    for (number, link) in links where !link.entries.isEmpty {
      links[number]?.entries = [:]
      all.append((number, Array(link.entries.values)))
    }
    return all
  }
}

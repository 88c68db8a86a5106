internal import DatFleet
internal import DatSwarm
internal import Hypercore
internal import HypercoreCrypto
internal import Logging

/// The part of a host in its fleet, at the edge: it asks the directory, talks to the other members, keeps the list of
/// keys, and lets its ``ReplicaHost`` hold what the plan says.
///
/// Only keys are queued, never the work on them: the plan is looked at when a key's turn comes. So what happened meanwhile
/// counts, and the order of events doesn't matter.
///
/// Of its 19 properties, eight are what it was opened with. The others are one for each of the things that it keeps
/// track of, beside three for its own life.
actor FleetHost {
  let options: ReplicaHost.FleetOptions
  let swarm: Swarm
  let logger: Logger
  let metrics = FleetMetrics()
  /// The feed, always empty, about which members connect.
  let feed: Feed
  let topic: DiscoveryKey
  let folder: ReplicaFolders
  private(set) weak var host: ReplicaHost?

  var keys: FleetKeys
  var plan: FleetPlan
  var contacts: FleetContacts
  var links = FleetLinks()
  var pulls = FleetPulls()
  var questions = FleetQuestions()
  var turns = KeyTurns()
  private var timer = FleetTimer()

  private var tasks: [Task<Void, Never>] = []
  private var isSaving = false
  private(set) var isClosed = false

  /// The host's own name, as the directory has it.
  var name: String { plan.name }
  /// The seconds since the host was opened, of a clock that only goes forward.
  var now: UInt64 { timer.now }

  /// Opens the files of a fleet.
  ///
  /// - Parameters:
  ///   - listed: the keys that the host had before it was a member. Those that the fleet does not know are added.
  static func open(
    _ options: ReplicaHost.FleetOptions, folder: ReplicaFolders, listed: [HostedKey], swarm: Swarm,
    logger: Logger
  ) async throws(HostError) -> FleetHost {
    guard let pair = options.secret.key.feed else {
      throw HostError(.malformedKey, "No feed can be derived from the fleet key.")
    }
    var store = FleetStore(folder: folder.path)
    let state = try store.readState()
    var (list, unreadable) = try store.openKeys()
    if unreadable > 0 {
      logger.warning(
        "\(unreadable) entries of the fleet's list of keys can't be read; other members send them again."
      )
    }
    let news = listed.filter { !list.knows($0.key) }.map {
      list.change($0.key, kind: $0.kind.fleetNumber)
    }
    try store.append(news, to: list)
    let feed: Feed
    do { feed = try await Feed.inMemory(options: Feed.Options(key: pair.publicKey)) } catch {
      throw HostError(.folder, "The fleet's feed can't be opened: \(error)")
    }
    let host = FleetHost(
      options, folder, FleetKeys(list, store), feed, pair.publicKey.discoveryKey, swarm, logger,
      state)
    await host.insertAll(state)
    return host
  }

  private init(
    _ options: ReplicaHost.FleetOptions, _ folder: ReplicaFolders, _ keys: FleetKeys, _ feed: Feed,
    _ topic: DiscoveryKey, _ swarm: Swarm, _ logger: Logger,
    _ state: FleetStore.State
  ) {
    self.options = options
    self.folder = folder
    self.keys = keys
    self.feed = feed
    self.topic = topic
    self.swarm = swarm
    self.logger = logger
    contacts = FleetContacts(addresses: state.members)
    plan = FleetPlan(
      name: options.directory.memberName(options.name), members: state.members.keys,
      options: options.plan)
  }

  private func insertAll(_ state: FleetStore.State) {
    let stored = folder.stored()
    for (publicKey, _) in keys.list.keys {
      let key = publicKey.discoveryKey
      let found: FleetPlan.Stored =
        !stored.contains(key) ? .nothing : state.kept[key].map { .kept(seconds: $0) } ?? .served
      _ = plan.insert(key, stored: found)
    }
    plan.restore(gone: state.gone, orphans: state.lost)
  }

  /// The keys that this host serves by the plan.
  var served: [HostedKey] {
    plan.heldKeys.compactMap { key in
      switch plan.stage(of: key) {
      case .owned, .leaving: keys[key]
      case .kept, .elsewhere: nil
      }
    }
  }

  /// Begins to talk to the other members.
  func start(_ host: ReplicaHost) async {
    self.host = host
    await swarm.join(topic, search: Swarm.Search(announces: false, origins: [])) {
      [weak self] peer in
      guard let self else { throw HostError(.closed, "The host is closing.") }
      return try await self.stream(for: peer)
    } meet: { [weak self] stream, peer in
      await self?.meet(stream, peer)
    }
    guard !isClosed else { return }
    tasks = [
      Task { [weak self] in
        while !Task.isCancelled {
          guard let pause = await self?.look() else { return }
          do { try await Task.sleep(for: pause) } catch { return }
        }
      },
      Task { [weak self, pause = options.compare] in
        while !Task.isCancelled {
          do { try await Task.sleep(for: pause) } catch { return }
          await self?.compareLists()
        }
      },
    ]
    await dial()
    for key in plan.heldKeys { followPlanSoon(for: key) }
    schedule()
  }

  // MARK: The directory

  /// Asks the directory once.
  ///
  /// - Returns: the time after which it is to be asked again.
  func look() async -> Duration {
    do throws(HostError) {
      let answer = try await options.directory.look()
      guard !isClosed else { return options.look }
      if contacts.trouble != nil { logger.info("The fleet's directory answers again.") }
      contacts.trouble = nil
      await handle(answer)
      guard let seconds = answer.seconds else { return options.look }
      return min(options.look, .seconds(max(seconds, 1)))
    } catch {
      // The members are those that it named last: a host that is down with it loses nothing.
      if contacts.trouble != error.reason {
        logger.warning("\(error.reason) The members stay as they are.")
      }
      contacts.trouble = error.reason
      return min(options.look, .seconds(5))
    }
  }

  private func handle(_ answer: FleetDirectory.Answer) async {
    let before = (plan.membership.names, contacts.addresses)
    contacts.add(answer.members)
    perform(plan.answer(members: Set(answer.members.keys), at: now))
    await membersChanged(from: before)
  }

  private func membersChanged(from before: (names: Set<String>, addresses: [String: PeerAddress]))
    async
  {
    let names = plan.membership.names
    contacts.keep(names)
    recordMembers()
    guard names != before.names || contacts.addresses != before.addresses else { return }
    if names != before.names {
      logger.info(
        "members of the fleet",
        metadata: ["members": "\(names.count)", "missing": "\(plan.membership.missing.count)"])
    }
    saveSoon()
    await dial()
    for key in plan.heldKeys { followPlanSoon(for: key) }
  }

  // MARK: Time

  /// Carries out steps of the plan.
  func perform(_ actions: [FleetPlan.Action]) {
    for action in actions {
      switch action {
      case .hold(let key): followPlanSoon(for: key)
      case .release(let key):
        metrics.countRelease()
        followPlanSoon(for: key)
        saveSoon()
      case .free(let key):
        turns.free(key)
        followPlanSoon(for: key)
        saveSoon()
      case .ask(let key, let hosts, let round):
        ask(FleetAsk(key: key, hosts: hosts, round: round))
      }
    }
    schedule()
  }

  private func step() async {
    timer.noteStep()
    let before = (plan.membership.names, contacts.addresses)
    let actions = plan.advance(to: now)
    for name in before.0.subtracting(plan.membership.names).sorted() {
      logger.warning(
        "A host is gone, and its keys are copied again.", metadata: ["host": "\(name)"])
    }
    perform(actions)
    await membersChanged(from: before)
  }

  /// Sets the timer for what the plan has to do next.
  private func schedule() {
    guard !isClosed, let deadline = plan.deadline else { return }
    timer.set(for: deadline) { pause in
      Task { [weak self] in
        do { try await Task.sleep(for: pause) } catch { return }
        await self?.step()
      }
    }
  }

  // MARK: Files

  /// Writes the state, a moment from now, so that many changes are one.
  func saveSoon() {
    guard !isSaving, !isClosed else { return }
    isSaving = true
    Task {
      try? await Task.sleep(for: .seconds(1))
      isSaving = false
      if !isClosed { save() }
    }
  }

  private func save() {
    var state = FleetStore.State()
    for name in plan.membership.names {
      state.members[name] =
        contacts.addresses[name] ?? PeerAddress(host: name, port: FleetDirectory.usualPort)
    }
    state.gone = plan.membership.gone
    state.kept = plan.kept
    state.lost = plan.orphans
    do throws(HostError) { try keys.write(state) } catch { logger.error("\(error.reason)") }
  }

  /// Frees the space of a key that the plan lets go of.
  func free(_ key: DiscoveryKey) {
    do throws(HostError) {
      try folder.free(key)
      metrics.countFreed()
      logger.info("freed", metadata: ["discoveryKey": "\(key)"])
    } catch { logger.error("\(error.reason)") }
  }

  /// Returns whether something of a key is in the folder.
  func isStored(_ key: DiscoveryKey) -> Bool { folder.isStored(key) }

  /// Compares the list with that of one member, and writes what changes with time.
  private func compareLists() {
    if let pull = pulls.current, now - pull.since > 120 { endPull() }
    if let number = links.numbers.randomElement() { queuePull(from: number) }
    if !plan.kept.isEmpty { saveSoon() }
  }

  /// Ends all connections with members.
  func close() async {
    guard !isClosed else { return }
    isClosed = true
    for task in tasks { task.cancel() }
    timer.cancel()
    save()
    await swarm.leave(topic)
    keys.close()
    try? await feed.close()
  }
}

extension HostedKind {
  /// The number of the kind in a fleet's list.
  var fleetNumber: UInt8 {
    switch self {
    case .unknown: 0
    case .room: 1
    case .database: 2
    case .feed: 3
    case .archive: 4
    }
  }

  /// Reads a number of a fleet's list. One of a later version counts as unknown.
  init(fleetNumber: UInt8) {
    self = Self.allCases.first { $0.fleetNumber == fleetNumber } ?? .unknown
  }
}

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
actor FleetHost {
  let options: ReplicaHost.FleetOptions
  let swarm: FleetSwarm
  let logger: Logger
  let metrics = FleetMetrics()
  private(set) weak var host: ReplicaHost?

  var keys: FleetKeys
  var plan: FleetPlan
  var contacts: FleetContacts
  var links = FleetLinks()
  var questions = FleetQuestions()
  var turns = KeyTurns()
  private var schedule = FleetSchedule()

  /// The host's own name, as the directory has it.
  var name: String { plan.name }
  /// The seconds since the host was opened, of a clock that only goes forward.
  var now: UInt64 { schedule.now }
  var isClosed: Bool { schedule.isClosed }

  /// Opens the files of a fleet.
  ///
  /// - Parameters:
  ///   - listed: the keys that the host had before it was a member. Those that the fleet does not know are added.
  static func open(
    _ options: ReplicaHost.FleetOptions, folder: ReplicaFolders, listed: [HostedKey], swarm: Swarm,
    logger: Logger
  ) async throws(HostError) -> FleetHost {
    let swarm = try await FleetSwarm.open(options.secret.key, in: swarm)
    let (keys, state, unreadable) = try FleetKeys.open(folder, listed: listed)
    if unreadable > 0 {
      logger.warning(
        "\(unreadable) entries of the fleet's list of keys can't be read; other members send them again."
      )
    }
    return FleetHost(options, keys, state, swarm, logger)
  }

  private init(
    _ options: ReplicaHost.FleetOptions, _ keys: FleetKeys, _ state: FleetStore.State,
    _ swarm: FleetSwarm, _ logger: Logger
  ) {
    self.options = options
    self.keys = keys
    self.swarm = swarm
    self.logger = logger
    contacts = FleetContacts(addresses: state.members)
    var plan = FleetPlan(
      name: options.directory.memberName(options.name), members: state.members.keys,
      options: options.plan)
    for (key, stored) in keys.stored(kept: state.kept) { _ = plan.insert(key, stored: stored) }
    plan.restore(gone: state.gone, orphans: state.lost)
    self.plan = plan
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
    await swarm.join { [weak self] peer in
      guard let self else { throw HostError(.closed, "The host is closing.") }
      return try await self.stream(for: peer)
    } meet: { [weak self] stream, peer in
      await self?.meet(stream, peer)
    }
    guard !isClosed else { return }
    schedule.add(
      Task { [weak self] in
        while !Task.isCancelled {
          guard let pause = await self?.look() else { return }
          do { try await Task.sleep(for: pause) } catch { return }
        }
      })
    schedule.add(
      Task { [weak self, pause = options.compare] in
        while !Task.isCancelled {
          do { try await Task.sleep(for: pause) } catch { return }
          await self?.compareLists()
        }
      })
    await dial()
    for key in plan.heldKeys { followPlanSoon(for: key) }
    scheduleStep()
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
    scheduleStep()
  }

  private func step() async {
    schedule.noteStep()
    let before = (plan.membership.names, contacts.addresses)
    let actions = plan.advance(to: now)
    for name in before.0.subtracting(plan.membership.names).sorted() {
      logger.warning(
        "A host is gone, and its keys are copied again.", metadata: ["host": "\(name)"])
    }
    perform(actions)
    await membersChanged(from: before)
  }

  /// Sets the time of what the plan has to do next.
  private func scheduleStep() {
    guard let deadline = plan.deadline else { return }
    schedule.setStep(for: deadline) { pause in
      Task { [weak self] in
        do { try await Task.sleep(for: pause) } catch { return }
        await self?.step()
      }
    }
  }

  // MARK: Files

  /// Writes the state, a moment from now, so that many changes are one.
  func saveSoon() {
    guard schedule.beginWaitingToSave() else { return }
    Task {
      try? await Task.sleep(for: .seconds(1))
      if schedule.endWaitingToSave() { save() }
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
      try keys.free(key)
      metrics.countFreed()
      logger.info("freed", metadata: ["discoveryKey": "\(key)"])
    } catch { logger.error("\(error.reason)") }
  }

  /// Compares the list with that of one member, and writes what changes with time.
  private func compareLists() {
    if links.isPullLate(now: now) { endPull() }
    if let number = links.numbers.randomElement() { queuePull(from: number) }
    if !plan.kept.isEmpty { saveSoon() }
  }

  /// Ends all connections with members.
  func close() async {
    guard schedule.close() else { return }
    save()
    await swarm.close()
    keys.close()
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

internal import DatFleet

/// What the hosts do: they look at the directory, fetch, let go and free.
extension FleetDay {
  /// Takes in who came, and whose grace is over.
  mutating func look() {
    let came = membership.answer(directory, at: now)
    let left = membership.advance(to: now)
    for name in left {
      guard let host = roll.knownNumber(of: name) else { continue }
      roll.remove(host)
      figures.leaves += 1
      for key in keys.indices where rankings[key].contains(host) {
        let isOwner = owners(of: key).contains(host)
        rankings[key].remove(host)
        // With fewer than the copies, others have to be found.
        if rankings[key].hosts.count < settings.copies {
          rankings[key] = FleetRanking(of: keys[key], copies: settings.copies + 2, in: roll)
          figures.searches += 1
        }
        guard isOwner else { continue }
        figures.movedByLeaves += 1
        settle(key)
      }
    }
    for name in came {
      let host = roll.insert(name)
      figures.comes += 1
      for key in keys.indices {
        let depth = rankings[key].hosts.count
        guard rankings[key].insert(host, keys[key], depth, roll),
          owners(of: key).contains(host)
        else { continue }
        figures.movedByComes += 1
        settle(key)
      }
    }
  }

  /// Lets owners that lack a key queue it, and others let go of it if all owners have it.
  mutating func settle(_ key: Int) {
    let owners = owners(of: key)
    for host in owners {
      guard let place = copies[key].firstIndex(where: { $0.host == host }) else {
        copies[key].append(Copy(host: host, state: .fetching))
        hosts[Int(host)].keys.append(Int32(key))
        hosts[Int(host)].queue.append(Int32(key))
        continue
      }
      if copies[key][place].state == .kept {
        copies[key][place].state = .complete
        if hosts[Int(host)].isUp { changeServed(Int32(key), by: 1) }
      }
    }
    guard isSettled(key, owners) else { return }
    for place in copies[key].indices.reversed() where !owners.contains(copies[key][place].host) {
      let copy = copies[key][place]
      guard hosts[Int(copy.host)].isUp else { continue }
      switch copy.state {
      case .kept: break
      case .fetching: copies[key].remove(at: place)
      case .complete:
        copies[key][place].state = .kept
        copies[key][place].until = now + settings.keep
        changeServed(Int32(key), by: -1)
        keptUntil.append((now + settings.keep, Int32(key)))
        figures.released += 1
      }
    }
  }

  /// Returns whether all owners are up and have all of a key, so that they can prove it.
  private func isSettled(_ key: Int, _ owners: [FleetID]) -> Bool {
    owners.count >= min(settings.copies, roll.present.count)
      && owners.allSatisfy { host in
        hosts[Int(host)].isUp
          && copies[key].contains { $0.host == host && $0.state == .complete }
      }
  }

  /// Lets each host fetch what its rate allows, from any that serves it.
  mutating func fetch() {
    for number in hosts.indices where hosts[number].isUp {
      guard hosts[number].head < hosts[number].queue.count else { continue }
      hosts[number].credit += settings.rate * Double(settings.step)
      var tries = hosts[number].queue.count - hosts[number].head
      while hosts[number].credit >= 1, tries > 0, hosts[number].head < hosts[number].queue.count {
        tries -= 1
        let key = hosts[number].queue[hosts[number].head]
        hosts[number].head += 1
        guard
          let place = copies[Int(key)].firstIndex(where: {
            $0.host == number && $0.state == .fetching
          })
        else { continue }
        guard served[Int(key)] > 0 else {
          // Nobody serves it for now. One that kept it does so again, once an owner lacks it.
          serveKept(Int(key))
          hosts[number].queue.append(key)
          continue
        }
        hosts[number].credit -= 1
        copies[Int(key)][place].state = .complete
        changeServed(key, by: 1)
        changeComplete(key, by: 1)
        figures.fetched += 1
        settle(Int(key))
      }
      compact(number)
    }
  }

  private mutating func serveKept(_ key: Int) {
    for place in copies[key].indices where copies[key][place].state == .kept {
      guard hosts[Int(copies[key][place].host)].isUp else { continue }
      copies[key][place].state = .complete
      changeServed(Int32(key), by: 1)
      figures.servedAgain += 1
    }
  }

  private mutating func compact(_ number: Int) {
    if hosts[number].head == hosts[number].queue.count {
      hosts[number].queue = []
      hosts[number].head = 0
      hosts[number].credit = min(hosts[number].credit, settings.rate)
    }
  }

  /// Frees what was kept for long enough, where all owners have it.
  mutating func free() {
    while keptHead < keptUntil.count, keptUntil[keptHead].until <= now {
      let key = Int(keptUntil[keptHead].key)
      keptHead += 1
      guard
        let place = copies[key].firstIndex(where: { $0.state == .kept && $0.until <= now })
      else { continue }
      guard isSettled(key, owners(of: key)), hosts[Int(copies[key][place].host)].isUp else {
        keptUntil.append((now + 600, Int32(key)))
        continue
      }
      copies[key].remove(at: place)
      changeComplete(Int32(key), by: -1)
      figures.freed += 1
      if complete[key] < settings.copies { figures.faults += 1 }
    }
  }
}

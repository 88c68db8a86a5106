internal import DatFleet
internal import Hypercore
internal import HypercoreCrypto
internal import Logging

/// A question of the plan about a key.
struct FleetAsk: Hashable {
  let key: DiscoveryKey
  let hosts: [String]
  let round: UInt64
}

/// A question that was sent.
struct FleetPending {
  let key: DiscoveryKey
  let host: String
  let round: UInt64
  /// The only right answer of a host that has the blocks.
  let proof: [UInt8]
  let link: Int
}

/// Questions to other members whether they have all of a key, and answers to theirs.
extension FleetHost {
  /// The most questions without answers; more make the oldest ones void, and the plan asks again.
  private static let maximumPending = 8192
  /// The most questions that wait for a connection with one member.
  private static let maximumWaiting = 256

  /// Asks, one question after the other: each reads blocks from the disk.
  func ask(_ ask: FleetAsk) {
    asks.append(ask)
    guard !isAsking else { return }
    isAsking = true
    Task {
      while !asks.isEmpty, !isClosed { await send(asks.removeFirst()) }
      isAsking = false
    }
  }

  private func send(_ ask: FleetAsk) async {
    guard let key = hosted(ask.key), let host else { return }
    let (linked, others) = partition(ask)
    for name in others {
      needed[name] = now
      if waiting[name, default: []].count < Self.maximumWaiting {
        waiting[name, default: []].append(
          FleetAsk(key: ask.key, hosts: [name], round: ask.round))
      }
    }
    if others.contains(where: { dialled[$0] == nil }) { await dial() }
    // If the blocks can't be read here, nobody is asked, and nothing is let go of.
    guard !linked.isEmpty, let sample = await host.sample(of: key) else { return }
    if questions.count >= Self.maximumPending { questions = [:] }
    for (name, number) in linked where links[number] != nil {
      lastQuestion &+= 1
      let question = FleetQuestion(
        id: lastQuestion, key: ask.key, nonce: randomBytes(32), feeds: sample.feeds,
        blocks: sample.blocks)
      questions[question.id] = FleetPending(
        key: ask.key, host: name, round: ask.round, proof: question.proof(of: sample.bytes),
        link: number)
      metrics.countQuestion()
      send(.question(question), on: number)
    }
  }

  private func partition(_ ask: FleetAsk) -> (linked: [(String, Int)], others: [String]) {
    var (linked, others) = ([(String, Int)](), [String]())
    for name in ask.hosts {
      if let number = link(with: name) {
        linked.append((name, number))
      } else {
        others.append(name)
      }
    }
    return (linked, others)
  }

  /// Takes an answer.
  func take(_ answer: FleetAnswer, _ id: UInt32, on number: Int) {
    // Only the one that was asked can answer.
    guard let pending = questions[id], pending.link == number else { return }
    questions[id] = nil
    let checked: FleetPlan.Answer
    switch answer {
    case .unknown: checked = .unknown
    case .incomplete: checked = .incomplete
    case .proved(let proof) where KeyedHash.isSame(proof, pending.proof):
      metrics.countProof(isTrue: true)
      checked = .proved
    case .proved:
      metrics.countProof(isTrue: false)
      logger.warning(
        "A host claims to have a key, and could not prove the blocks that it was asked for: nothing is let go of.",
        metadata: ["host": "\(pending.host)", "discoveryKey": "\(pending.key)"])
      checked = .unknown
    }
    perform(
      plan.answer(checked, of: pending.key, by: pending.host, round: pending.round, at: now))
  }

  /// Answers a question of another member.
  func reply(to question: FleetQuestion) async -> FleetAnswer {
    guard plan.mayProve(question.key), let key = hosted(question.key), let host else {
      return .unknown
    }
    return await host.answer(question, about: key)
  }
}

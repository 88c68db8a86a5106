internal import DatFleet
internal import Hypercore
internal import HypercoreCrypto
internal import Logging

/// Questions to other members whether they have all of a key, and answers to theirs.
extension FleetHost {
  /// Asks, one question after the other: each reads blocks from the disk.
  func ask(_ ask: FleetAsk) {
    guard questions.add(ask) else { return }
    Task {
      while !isClosed, let next = questions.next() { await send(next) }
      questions.endSending()
    }
  }

  private func send(_ ask: FleetAsk) async {
    guard let key = keys[ask.key], let host else { return }
    let (linked, others) = partition(ask)
    for name in others { questions.wait(ask, for: name) }
    if contacts.need(others, now: now) { await dial() }
    // If the blocks can't be read here, no host is asked, and nothing is let go of.
    guard !linked.isEmpty, let sample = await host.sample(of: key) else { return }
    questions.trim()
    for (name, number) in linked where links.contains(number) {
      let question = FleetQuestion(
        id: questions.nextID(), key: ask.key, nonce: randomBytes(32), feeds: sample.feeds,
        blocks: sample.blocks)
      questions.note(
        FleetQuestions.Sent(
          key: ask.key, host: name, round: ask.round, proof: question.proof(of: sample.bytes),
          link: number),
        id: question.id)
      metrics.countQuestion()
      links.send(.question(question), on: number)
    }
  }

  private func partition(_ ask: FleetAsk) -> (linked: [(String, Int)], others: [String]) {
    var (linked, others) = ([(String, Int)](), [String]())
    for name in ask.hosts {
      if let number = links.number(with: name) {
        linked.append((name, number))
      } else {
        others.append(name)
      }
    }
    return (linked, others)
  }

  /// Hands an answer to the plan, once it is compared with the blocks that are here.
  func handle(_ answer: FleetAnswer, _ id: UInt32, on number: Int) {
    guard let question = questions.answered(id, on: number) else { return }
    let checked: FleetPlan.Answer
    switch answer {
    case .unknown: checked = .unknown
    case .incomplete: checked = .incomplete
    case .proved(let proof) where KeyedHash.isSame(proof, question.proof):
      metrics.countProof(isTrue: true)
      checked = .proved
    case .proved:
      metrics.countProof(isTrue: false)
      logger.warning(
        "A host claims to have a key, and could not prove the blocks that it was asked for: nothing is let go of.",
        metadata: ["host": "\(question.host)", "discoveryKey": "\(question.key)"])
      checked = .unknown
    }
    perform(
      plan.answer(checked, of: question.key, by: question.host, round: question.round, at: now))
  }

  /// Answers a question of another member.
  func reply(to question: FleetQuestion) async -> FleetAnswer {
    guard plan.mayProve(question.key), let key = keys[question.key], let host else {
      return .unknown
    }
    return await host.answer(question, about: key)
  }
}

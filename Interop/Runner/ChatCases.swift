import DatTesting

/// Rooms with members of Node and of Swift: who made the room, who called whom, apart and together.
struct ChatCases {
  let node: NodePeer.Place
  let isWorkshop: Bool

  private func end(_ side: Side) async throws -> any ChatEnd {
    switch side {
    case .node: try await NodeChat(node, isWorkshop: isWorkshop)
    case .swift: SwiftChat()
    }
  }

  private func expect(_ ana: any ChatEnd, _ bea: any ChatEnd, _ texts: Set<String>) async throws {
    try await expect(ana, "ana", texts)
    try await expect(bea, "bea", texts)
  }

  private func presence(
    _ ana: any ChatEnd, _ bea: any ChatEnd, _ what: String,
    _ holds: ((joins: Int, leaves: Int)) -> Bool
  ) async throws {
    do {
      try await eventually("both to see the other \(what)") {
        let ofBea = try await ana.presence(of: "bea")
        let ofAna = try await bea.presence(of: "ana")
        return holds(ofBea) && holds(ofAna)
      }
    } catch {
      let seen = (try await ana.presence(of: "bea"), try await bea.presence(of: "ana"))
      throw Failure("\(error); ana saw bea \(seen.0), bea saw ana \(seen.1)")
    }
  }

  private func expect(_ end: any ChatEnd, _ name: String, _ texts: Set<String>) async throws {
    try await eventually("\(name) to see \(texts.count) messages") {
      try await Set(end.texts()).isSuperset(of: texts)
    }
    let seen = try await end.texts()
    try require(seen.count == Set(seen).count, "\(name) was told a message twice")
  }

  /// `maker` makes a room and writes, `joiner` joins with the key; both write, part, write, meet again.
  func run(maker: Side, joiner: Side, makerCalls: Bool) async throws -> String {
    let folders = (try TemporaryFolder(), try TemporaryFolder())
    let ana = try await end(maker)
    let bea = try await end(joiner)
    let (key, _) = try await ana.open(folder: folders.0.path, key: nil, name: "ana")
    var texts: Set = ["made by ana", "läuft ✓ 走る"]
    for text in texts { try await ana.write(text) }
    _ = try await bea.open(folder: folders.1.path, key: key, name: "bea")
    let (caller, called) = makerCalls ? (ana, bea) : (bea, ana)
    let port = try await called.listen()
    try await caller.connect(port)
    try await expect(bea, "bea", texts)
    for round in 1...2 {
      try await presence(ana, bea, "join, round \(round)") { $0.joins == round }
      for number in 0..<5 {
        for (end, name) in [(ana, "ana"), (bea, "bea")] {
          let text = "\(name) \(round).\(number)"
          try await end.write(text)
          texts.insert(text)
          // The workshop's class shows only one side's messages where both wrote at the same time.
          if isWorkshop { try await expect(ana, bea, texts) }
        }
      }
      try await expect(ana, bea, texts)
      try await caller.disconnect()
      try await called.disconnect()
      try await presence(ana, bea, "leave, round \(round)") { $0.leaves == round }
      if round == 1 {
        // Apart they go on writing; then they meet again.
        for (end, name) in [(ana, "ana"), (bea, "bea")] where end is SwiftChat || !isWorkshop {
          for number in 0..<3 {
            let text = "\(name) apart \(number)"
            try await end.write(text)
            texts.insert(text)
          }
        }
        try await caller.connect(port)
      }
    }
    try await ana.close()
    try await bea.close()
    // Each folder once more, by the other side.
    for (folder, side) in [(folders.0, maker), (folders.1, joiner)] {
      let other = try await end(side.other)
      _ = try await other.open(folder: folder.path, key: nil, name: "cai")
      try await expect(other, "\(side.other) in the folder of \(side)", texts)
      try await other.close()
    }
    return "\(texts.count) messages, 2 connections"
  }
}

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
      try await eventually("both to see the other join, round \(round)") {
        let joins = (
          try await ana.presence(of: "bea").joins, try await bea.presence(of: "ana").joins
        )
        return joins == (round, round)
      }
      for number in 0..<5 {
        for (end, name) in [(ana, "ana"), (bea, "bea")] {
          let text = "\(name) \(round).\(number)"
          try await end.write(text)
          texts.insert(text)
        }
      }
      try await expect(ana, "ana", texts)
      try await expect(bea, "bea", texts)
      try await caller.disconnect()
      try await called.disconnect()
      try await eventually("both to see the other leave, round \(round)") {
        let leaves = (
          try await ana.presence(of: "bea").leaves, try await bea.presence(of: "ana").leaves
        )
        print("leaves", leaves, round); return leaves == (round, round)
      }
      if round == 1 {
        // Apart both go on writing; then they meet again.
        for (end, name) in [(ana, "ana"), (bea, "bea")] {
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

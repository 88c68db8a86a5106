internal import DatCoding
internal import DatTesting
internal import Foundation
internal import HypercoreCrypto
internal import HyperDB

extension Attack {
  /// Attacks by authorized users on what others write next.
  static let heads: [Attack] = [
    room(43, "10 heads with 1.5 MB of pointers each", memory: 128 << 20) { scene in
      let writers = try await (0..<10).asyncMap { _ in
        let evil = try EvilWriter(scene.key)
        try await evil.join(scene.victim.port)
        try await evil.say("before")
        return evil
      }
      try await scene.checkHonest("among writers")
      for (number, evil) in writers.enumerated() {
        for entry in 0..<200 { try await evil.append("messages/small/\(number)/\(entry)", [1]) }
        for entry in 0..<3 {
          let key = "messages/large/\(number)/\(entry)"
          let trie = costlyTrie(key)
          try await evil.append(key, [1]) { $0.trie = trie }
        }
        try await evil.say("after \(number)")
        try await scene.said("the last of writer \(number)", "after \(number)")
      }
      await scene.victim.settle()
      let before = scene.victim.cpu()
      for number in 0..<3 { try await scene.checkHonest("on costly heads, \(number)") }
      if let before, let now = scene.victim.cpu() {
        // Reading and writing six messages: without a budget, seconds for each put.
        try require(now - before < 10, "six messages took \(now - before) s of computing")
      }
    },
    room(45, "253 keys that nobody writes in one entry") { scene in
      let evil = try EvilWriter(scene.key)
      try await evil.join(scene.victim.port)
      try await evil.say("sound before")
      try await scene.said("a sound message", "sound before")
      let seq = await evil.nextSeq
      let list = evil.list + (0..<253).map { _ in KeyPair.generate().publicKey.bytes }
      try await evil.append("messages/junk", [1]) {
        $0.inflate = seq
        $0.feeds = list
        $0.clock = [0, seq + 1]
      }
      try await evil.say("sound after")
      try await scene.said("a sound message", "sound after")
      try await scene.checkHonest("with keys that nobody writes")
      // Newcomers are authorized, and everybody reads them.
      for number in 0..<3 {
        let newcomer = try EvilWriter(scene.key)
        try await newcomer.join(scene.victim.port)
        try await newcomer.say("newcomer \(number)")
        try await scene.said("a newcomer's message", "newcomer \(number)")
        try await scene.honestHears("newcomer \(number)")
      }
      try require(await scene.feedCount() < 10, "keys that nobody writes have places")
      let names = FileManager.default.enumerator(atPath: scene.folder.path)?.allObjects.count ?? 0
      try require(names < 200, "\(names) files and folders for feeds without a block")
    },
  ]

  /// A trie of some 400,000 bytes: in each slot as many pointers as are followed without a further check.
  private static func costlyTrie(_ key: String) -> [UInt8] {
    let path = PathHash.standard.path(of: Array(key.utf8), terminated: true)
    var trie: [UInt8] = []
    for index in 0..<96 where index < path.count - 1 {
      let digits = (UInt8(0)..<4).filter { $0 != path.digit(index) }
      Varint.write(UInt64(index), to: &trie)
      Varint.write(digits.reduce(0) { $0 | 1 << UInt64($1) }, to: &trie)
      for _ in digits {
        for number in 0..<500 {
          Varint.write(number < 499 ? 3 : 2, to: &trie)
          Varint.write(UInt64(2 + number * 7 % 190), to: &trie)
        }
      }
    }
    return trie
  }
}

extension Range<Int> {
  fileprivate func asyncMap<Value>(_ body: (Int) async throws -> Value) async rethrows -> [Value] {
    var values: [Value] = []
    for number in self { values.append(try await body(number)) }
    return values
  }
}

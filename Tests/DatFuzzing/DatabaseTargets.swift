internal import HyperDB
internal import HypercoreCrypto

private func key(_ number: UInt8) -> PublicKey {
  guard let key = PublicKey(bytes: [UInt8](repeating: number, count: 32)) else {
    fatalError("32 bytes are a key")
  }
  return key
}

extension FuzzTarget {
  static func entry(_ bytes: [UInt8]) {
    let codec = EntryMessageCodec()
    _ = codec.headerProtocol(bytes)
    for inflated in [false, true] {
      guard let message = codec.decode(bytes, inflated: inflated) else { continue }
      let again = codec.decode(codec.encode(message), inflated: inflated)
      hold(again == message, "an entry is not the same once written: \(message), \(again as Any)")
    }
  }

  static func trie(_ bytes: [UInt8]) {
    let count = Int(bytes.first ?? 0) % 8
    let map = (0..<count).map { $0 == 5 ? -1 : $0 }
    var scratch = TrieCoding.Scratch()
    let owner = FeedSequence(feed: 0, seq: 100)
    guard
      let trie = try? TrieCoding.decode(
        Array(bytes.dropFirst()), decodeMap: map, owner: owner, scratch: &scratch)
    else { return }
    let encoded = TrieCoding.encode(trie, encodeMap: map)
    let again = try? TrieCoding.decode(encoded, decodeMap: map, owner: owner, scratch: &scratch)
    hold(again == trie, "a trie is not the same once written")
  }

  /// The blocks of each database's owner: two entries, and authorizations of the writers of keys 2 and
  /// 3.
  private static let ownersBlocks: [[UInt8]?] = {
    do {
      let owner = MemoryLog(key: key(1), isWritable: true)
      let core = try DatabaseCore(source: owner, local: nil) {
        MemoryLog(key: $0, isWritable: false, blocks: [EntryMessageCodec.header])
      }
      try core.put(Array("shared".utf8), [1])
      try core.put(Array("folder/owner".utf8), [2])
      for number in UInt8(2)...3 { try core.authorize(key(number).bytes) }
      return owner.blocks
    } catch {
      fatalError("the owner can't write: \(error)")
    }
  }()

  /// Makes a database of an owner and two writers whose blocks the input determines.
  private static func database(
    from input: inout FuzzInput
  ) throws -> (core: DatabaseCore, written: [UInt8]) {
    let owner = MemoryLog(key: key(1), isWritable: true, blocks: ownersBlocks)
    let evil = [UInt8(2), 3].map {
      MemoryLog(key: key($0), isWritable: false, blocks: [EntryMessageCodec.header])
    }
    let list = [owner.key.bytes] + evil.map(\.key.bytes)
    let codec = EntryMessageCodec()
    var count = 0
    while !input.isAtEnd, count < 32 {
      count += 1
      let kind = input.byte()
      let writer = Int(kind & 1)
      if kind & 2 != 0 {
        evil[writer].blocks.append(input.chunk())
        continue
      }
      let seq = evil[writer].blocks.count
      let names = ["shared", "folder/owner", "folder", "k", "folder/x", ""]
      var message = EntryMessage(key: Array(names[input.choice(names.count)].utf8), value: [0xee])
      message.clock = [0, 0, 0]
      message.clock[writer + 1] = UInt64(seq) + 1
      message.inflate = 1
      if seq == 1 { message.feeds = list }
      if kind & 4 != 0 { message.trie = input.chunk() }
      if kind & 8 != 0 { message.clock[input.choice(3)] = input.number() }
      if kind & 16 != 0 { message.deleted = true }
      if kind & 32 != 0 {
        message.inflate = input.number()
        message.feeds = list + [input.chunk()]
      }
      if kind & 64 != 0 { message.key = input.chunk() }
      evil[writer].blocks.append(codec.encode(message))
    }
    let core = try DatabaseCore(source: owner, local: nil) { name in
      evil.first { $0.key == name } ?? MemoryLog(key: name, isWritable: false)
    }
    return (core, owner.key.bytes)
  }

  static func database(_ bytes: [UInt8]) {
    var input = FuzzInput(bytes)
    // The kind of read: one for each input, so that many inputs can be tried.
    let flags = input.byte()
    do {
      let (core, _) = try database(from: &input)
      if let snapshot = try? core.snapshot(flags & 1 == 0 ? .latest : .local) {
        switch flags >> 1 & 3 {
        case 0:
          for name in ["shared", "folder/owner", "k", ""] {
            _ = try? core.get(
              Array(name.utf8), GetOptions(isPrefix: flags & 8 != 0, raw: flags & 16 != 0),
              in: snapshot)
          }
        case 1:
          let options = ListOptions(recursive: flags & 8 != 0, raw: flags & 16 != 0)
          walk(core.list([], options, in: snapshot).next)
        case 2: walk(core.history(reverse: flags & 8 != 0, in: snapshot).next)
        default:
          if let old = try? core.checkout(core.version(of: snapshot)) {
            walk(core.diff(old, snapshot).next)
          }
        }
      }
      let written = try core.put(Array("after".utf8), [3])
      hold(written.value == [3], "an entry of ours has another value")
      let local = try core.snapshot(.local)
      hold(
        try core.get(Array("after".utf8), in: local).contains { $0.value == [3] },
        "what was written is not there")
    } catch let error as HyperDBError {
      hold(error.code == .tooManySteps, "the owner can't write: \(error.reason)")
    } catch {
      fatalError("the owner can't write: \(error)")
    }
  }

  /// Walks a sequence to its end, past branches that are left out.
  private static func walk<Element>(_ next: () throws -> Element?) {
    var left = 10_000
    var failures = 0
    while left > 0, failures < 8 {
      left -= 1
      do { if try next() == nil { return } } catch { failures += 1 }
    }
    hold(left > 0, "a walk that doesn't end")
  }

  static func version(_ bytes: [UInt8]) {
    var input = FuzzInput([])
    guard let (core, key) = try? database(from: &input) else {
      fatalError("a database without hostile writers can't be made")
    }
    for version in [bytes, key + bytes] {
      guard let snapshot = try? core.checkout(version) else { continue }
      _ = try? core.get(Array("shared".utf8), in: snapshot)
      let named = core.version(of: snapshot)
      hold((try? core.checkout(named)) != nil, "a version of ours is none")
    }
  }
}

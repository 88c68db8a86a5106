internal import DatCoding
internal import DatTesting
internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol
internal import RandomAccessStorage

/// A small feed with its writer's answers, made once.
private struct SampleFeed {
  static let shared = SampleFeed()
  static let names = ["key", "secret_key", "tree", "signatures", "bitfield", "data"]

  let pair: KeyPair
  let blocks: [[UInt8]]
  /// For each block the answer to a request with digest 0.
  let answers: [DataMessage]
  /// For each block only its hash.
  let hashes: [DataMessage]
  /// The bytes of each of ``names``.
  let files: [[UInt8]]

  private init() {
    do {
      guard let pair = KeyPair(seed: [UInt8](repeating: 7, count: 32)) else {
        fatalError("32 bytes are a seed")
      }
      let storage = MemoryStorage()
      let core = try FeedCore.open(in: storage, options: FeedOptions(keyPair: pair))
      let blocks = (0..<11).map { [UInt8](repeating: UInt8($0), count: $0 * 3) }
      try core.append(Array(blocks[..<5]))
      for block in blocks[5...] { try core.append([block]) }
      var answers: [DataMessage] = []
      var hashes: [DataMessage] = []
      for (index, block) in blocks.enumerated() {
        let proof = try core.proof(UInt64(index), digest: 0)
        answers.append(
          DataMessage(
            index: UInt64(index), value: block, nodes: proof.nodes, signature: proof.signature))
        let hash = try core.proof(UInt64(index), digest: 0, hash: true)
        hashes.append(
          DataMessage(index: UInt64(index), nodes: hash.nodes, signature: hash.signature))
      }
      try core.close()
      self.pair = pair
      self.blocks = blocks
      self.answers = answers
      self.hashes = hashes
      files = try Self.names.map { name in
        let file = try storage.storage(named: name)
        var bytes = [UInt8](repeating: 0, count: Int(try file.length()))
        _ = try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
        return bytes
      }
    } catch {
      fatalError("the sample feed can't be made: \(error)")
    }
  }

  /// Returns an empty replica.
  func replica() -> FeedCore {
    do {
      return try FeedCore.open(in: MemoryStorage(), options: FeedOptions(key: pair.publicKey))
    } catch {
      fatalError("an empty replica can't be made: \(error)")
    }
  }

  /// Checks that a replica holds only the writer's own blocks.
  func check(_ core: FeedCore) {
    hold(core.length <= UInt64(blocks.count), "a length that nobody signed")
    for (index, block) in blocks.enumerated() where core.has(UInt64(index)) {
      hold((try? core.block(at: UInt64(index))) == block, "block \(index) is forged")
    }
    hold(!core.has(UInt64(blocks.count)), "a block that is none")
  }

  /// Returns a right answer, changed in the places that the input selects.
  func answer(from input: inout FuzzInput) -> DataMessage {
    let source = input.byte()
    var data = (source & 128 == 0 ? answers : hashes)[Int(source & 127) % blocks.count]
    for _ in 0..<input.choice(4) {
      switch input.choice(12) {
      case 0: data.index = input.number()
      case 1: data.value = input.chunk()
      case 2: data.value = nil
      case 3: data.signature = nil
      case 4: data.signature = answers[input.choice(answers.count)].signature
      case 5: if !data.nodes.isEmpty { data.nodes.remove(at: input.choice(data.nodes.count)) }
      case 6:
        if !data.nodes.isEmpty { data.nodes[input.choice(data.nodes.count)].index = input.number() }
      case 7:
        if !data.nodes.isEmpty { data.nodes[input.choice(data.nodes.count)].size = input.number() }
      case 8:
        if !data.nodes.isEmpty {
          data.nodes[input.choice(data.nodes.count)].hash = TreeHash.leaf(input.take(3))
        }
      case 9:
        let other = answers[input.choice(answers.count)].nodes
        if !other.isEmpty { data.nodes.append(other[input.choice(other.count)]) }
      case 10:
        if !data.nodes.isEmpty {
          data.nodes.swapAt(input.choice(data.nodes.count), input.choice(data.nodes.count))
        }
      default: data.nodes.insert(contentsOf: answers[input.choice(answers.count)].nodes, at: 0)
      }
    }
    data.index = min(data.index, Varint.maximum)
    for place in data.nodes.indices {
      data.nodes[place].index = min(data.nodes[place].index, Varint.maximum)
      data.nodes[place].size = min(data.nodes[place].size, Varint.maximum)
    }
    return data
  }
}

extension FuzzTarget {
  static func proof(_ bytes: [UInt8]) {
    let sample = SampleFeed.shared
    let core = sample.replica()
    var input = FuzzInput(bytes)
    while !input.isAtEnd {
      var data = sample.answer(from: &input)
      if input.byte() & 7 == 0 {
        let body = input.chunk()
        guard
          case .data(let other)? = body.withUnsafeBytes({ MessageDecoder().message(.data, $0) })
        else { continue }
        data = other
      }
      let before = core.length
      do throws(FeedError) {
        let result = try core.put(
          data.index, value: data.value, nodes: data.nodes, signature: data.signature)
        if result.outcome == .stored { hold(core.has(data.index), "a stored block is not there") }
      } catch {
        hold(core.length == before, "what was refused changed the length")
        hold(error.code != .storage, "a peer's proof made the storage fail: \(error.reason)")
      }
      sample.check(core)
    }
    if let audit = try? core.audit() { hold(audit.invalid == 0, "a block is not what was signed") }
  }

  static func files(_ bytes: [UInt8]) {
    let sample = SampleFeed.shared
    var input = FuzzInput(bytes)
    let flags = input.byte()
    var files = sample.files
    if flags & 1 == 0 {
      // The files, changed in places.
      while !input.isAtEnd {
        let file = input.choice(files.count)
        let place = Int(input.byte()) << 8 | Int(input.byte())
        switch input.choice(4) {
        case 0: files[file] = Array(files[file].prefix(place))
        case 1: files[file] += input.chunk()
        default:
          for (offset, byte) in input.chunk().enumerated() where place + offset < files[file].count
          {
            files[file][place + offset] = byte
          }
        }
      }
    } else {
      for file in files.indices { files[file] = input.chunk() }
    }
    open(files, owned: flags & 2 == 0, staticFeed: flags & 4 != 0)
  }

  static func bitfield(_ bytes: [UInt8]) {
    var files = SampleFeed.shared.files
    files[4] = Array(files[4].prefix(32)) + bytes
    open(files, owned: bytes.first.map { $0 & 1 == 0 } ?? true, staticFeed: false)
  }

  /// Opens a feed from the bytes of its files and uses it as an application does.
  private static func open(_ files: [[UInt8]], owned: Bool, staticFeed: Bool) {
    let storage = MemoryStorage()
    do {
      for (name, file) in zip(SampleFeed.names, files) where name != "secret_key" || owned {
        try storage.storage(named: name).write([StorageWrite(offset: 0, bytes: file)])
      }
    } catch {
      fatalError("memory can't be written: \(error)")
    }
    guard
      let core = try? FeedCore.open(
        in: storage, options: FeedOptions(createIfMissing: false, isLive: !staticFeed))
    else { return }
    let end = min(core.length, 64)
    for index in 0..<max(end, 1) {
      _ = try? core.block(at: index)
      _ = try? core.proof(index, digest: 0)
      _ = core.digest(index)
    }
    _ = try? core.blocks(in: 0..<end)
    _ = try? core.audit()
    _ = try? core.seek(toByte: core.byteLength / 2)
    let bits = core.haveBitfield(from: 0, length: 8192)
    hold((try? BitfieldRLE.decode(bits, limit: 1024)) != nil, "a Have of ours can't be read")
    _ = core.nextMissing(from: 0, below: core.length)
    _ = core.lastStored(below: core.length)
    _ = try? core.clear(1..<3)
    let length = core.length
    if core.isWritable, (try? core.append([[1, 2, 3]])) != nil {
      hold(core.length == length + 1, "an append that changed the length by more than one")
      hold((try? core.block(at: length)) == [1, 2, 3], "an appended block reads differently")
    }
    try? core.close()
  }

  static func session(_ bytes: [UInt8]) {
    let sample = SampleFeed.shared
    var input = FuzzInput(bytes)
    let flags = input.byte()
    let core: FeedCore
    if flags & 1 == 0 {
      core = sample.replica()
    } else {
      // The writer itself, with all features.
      let storage = MemoryStorage()
      do {
        for (name, file) in zip(SampleFeed.names, sample.files) {
          try storage.storage(named: name).write([StorageWrite(offset: 0, bytes: file)])
        }
        core = try FeedCore.open(in: storage)
      } catch {
        fatalError("the sample feed can't be opened: \(error)")
      }
    }
    let replicator = Replicator(
      core: core, isSparse: flags & 2 != 0, random: SeededRandom(seed: 1))
    var now = ContinuousClock.now
    guard let nonce = Nonce(bytes: [UInt8](repeating: 3, count: 24)) else { return }
    var options = Connection.Options(id: [1], nonce: nonce)
    options.isEncrypted = false
    options.live = flags & 4 != 0
    let session = ReplicationSession(
      connection: Connection(options: options, now: now), expectedFeeds: 1, now: now)
    options.id = [2]
    let peer = Connection(options: options, now: now)
    guard let channel = try? peer.open(sample.pair.publicKey),
      (try? session.open(replicator, download: true)) != nil
    else { return }
    session.receive(peer.takeOutput(), now: now)
    while !input.isAtEnd {
      switch input.choice(11) {
      case 0: session.receive(input.chunk(), now: now)
      case 1, 2: try? peer.send(.data(sample.answer(from: &input)), on: channel)
      case 3: try? peer.send(.have(start: 0, length: UInt64(sample.blocks.count)), on: channel)
      case 4, 5: try? peer.send(message(from: &input), on: channel)
      case 6:
        now = now.advanced(by: .milliseconds(Int(input.byte()) * 50))
        session.tick(now: now)
      case 7: while let output = session.takeOutput(now: now), !output.isEmpty {}
      case 8:
        _ = replicator.get(input.number()) { _ in }
        try? replicator.flush()
      case 9:
        _ = replicator.seek(input.number(), in: nil) { _ in }
        try? replicator.flush()
      default: session.finishInput(now: now)
      }
      let output = peer.takeOutput()
      if !output.isEmpty { session.receive(output, now: now) }
    }
    session.close()
    if flags & 1 == 0 { sample.check(core) }
    if let audit = try? core.audit() { hold(audit.invalid == 0, "a block is not what was signed") }
    hold(replicator.peers.isEmpty, "a closed session left a peer")
  }
}

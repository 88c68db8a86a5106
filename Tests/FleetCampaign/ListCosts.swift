internal import DatFleet
internal import HypercoreCrypto

/// The costs of a fleet's list of keys, as the host's own code has them: bytes are those of messages, without the frames of
/// the connections.
enum ListCosts {
  /// The bytes of the proof before each message.
  private static let proof = 16

  static func report(hosts: Int, keys: Int) {
    spread(hosts: hosts)
    let clock = ContinuousClock()
    var random = CampaignRandom(seed: 1)
    let entries = (0..<keys).map { number in
      FleetEntry(
        key: random.key(), kind: 1, stamp: UInt64(number))
    }
    var list = FleetKeyList()
    let merging = clock.measure { for entry in entries { list.merge(entry) } }
    var log = 0
    let logging = clock.measure {
      for entry in entries { log += FleetKeyLog.record(of: entry).count }
    }
    print("a list of \(keys) keys: taken in in \(merging), \(log) bytes of file in \(logging)")
    var bytes = 0
    let sending = clock.measure {
      for message in list.messages(for: FleetKeyList().digests) {
        bytes += proof + message.encoded.count
      }
    }
    let question = proof + FleetMessage.digests(list.digests).encoded.count
    print("a new member asks with \(question) bytes and is sent \(bytes), made in \(sending)")
    var other = list
    _ = other.change(random.key(), kind: 1)
    let part = other.messages(for: list.digests).reduce(0) { $0 + proof + $1.encoded.count }
    print("a member that has missed one key is sent \(part) bytes when it compares lists")
  }

  /// Counts what one key that is added on one host costs until all have it. In a round each host sends what it has
  /// learned in the one before to all members that it is connected with, but for those that sent it.
  private static func spread(hosts count: Int) {
    let names = (0..<count).map { "host-\($0)" }
    let numbers = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
    var links = [Set<Int>](repeating: [], count: count)
    for (number, name) in names.enumerated() {
      for other in FleetNeighbours.names(of: name, among: names).compactMap({ numbers[$0] }) {
        links[number].insert(other)
        links[other].insert(number)
      }
    }
    let entry = FleetEntry(key: PublicKey(), kind: 1, stamp: 1)
    let size = proof + FleetMessage.entries([entry]).encoded.count
    var knows = [Bool](repeating: false, count: count)
    var pending = [0: links[0]]
    var (sent, most, rounds) = (0, 0, 0)
    knows[0] = true
    while !pending.isEmpty {
      rounds += 1
      var arrived: [Int: Set<Int>] = [:]
      for (host, others) in pending {
        sent += others.count
        most = max(most, others.count)
        for other in others { arrived[other, default: []].insert(host) }
      }
      pending = [:]
      for (host, senders) in arrived where !knows[host] {
        knows[host] = true
        let others = links[host].subtracting(senders)
        if !others.isEmpty { pending[host] = others }
      }
    }
    let reached = knows.count { $0 }
    let degrees = links.map(\.count)
    print(
      "a key that is added: \(reached) hosts have it after \(rounds) rounds; \(sent) messages of \(size) bytes, "
        + "\(sent * size / count) bytes sent by a host in the mean, \(most * size) at most; "
        + "\(degrees.min() ?? 0) to \(degrees.max() ?? 0) connections a host")
  }
}

/// Random numbers that are the same in each run with one seed: SplitMix64.
struct CampaignRandom: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// Returns a random key.
  mutating func key() -> PublicKey {
    var key = PublicKey()
    key.withUnsafeMutableBytes { bytes in
      for place in stride(from: 0, to: bytes.count, by: 8) {
        bytes.storeBytes(of: next(), toByteOffset: place, as: UInt64.self)
      }
    }
    return key
  }
}

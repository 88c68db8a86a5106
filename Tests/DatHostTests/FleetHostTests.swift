import DatSwarm
import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import Testing

@testable import DatHost

@Suite(.serialized, .timeLimit(.minutes(2))) struct FleetHostTests {
  private func owners(_ key: PublicKey, _ names: [String]) -> Set<String> {
    Set(Fleet(hosts: names).owners(of: key.discoveryKey, copies: 2))
  }

  @Test func `a key that is added on one host reaches all, and is removed on all by any other`()
    async throws
  {
    let lab = try FleetLab()
    for name in ["a", "b", "c"] { try await lab.start(name) }
    try await lab.untilConnected()
    let keys = (0..<12).map { _ in KeyPair.generate().publicKey }
    for key in keys { try await lab.host("a").add(HostedKey(kind: .feed, key: key)) }
    for name in ["a", "b", "c"] {
      try await lab.waitUntil(name) {
        $0.fleet?.keys == 12 && $0.fleet?.owned == $0.states["hosting"]
      }
      for status in try await lab.host(name).status() {
        let owners = owners(status.key, ["a", "b", "c"])
        #expect(status.state == (owners.contains(name) ? .hosting : .elsewhere))
        #expect(status.kind == .feed)
        #expect(owners.contains(name) || owners.contains(status.owner ?? ""))
      }
    }
    try await lab.host("c").remove(keys[0])
    try await until { await lab.knowing(keys[0]).isEmpty }
    await #expect { try await lab.host("b").remove(keys[0]) } throws: {
      ($0 as? HostError)?.code == .unknownKey
    }
    // It is remembered by a host that was away meanwhile, and a removed key does not come back with it.
    await lab.stop("b")
    try await lab.host("a").remove(keys[1])
    try await lab.host("a").add(HostedKey(kind: .room, key: keys[2]))
    try await lab.start("b")
    try await lab.waitUntil("b") { $0.fleet?.keys == 10 }
    try await until { await lab.knowing(keys[1]).isEmpty }
    let status = try await lab.host("b").status().first { $0.key == keys[2] }
    #expect(status?.kind == .room)
    await lab.close()
  }

  @Test func `a host that comes takes its keys, and another lets go of them and frees its space`()
    async throws
  {
    let lab = try FleetLab { $0.keep = .zero }
    for name in ["a", "b"] { try await lab.start(name) }
    try await lab.untilConnected()
    var keys: [PublicKey] = []
    // Until one key falls to the host that comes.
    while !keys.contains(where: { owners($0, ["a", "b", "c"]).contains("c") }) || keys.count < 3 {
      keys.append(try await lab.fill("a"))
    }
    try await lab.start("c")
    for key in keys {
      let owners = owners(key, ["a", "b", "c"])
      try await until { await lab.holders(of: key, stored: 5) == owners }
      for name in Set(["a", "b", "c"]).subtracting(owners) {
        try await until { !lab.isStored(key, by: name) }
      }
    }
    await lab.close()
  }

  @Test func `without a time for which it is kept nothing is freed, and it is taken up again`()
    async throws
  {
    let lab = try FleetLab()
    for name in ["a", "b"] { try await lab.start(name) }
    try await lab.untilConnected()
    var key = try await lab.fill("a")
    while !owners(key, ["a", "b", "c"]).contains("c") { key = try await lab.fill("a") }
    try await lab.start("c")
    try await until { await lab.holders(of: key, stored: 5) == owners(key, ["a", "b", "c"]) }
    let former = try #require(
      Set(["a", "b"]).subtracting(owners(key, ["a", "b", "c"])).first)
    #expect(lab.isStored(key, by: former))
    let problem = try await lab.host(former).status().first { $0.key == key }?.problem
    #expect(problem?.contains("kept") == true)
    // It is still known after a restart.
    await lab.stop(former)
    try await lab.start(former)
    try await lab.waitUntil(former) { $0.fleet?.kept ?? 0 > 0 }
    await lab.stop("c")
    try await lab.write()
    try await until { await lab.holders(of: key, stored: 5) == ["a", "b"] }
    await lab.close()
  }

  @Test
  func `the keys of a host that is gone are copied again, and one that comes back has lost none`()
    async throws
  {
    let lab = try FleetLab()
    let names = ["a", "b", "c"]
    for name in names { try await lab.start(name) }
    try await lab.untilConnected()
    var keys: [PublicKey] = []
    while !keys.contains(where: { owners($0, names).contains("c") }) || keys.count < 2 {
      keys.append(try await lab.fill("b"))
    }
    await lab.stop("c")
    try await lab.write()
    for key in keys { try await until { await lab.holders(of: key, stored: 5) == ["a", "b"] } }
    #expect(keys.allSatisfy { !owners($0, names).contains("c") || lab.isStored($0, by: "c") })
    try await lab.start("c")
    for key in keys {
      try await until { await lab.holders(of: key, stored: 5) == owners(key, names) }
    }
    await lab.close()
  }

  @Test func `half of the hosts gone at once: the keys that had their last copies there are named`()
    async throws
  {
    let lab = try FleetLab { $0.grace = .seconds(2) }
    let names = ["a", "b", "c", "d"]
    for name in names { try await lab.start(name) }
    try await lab.untilConnected()
    var key = KeyPair.generate().publicKey
    while owners(key, names) != ["c", "d"] { key = KeyPair.generate().publicKey }
    try await lab.host("a").add(HostedKey(kind: .feed, key: key))
    try await until { await lab.knowing(key) == Set(names) }
    await lab.stop("c")
    await lab.stop("d")
    try await lab.write()
    try await lab.waitUntil("a") { report in
      report.fleet?.missing == ["c", "d"]
        && report.warnings.contains { $0.sentence.contains("2 of 4 members") }
    }
    for name in ["a", "b"] {
      let report = try await lab.waitUntil(name) { $0.fleet?.lostCount == 1 }
      #expect(report.fleet?.lost.map(\.key) == ["feed:\(key.hex)"])
      #expect(report.fleet?.lost.first?.hosts.sorted() == ["c", "d"])
      #expect(report.warnings.contains { $0.sentence.contains("last copies") })
      let problem = try await lab.host(name).status().first { $0.key == key }?.problem
      #expect(problem?.hasPrefix("Its last copies were on hosts that are gone: ") == true)
    }
    // That is still known after a restart, and over once one of them is back.
    await lab.stop("a")
    try await lab.start("a")
    try await lab.waitUntil("a") { $0.fleet?.lostCount == 1 }
    try await lab.start("d")
    for name in ["a", "b"] { try await lab.waitUntil(name) { $0.fleet?.lostCount == 0 } }
    await lab.close()
  }

  @Test func `a directory that fails or names nobody removes nobody, and says so`() async throws {
    let lab = try FleetLab()
    for name in ["a", "b"] { try await lab.start(name) }
    try await lab.untilConnected()
    for text in ["", "# nobody\n", "a 127.0.0.1:1\na 127.0.0.1:2\n", "a nowhere\n"] {
      try Data(text.utf8).write(to: URL(fileURLWithPath: lab.directory))
      let report = try await lab.waitUntil("a") { $0.fleet?.trouble != nil }
      #expect(report.fleet?.members == 2 && report.fleet?.missing == [])
      #expect(report.warnings.contains { $0.sentence.contains("nobody is removed") })
      try await lab.write()
      try await lab.waitUntil("a") { $0.fleet?.trouble == nil }
    }
    try FileManager.default.removeItem(atPath: lab.directory)
    let report = try await lab.waitUntil("a") {
      $0.fleet?.trouble?.contains("can't be read") == true
    }
    #expect(report.fleet?.members == 2)
    await lab.close()
  }

  @Test func `a host with another key stays outside, and one with another's name is told`()
    async throws
  {
    let lab = try FleetLab()
    for name in ["a", "b"] { try await lab.start(name) }
    try await lab.untilConnected()
    let key = KeyPair.generate().publicKey
    try await lab.host("a").add(HostedKey(key: key))
    try await lab.start("x", secret: FleetSecret(reading: FleetSecret.random().utf8))
    try await lab.waitUntil("x") { $0.fleet?.members == 3 }
    try await lab.start("y", as: "a")
    // The first of that name notices when it dials the second, any other when both stay connected with it.
    for name in ["a", "b"] {
      try await lab.waitUntil(name) { report in
        report.warnings.contains { $0.sentence.contains("Two hosts of the fleet have the name a") }
      }
    }
    #expect(try await lab.host("x").report().fleet?.connected == 0)
    #expect(try await lab.host("x").status().isEmpty)
    await lab.close()
  }

  @Test func `a host that the directory does not name holds nothing, and says so`() async throws {
    let lab = try FleetLab()
    for name in ["a", "b"] { try await lab.start(name) }
    try await lab.start("c")
    try await lab.untilConnected()
    let key = try await lab.fill("c")
    try await lab.write(["a", "b"])
    try await until { await lab.holders(of: key, stored: 5) == ["a", "b"] }
    let report = try await lab.waitUntil("c") { $0.fleet?.members == 2 && $0.fleet?.owned == 0 }
    #expect(report.warnings.contains { $0.sentence.contains("does not name this host, c") })
    await lab.close()
  }

  @Test
  func `the keys that a host had before are the fleet's, and the list of a torn file is mended`()
    async throws
  {
    let lab = try FleetLab()
    let key = KeyPair.generate().publicKey
    try FileManager.default.createDirectory(
      atPath: lab.path("a"), withIntermediateDirectories: true)
    try Data("feed:\(key.hex)\n".utf8).write(to: URL(fileURLWithPath: lab.path("a") + "/keys"))
    for name in ["a", "b"] { try await lab.start(name) }
    try await until { await lab.knowing(key) == ["a", "b"] }
    let other = KeyPair.generate().publicKey
    try await lab.host("b").add(HostedKey(kind: .feed, key: other))
    try await until { await lab.knowing(other) == ["a", "b"] }
    await lab.stop("a")
    let list = URL(fileURLWithPath: lab.path("a") + "/fleet-keys")
    let bytes = try Data(contentsOf: list)
    #expect(bytes.count == 96)
    try (bytes.prefix(48) + bytes.suffix(48).prefix(20)).write(to: list)
    try await lab.start("a")
    try await until { await lab.knowing(other) == ["a", "b"] }
    await lab.close()
  }
}

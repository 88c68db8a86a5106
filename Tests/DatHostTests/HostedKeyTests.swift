import DatHost
import HypercoreCrypto
import Testing

struct HostedKeyTests {
  let key = KeyPair.generate().publicKey

  @Test func `a key is read with or without its kind, and as a link`() throws {
    let hex = key.hex
    #expect(try HostedKey(parsing: hex) == HostedKey(kind: .unknown, key: key))
    #expect(try HostedKey(parsing: "dat://\(hex)/") == HostedKey(kind: .unknown, key: key))
    #expect(try HostedKey(parsing: "room:\(hex)") == HostedKey(kind: .room, key: key))
    #expect(try HostedKey(parsing: "room:dat://\(hex)") == HostedKey(kind: .room, key: key))
    #expect(try HostedKey(parsing: "db:\(hex)") == HostedKey(kind: .database, key: key))
    #expect(try HostedKey(parsing: "feed:\(hex)") == HostedKey(kind: .feed, key: key))
  }

  @Test func `what it writes it reads`() throws {
    for kind in HostedKind.allCases {
      let hosted = HostedKey(kind: kind, key: key)
      #expect(try HostedKey(parsing: hosted.description) == hosted)
    }
  }

  @Test(arguments: [
    "", "room:", "abc", "chat:" + String(repeating: "ab", count: 32), "room:room:", "dat://",
  ])
  func `anything else is refused`(text: String) {
    #expect { try HostedKey(parsing: text) } throws: { ($0 as? HostError)?.code == .malformedKey }
  }
}

struct FleetTests {
  private func keys(_ count: Int) -> [DiscoveryKey] {
    (0..<count).map { number in
      var key = PublicKey()
      key.withUnsafeMutableBytes { $0.storeBytes(of: UInt64(number), as: UInt64.self) }
      return key.discoveryKey
    }
  }

  private let fleet = Fleet(hosts: (1...5).map { "host-\($0)" })

  @Test func `keys are spread evenly, whatever the order of the list`() {
    var counts: [String: Int] = [:]
    let shuffled = Fleet(hosts: fleet.hosts.reversed())
    for key in keys(5000) {
      let owners = fleet.owners(of: key, copies: 2)
      #expect(Set(owners).count == 2)
      #expect(owners == shuffled.owners(of: key, copies: 2))
      #expect(owners.first == fleet.owners(of: key).first)
      counts[owners[0], default: 0] += 1
    }
    for host in fleet.hosts {
      #expect((850...1150).contains(counts[host, default: 0]), "\(counts)")
    }
  }

  @Test func `a host that leaves moves only its own keys, to everybody`() {
    let smaller = Fleet(hosts: fleet.hosts.filter { $0 != "host-3" })
    var heirs: Set<String> = []
    for key in keys(500) {
      let before = fleet.owners(of: key)[0]
      let after = smaller.owners(of: key)[0]
      if before == "host-3" { heirs.insert(after) } else { #expect(after == before) }
    }
    #expect(heirs.count == 4)
  }

  @Test func `who owns a key does not change with versions of this program`() {
    #expect(
      keys(8).map { fleet.owners(of: $0, copies: 5).map { $0.suffix(1) }.joined() } == [
        "24153", "34512", "13245", "34125", "31254", "45132", "45213", "32514",
      ])
  }

  @Test func `with more copies than hosts everybody has everything`() {
    #expect(Set(fleet.owners(of: keys(1)[0], copies: 9)) == Set(fleet.hosts))
  }

  @Test func `a list has a name a line, and remarks`() throws {
    let text = "# our hosts\n\n host-1 # in the cellar\r\nhost-2\n"
    #expect(try Fleet(parsing: text).hosts == ["host-1", "host-2"])
  }

  @Test(arguments: ["", "# nobody\n", "a\nb\na\n", String(repeating: "x", count: 300)])
  func `a list that names nobody, or somebody twice, is refused`(text: String) {
    #expect { try Fleet(parsing: text) } throws: { ($0 as? HostError)?.code == .malformedFile }
  }
}

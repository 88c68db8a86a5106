import DatSwarm
import DatTesting
import Foundation
import Testing

/// The command's reaction if its output can't be written, its input can't be read, or something else is where
/// it should work: a sentence, an exit status, and nothing left behind.
@Suite(.timeLimit(.minutes(3))) struct WaysInAndOutTests {
  private static let key = String(repeating: "ab", count: 32)

  /// Commands that print something, and change nothing.
  private static let printing = [
    "dat", "dat --help", "dat help db put", "dat --version", "dat feed info log",
    "dat feed cat log", "dat feed cat log --raw", "dat feed cat log --json", "dat feed audit log",
    "dat db get people ana/city", "dat db get people ana/city --json", "dat db list people",
    "dat db history people", "dat db history people --json", "dat db diff people",
    "dat db version people", "dat db heads people --json", "dat db export people",
    "dat db authorized people", "dat doctor people", "dat doctor log --json", "dat ls site",
    "dat cat site a.txt", "dat log site --json", "dat find site a", "dat status site",
    "dat keys site", "dat diff site 0",
  ]

  /// Runs a line that fails, and checks that it fails as it should.
  @discardableResult
  private func fails(
    _ script: String, _ status: Int32 = 1, _ words: String...,
    leaving names: [String] = [], changing changes: Bool = false
  ) async throws -> CommandShell.Result {
    let result = try await CommandShell.run(script)
    #expect(result.status == status, "\(script): \(result.errors)")
    #expect(result.newNames == names, "\(script) left something behind")
    if !changes { #expect(result.changed.isEmpty, "\(script) changed something") }
    for word in words { #expect(result.errors.contains(word), "\(script): \(result.errors)") }
    if status == 1 {
      let lines = result.errors.split(separator: "\n")
      #expect(lines.count == 1 && lines.allSatisfy { $0.hasPrefix("dat: ") }, "\(script): \(lines)")
    }
    return result
  }

  // MARK: Standard output

  @Test(arguments: printing)
  func
    `output on a full disk is a sentence and 1, closed output as well, and a pipe that ended is 141`(
      command: String
    ) async throws
  {
    try await fails(
      "\(command) > /dev/full", 1, "Standard output can't be written", "No space left")
    try await fails("\(command) >&-", 1, "Standard output can't be written", "closed")
    let ended = try await fails("mkfifo ../p; exec 3<>../p 4>../p 3<&-; \(command) >&4", 141)
    #expect(ended.errors.isEmpty)
  }

  @Test func `a command with something to close in order closes it first`() async throws {
    for command in [
      "dat chat room --name ana --no-lan --stay --json", "dat rooms . --web --no-lan",
    ] {
      try await fails("\(command) > /dev/full", 1, "No space left", changing: true)
      let ended = try await fails(
        "mkfifo ../p; exec 3<>../p 4>../p 3<&-; \(command) >&4", 141, changing: true)
      #expect(ended.errors.isEmpty)
    }
    for command in [
      "dat db serve people --listen 127.0.0.1:0", "dat feed serve log --listen 127.0.0.1:0",
      "dat rendezvous --listen 127.0.0.1:0", "dat serve site --http 0",
      "dat db watch people --listen 127.0.0.1:0",
    ] {
      try await fails("\(command) > /dev/full", 1, "No space left")
    }
    try await fails(
      "dat host hosted --listen 127.0.0.1:0 --log error > /dev/full", 1, "No space left",
      leaving: [], changing: true)
  }

  @Test func `what was written before its report could not be printed is there`() async throws {
    let result = try await CommandShell.run(
      "printf 'four\\n' | dat feed append log > /dev/full; echo $?; dat feed cat log --start 3")
    #expect(result.lines == ["1", "four"])
  }

  @Test func `a pipe whose reader has enough ends the command early`() async throws {
    let script = """
      seq 300000 | dat feed append big > /dev/null
      dat feed cat big | head -1; echo ${PIPESTATUS[0]}
      """
    let result = try await CommandShell.run(script)
    #expect(result.lines == ["1", "141"])
    #expect(result.errors.isEmpty)
  }

  @Test func `no file takes the place of a stream that was closed`() async throws {
    let script =
      "dat db put people k 1 --json >&- 2>&- <&-; echo $?; dat db get people k; dat doctor people"
    let result = try await CommandShell.run(script)
    #expect(result.lines.prefix(2) == ["1", "1"])
    #expect(result.lines.last == "healthy")
  }

  @Test func `colours are for terminals that have them`() async throws {
    for environment in [["TERM": "dumb"], ["NO_COLOR": "1", "TERM": "xterm"], ["TERM": ""]] {
      let folder = try TemporaryFolder()
      let terminal = try await TerminalProcess(
        ["chat", folder.path + "/room", "--name", "ana", "--no-lan", "--no-dht"],
        environment: environment)
      _ = try await terminal.row(containing: "dat://")
      let output = String(decoding: await terminal.output, as: UTF8.self)
      #expect(!output.contains("\u{1b}[1m"), "\(environment)")
      await terminal.type("\u{4}")
      #expect(await terminal.status() == 0)
    }
  }

  // MARK: Standard input

  private static let reading = [
    "dat feed append log", "dat feed append new", "dat db put new k", "dat db put people k",
    "dat db import new", "dat chat new --name ana --no-lan", "dat chat new - --name ana --no-lan",
    "dat feed clone new --key-file - --connect 127.0.0.1:1",
    "dat db sync new - --connect 127.0.0.1:1", "dat db authorize people -", "dat host new -",
    "dat host add --dir hosted -", "dat clone - new", "dat ls -",
  ]

  @Test(arguments: reading)
  func `input that is closed, a folder or not open for reading is a sentence and 1`(command: String)
    async throws
  {
    try await fails("\(command) <&-", 1, "Standard input is closed")
    try await fails("\(command) < /", 1, "Standard input is a folder")
    try await fails("\(command) 0> ../out", 1, "not open for reading")
  }

  @Test func `a file that can't be read is a sentence and 1`() async throws {
    for command in [
      "dat feed append new --file NAME", "dat db import new NAME",
      "dat chat new --key-file NAME --name ana --no-lan",
      "dat db sync new --key-file NAME --connect 127.0.0.1:1", "dat host new --key-file NAME",
      "dat host new --fleet NAME --self a",
    ] {
      func with(_ name: String) -> String { command.replacingOccurrences(of: "NAME", with: name) }
      try await fails(with("none"), 1, "There is no file none")
      try await fails(with("plain"), 1, "plain is a folder")
    }
  }

  @Test func `at a terminal lines are typed, and it is said how they end`() async throws {
    let folder = try TemporaryFolder()
    let terminal = try await TerminalProcess(["feed", "append", folder.path + "/log"])
    _ = try await terminal.row(containing: "Type lines to append; Ctrl-D")
    await terminal.type("one\n")
    await terminal.type("\u{4}")
    _ = try await terminal.row(containing: "appended 1 block")
    #expect(await terminal.status() == 0)
  }

  @Test func `lines may end as on other systems, and a byte order mark is no text`() async throws {
    let append = try await CommandShell.run(
      #"printf '\xef\xbb\xbfone\r\n\r\ntwo\r\n' | dat feed append new > /dev/null; dat feed cat new --json"#
    )
    #expect(
      append.lines == [
        #"{"index":0,"value":"b25l"}"#, #"{"index":1,"value":""}"#, #"{"index":2,"value":"dHdv"}"#,
      ])
    let imported = try await CommandShell.run(
      #"printf '\xef\xbb\xbf{"key":"a","value":"x"}\r\n\r\n' | dat db import new; dat db get new a"#
    )
    #expect(imported.lines == ["1 key written", "\"x\""])
    let chat = try await CommandShell.run(
      #"printf '\xef\xbb\xbfhello\r\nyou\r\n' | dat chat room --name ana --no-lan --json"#)
    #expect(chat.status == 0)
    #expect(chat.lines.contains { $0.contains(#""message":"hello""#) })
    #expect(chat.lines.contains { $0.contains(#""message":"you""#) })
    let joined = try await CommandShell.run(
      #"printf '\xef\xbb\xbf  dat://\#(Self.key)/ \r\n' > k; dat chat new --key-file k --name b --no-lan --json < /dev/null"#
    )
    #expect(joined.lines.first?.contains(Self.key) == true)
  }

  @Test func `text that is not UTF-8 is refused or kept, never changed`() async throws {
    try await fails(
      #"printf '{"key":"a","value":1}\n\xff\n' > ../in; dat db import people ../in"#, 1,
      "Line 2", "UTF-8", changing: true)
    try await fails(#"printf 'a\xff\n' | dat chat room --name ana --no-lan"#, 1, "Line 1", "UTF-8")
    try await fails(
      #"printf '\xff\xfea\0' > ../k; dat feed clone new --key-file ../k --connect 127.0.0.1:1"#,
      1, "no key")
    try await fails(#"dat db put people $'k\xff' 1"#, 64, "Argument 4 is not UTF-8")
    let kept = try await CommandShell.run(
      #"printf 'a\xff\n' | dat feed append new > /dev/null; dat feed cat new --raw | od -An -tx1"#)
    #expect(kept.lines == [" 61 ff"])
  }

  // MARK: Keys that are not on the command line

  @Test func `a key comes from a file or standard input, and what follows it is messages`()
    async throws
  {
    let result = try await CommandShell.run(
      #"printf '\#(Self.key)\nhello\n' | dat chat new - --name bea --no-lan --json"#)
    #expect(result.status == 0)
    #expect(result.lines.first?.contains(#""key":"\#(Self.key)""#) == true)
    #expect(result.lines.contains { $0.contains(#""message":"hello""#) })
    let folder = try TemporaryFolder()
    try Data("# ours\nroom:\(Self.key)\r\n\n".utf8).write(
      to: folder.url.appendingPathComponent("keys"))
    let host = try await DatProcess([
      "host", folder.path + "/host", "--key-file", folder.path + "/keys", "--listen", "127.0.0.1:0",
    ])
    try await host.line(containing: "hosting 1 key in")
    // It answers once it can be ended in order.
    let listed = try await DatProcess.run(["host", "list", "--dir", folder.path + "/host"])
    #expect(listed.lines.first?.contains("room:\(Self.key)") == true)
    await host.signal(SIGTERM)
    #expect(await host.status() == 0)
  }

  @Test func `without a key where one is needed the command was called wrongly`() async throws {
    for command in [
      "dat feed clone new - --connect 127.0.0.1:1", "dat chat new - --name ana --no-lan",
      "dat db sync new --key-file - --connect 127.0.0.1:1", "dat db authorize people -",
      "dat host new -", "dat host add --dir hosted -", "dat clone - new",
      "dat ls - --key-file /dev/null",
    ] {
      try await fails("\(command) < /dev/null", 64, "key")
    }
    try await fails("dat feed clone new --connect 127.0.0.1:1", 64, "KEY")
    try await fails("dat chat new \(Self.key) --key-file file --name ana", 64, "two keys")
    try await fails("echo abc | dat feed clone new - --connect 127.0.0.1:1", 1, "no key")
    try await fails("dat chat new --key-file file --name ana --no-lan", 1, "no key")
  }

  // MARK: Folders

  @Test func `what stands in a folder is named before anything is written there`() async throws {
    let uses: [(command: String, wrong: [String])] = [
      (
        "dat feed append DIR < /dev/null",
        ["people", "room", "room/source", "hosted", "file", "site"]
      ),
      (
        "dat feed clone DIR \(Self.key) --connect 127.0.0.1:1",
        ["people", "room/source", "hosted", "file"]
      ),
      ("dat feed info DIR", ["people", "hosted", "file"]),
      ("dat db put DIR k 1", ["log", "room/source", "hosted", "file", "site"]),
      ("dat db get DIR k", ["log", "room/source", "hosted", "file"]),
      ("dat db sync DIR \(Self.key) --connect 127.0.0.1:1", ["log", "room/source", "hosted"]),
      ("dat chat DIR --name ana --no-lan < /dev/null", ["log", "room/source", "hosted", "file"]),
      ("dat host DIR --listen 127.0.0.1:0", ["log", "people", "file"]),
      ("dat rooms DIR", ["room"]),
    ]
    for (command, wrong) in uses {
      for name in wrong {
        try await fails(command.replacingOccurrences(of: "DIR", with: name), 1, name)
      }
    }
  }

  @Test func `a folder's name is no key and not empty`() async throws {
    for command in [
      "dat chat DIR --name ana", "dat feed info DIR", "dat db get DIR k", "dat host DIR",
      "dat rooms DIR", "dat doctor DIR", "dat host list --dir DIR",
    ] {
      func with(_ name: String) -> String { command.replacingOccurrences(of: "DIR", with: name) }
      try await fails(with("''"), 64, "empty")
      // It looks for the peers of a link.
      if command.hasPrefix("dat doctor") { continue }
      try await fails(with("dat://\(Self.key)"), 64, "is a key")
      try await fails(with(Self.key), 64, "is a key")
    }
  }

  @Test(.enabled(if: CommandShell.isRoot, "another user's place can be taken by root alone"))
  func `a folder of another user is said to be one`() async throws {
    for command in [
      "dat feed info log", "dat feed cat log", "dat feed append log < /dev/null",
      "dat db get people k", "dat db put people k 1", "dat db export people",
      "dat chat room --name eve --no-lan < /dev/null", "dat doctor people",
      "dat host list --dir hosted",
    ] {
      try await fails(
        "chmod 700 log people room hosted; \(Self.asOther(command))", 1,
        "permission")
    }
    try await fails(
      "chmod 711 .; chmod 600 file; \(Self.asOther("dat feed append /tmp/none-of-it --file $PWD/file"))",
      1, "permission to read")
    try await fails(Self.asOther("dat feed append new < /dev/null"), 1, "ermission")
  }

  private static func asOther(_ command: String) -> String {
    "setpriv --reuid=65534 --regid=65534 --clear-groups bash -c '\(command)'"
  }

  @Test(.enabled(if: NetworkNamespaces.obstacle == nil, "mounting is not permitted here"))
  func `a disk that can only be read is read, and writing to it is a sentence`() async throws {
    func readOnly(_ command: String) -> String {
      "unshare -m bash -c 'mount --bind . . && mount -o remount,ro,bind . && cd \"$PWD\" && \(command)'"
    }
    for command in ["dat feed cat log", "dat db get people ana/city", "dat doctor room"] {
      let result = try await CommandShell.run(readOnly(command))
      #expect(result.status == 0, "\(command): \(result.errors)")
      #expect(!result.lines.isEmpty)
    }
    for command in [
      "dat feed append log < /dev/null", "dat feed append new < /dev/null", "dat db put people k 1",
      "dat db put new k 1", "dat chat room --name ana --no-lan < /dev/null",
      "dat host hosted --listen 127.0.0.1:0 --log error",
    ] {
      try await fails(readOnly(command), 1, "only")
    }
  }

  // MARK: The network

  @Test func `a port in use is a sentence and 1`() async throws {
    let listener = try await TCPListener(host: "127.0.0.1", port: 0)
    let rendezvous = try await RendezvousServer(host: "127.0.0.1", port: 0)
    let place = "127.0.0.1:\(listener.address.port)"
    for command in [
      "dat chat room --name ana --listen \(place)", "dat chat new --name ana --listen \(place)",
      "dat chat room --name ana --no-lan --web \(place)", "dat feed serve log --listen \(place)",
      "dat db serve people --listen \(place)", "dat db watch people --listen \(place)",
      "dat rooms . --web \(place) --no-lan", "dat serve site --http \(place)",
    ] {
      try await fails(
        "\(command) < /dev/null", 1, "\(listener.address.port)", "in use", changing: true)
    }
    try await fails(
      "dat host hosted --listen \(place) --log error", 1, "in use", leaving: [], changing: true)
    try await fails("dat host new --listen \(place) --log error", 1, "in use")
    try await fails(
      "dat host hosted --listen 127.0.0.1:0 --metrics \(listener.address.port) --log error", 1,
      "metrics", "in use", leaving: ["hosted/lock"], changing: true)
    try await fails(
      "dat rendezvous --listen 127.0.0.1:\(rendezvous.address.port)", 1, "in use")
    await rendezvous.close()
    await listener.close()
  }

  @Test func `a name that doesn't resolve, or nobody there, is a sentence, and leaves nothing`()
    async throws
  {
    for (host, words) in [
      ("no.such.host.invalid:1", "looked up"), ("127.0.0.1:1", "nobody listens"),
    ] {
      for command in [
        "dat feed clone new \(Self.key) --connect \(host)",
        "dat feed clone deep/er \(Self.key) --connect \(host)",
        "dat db sync new \(Self.key) --connect \(host)",
      ] {
        try await fails(command, 1, host, words)
      }
    }
  }

  @Test func `too few descriptors is a sentence that says so`() async throws {
    for command in [
      "dat feed append log < /dev/null", "dat db put people k 1", "dat db get people k",
      "dat chat room --name ana --no-lan < /dev/null", "dat host hosted", "dat --help",
    ] {
      for limit in [5, 20] { try await fails("ulimit -n \(limit); \(command)", 1, "open files") }
    }
    for command in [
      "dat chat room --name ana --listen 127.0.0.1:0 < /dev/null",
      "dat feed serve log --listen 127.0.0.1:0", "dat db serve people --listen 127.0.0.1:0",
      "dat host new --log error", "dat rendezvous",
      "dat feed clone new \(Self.key) --connect 127.0.0.1:1",
      "dat db sync new \(Self.key) --connect 127.0.0.1:1",
    ] {
      try await fails("ulimit -n 40; \(command)", 1, "Only 40 open files are allowed")
    }
    // If the system allows more descriptors, the limit is raised.
    let raised = try await CommandShell.run("ulimit -Sn 10; dat feed cat log")
    #expect(raised.lines == ["one", "two", "three"])
  }
}

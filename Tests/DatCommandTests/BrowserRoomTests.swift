import DatTesting
import Foundation
import Testing

/// Pages in real browsers and native peers in one room, each on a machine of its own.
@Suite(
  .serialized, .timeLimit(.minutes(5)),
  .enabled(if: BrowserEnd.obstacle == nil, "\(BrowserEnd.obstacle ?? "")"))
struct BrowserRoomTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func dir(_ name: String) -> String { folder.path + "/" + name }

  private func hub(on machines: NetworkNamespaces) async throws -> DatProcess {
    let hub = try await machines.start(
      ["signal", "--json", "--listen", "\(machines.hubAddress):3300"], on: nil)
    try await hub.line(containing: #""event":"listening""#)
    return hub
  }

  private func native(
    _ name: String, key: String? = nil, hub: String, on machines: NetworkNamespaces, _ number: Int
  ) async throws -> ChatProcess {
    try await ChatProcess(
      dir(name), key: key, name: name, options: ["--signal", hub, "--patience", "0"],
      on: (machines, number))
  }

  @Test(arguments: [
    (kind: "ws", pageMakes: false), (kind: "http", pageMakes: false), (kind: "ws", pageMakes: true),
  ])
  func `a page and a native peer share a room's history, words, comings and goings`(
    kind: String, pageMakes: Bool
  ) async throws {
    try await shareRoom(kind: kind, pageMakes: pageMakes)
  }

  @Test(
    .enabled(if: Browser.firefox.program != nil, "needs Debian's firefox-esr"),
    arguments: [
      (kind: "ws", pageMakes: false), (kind: "http", pageMakes: false),
      (kind: "ws", pageMakes: true),
    ])
  func `a page in Firefox and a native peer share a room's history, words, comings and goings`(
    kind: String, pageMakes: Bool
  ) async throws {
    try await shareRoom(kind: kind, pageMakes: pageMakes, in: .firefox)
  }

  @Test(
    .enabled(
      if: BrowserEnd.referencePage != nil,
      "needs the published modules: Interop/browser/bundle, and DAT_REFERENCE_PAGE"),
    arguments: [
      (kind: "ws", pageMakes: false), (kind: "http", pageMakes: false),
      (kind: "ws", pageMakes: true),
    ])
  func `the modules as published share a room's history, words, comings and goings`(
    kind: String, pageMakes: Bool
  ) async throws {
    try await shareRoom(kind: kind, pageMakes: pageMakes, page: BrowserEnd.referencePage)
  }

  private func shareRoom(
    kind: String, pageMakes: Bool, page folder: String? = nil, in browser: Browser = .chromium
  ) async throws {
    let machines = try NetworkNamespaces(2)
    let hub = try await hub(on: machines)
    let url = "\(kind)://\(machines.hubAddress):3300"
    let ana: ChatProcess
    let page: BrowserEnd
    if pageMakes {
      page = try await BrowserEnd(
        dir("page"), name: "bea", hub: url, page: folder, in: browser, on: machines, 1)
      ana = try await native("ana", key: page.chat.key, hub: url, on: machines, 0)
    } else {
      ana = try await native("ana", hub: url, on: machines, 0)
      page = try await BrowserEnd(
        dir("page"), key: ana.key, name: "bea", hub: url, page: folder, in: browser, on: machines, 1
      )
    }
    let (maker, guest) = pageMakes ? (page.chat, ana) : (ana, page.chat)
    for number in 1...37 { await maker.process.send("message \(number)") }
    for number in 1...37 { try await guest.event("message", "message", "message \(number)") }
    try await ana.event("join", "username", "bea")
    try await page.chat.event("join", "username", "ana")
    try await guest.process.line(containing: #""event":"authorized""#)
    await guest.process.send("and back")
    try await maker.event("message", "message", "and back")

    await page.reload()
    try await page.says("connected", times: 2)
    await ana.process.send("after the reload")
    try await page.chat.event("message", "message", "after the reload")

    // Running connections outlive the hub, and those who talk don't notice.
    await hub.signal(SIGKILL)
    _ = await hub.status()
    await page.chat.process.send("without a hub")
    try await ana.event("message", "message", "without a hub")

    #expect(await page.leave() == 0)
    try await ana.event("leave", "username", "bea")
    #expect(await ana.leave() == 0)
  }

  @Test func `a native peer that was killed and comes back is met by the page again`() async throws
  {
    let machines = try NetworkNamespaces(2)
    var hub = try await hub(on: machines)
    let url = "ws://\(machines.hubAddress):3300"
    var ana = try await native("ana", hub: url, on: machines, 0)
    let key = ana.key
    let page = try await BrowserEnd(
      dir("page"), key: key, name: "bea", hub: url, on: machines, 1)
    try await page.says("connected")
    await ana.process.send("one")
    try await page.chat.event("message", "message", "one")
    await ana.process.signal(SIGKILL)
    _ = await ana.process.status()
    // The hub is gone as well for a while.
    await hub.signal(SIGKILL)
    _ = await hub.status()
    hub = try await self.hub(on: machines)
    ana = try await native("ana", key: key, hub: url, on: machines, 0)
    try await page.says("connected", times: 2)
    await ana.process.send("two")
    try await page.chat.event("message", "message", "two")
    #expect(await page.leave() == 0)
    #expect(await ana.leave() == 0)
    await hub.signal(SIGINT)
    #expect(await hub.status() == 0)
  }

  @Test func `three pages and two native peers are in one room`() async throws {
    let machines = try NetworkNamespaces(5)
    let hub = try await hub(on: machines)
    let (sockets, events) = (
      "ws://\(machines.hubAddress):3300", "http://\(machines.hubAddress):3300"
    )
    let ana = try await native("ana", hub: sockets, on: machines, 0)
    let ben = try await native("ben", key: ana.key, hub: events, on: machines, 1)
    var pages: [BrowserEnd] = []
    for (index, name) in ["cem", "dea", "eli"].enumerated() {
      pages.append(
        try await BrowserEnd(
          dir(name), key: ana.key, name: name, hub: index == 1 ? events : sockets, on: machines,
          2 + index))
    }
    let all = [ana, ben] + pages.map(\.chat)
    for (index, peer) in all.enumerated() {
      if index > 0 { try await peer.process.line(containing: #""event":"authorized""#) }
      await peer.process.send("from \(index)")
    }
    for peer in all {
      for index in all.indices { try await peer.event("message", "message", "from \(index)") }
    }
    for page in pages { #expect(await page.leave() == 0) }
    #expect(await ben.leave() == 0)
    #expect(await ana.leave() == 0)
    await hub.signal(SIGINT)
    #expect(await hub.status() == 0)
  }
}

import DatTesting
import Foundation
import HypercoreCrypto

/// A headless browser on a machine of its own, whose end of the room is a `dat chat` beside it.
///
/// ```
///   hub ◄── page in a browser ◄── data channel ──► native peer
///             └── WebSocket ── bridge ── TCP ── dat chat
/// ```
struct BrowserEnd {
  let chat: ChatProcess
  private let bridge: DatProcess
  private let browser: DatProcess
  private let kind: Browser

  private static let python = "/usr/bin/python3"

  /// The reason why it can't run here; nil if it can.
  static let obstacle: String? = {
    if let obstacle = NetworkNamespaces.obstacle { return obstacle }
    guard Browser.chromium.program != nil else { return "needs Debian's chromium" }
    return FileManager.default.isExecutableFile(atPath: python) ? nil : "needs python3"
  }()

  /// The page with the modules as published, if it was made: see Interop/browser.
  static let referencePage = ProcessInfo.processInfo.environment["DAT_REFERENCE_PAGE"]

  private static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Browser")

  /// Opens the page.
  ///
  /// - Parameters:
  ///   - dir: the folder for the room's files and the browser's profile.
  ///   - key: the room; nil makes one.
  ///   - hub: the hub's URL, of either kind.
  ///   - page: the folder of the page; nil for the tests' own.
  ///   - kind: the browser, which has to be here.
  init(
    _ dir: String, key: String? = nil, name: String, hub: String, page: String? = nil,
    in kind: Browser = .chromium, on machines: NetworkNamespaces, _ number: Int
  ) async throws {
    try machines.setRoute(of: number)
    self.kind = kind
    chat = try await ChatProcess(
      dir + "/room", key: key, name: name, listen: true, on: (machines, number))
    let port = chat.address?.split(separator: ":").last.map(String.init) ?? ""
    bridge = try await machines.start(
      program: Self.python,
      [Self.folder.path + "/bridge.py", page ?? Self.folder.path + "/page", port], on: number)
    let serving = try ChatProcess.event(
      try await bridge.line(containing: #""event": "serving""#))
    let room = PublicKey(hex: chat.key)?.discoveryKey.hex ?? ""
    let url =
      "http://127.0.0.1:\(serving["port"] as? Int ?? 0)/?hub=\(hub)&app=\(room)&id=\(name)"
    browser = try await machines.start(
      program: kind.program ?? "", kind.arguments(profile: dir + "/profile", url: url), on: number)
    try await says("listening")
  }

  /// Waits until the page has reported an event this many times.
  func says(_ event: String, times: Int = 1) async throws {
    let text = "\"event\": \"\(event)\""
    try await bridge.line("\(event), time \(times)") {
      $0.contains(text) && $0.contains("\"nth\": \(times)}")
    }
  }

  /// Reloads the page.
  func reload() async { await bridge.send("reload") }

  /// Closes the browser and leaves the room.
  func leave() async -> Int32 {
    // Firefox takes a minute to end when it is asked to; the profile is the test's own.
    await browser.signal(kind == .firefox ? SIGKILL : SIGTERM)
    _ = await browser.status()
    await bridge.closeInput()
    await bridge.signal(SIGTERM)
    return await chat.leave()
  }
}

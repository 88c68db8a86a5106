import DatTesting
import Foundation
import HypercoreCrypto

/// A headless Chromium on a machine of its own, whose end of the room is a `dat chat` beside it.
///
/// ```
///   hub ◄── page in Chromium ◄── data channel ──► native peer
///             └── WebSocket ── bridge ── TCP ── dat chat
/// ```
struct BrowserEnd {
  let chat: ChatProcess
  private let bridge: DatProcess
  private let browser: DatProcess

  static let chromium = [
    "/usr/lib/chromium/chromium", "/usr/lib/chromium-browser/chromium-browser",
  ]
  .first { FileManager.default.isExecutableFile(atPath: $0) }
  private static let python = "/usr/bin/python3"

  /// The reason why it can't run here; nil if it can.
  static let obstacle: String? = {
    if let obstacle = NetworkNamespaces.obstacle { return obstacle }
    guard chromium != nil else { return "needs Debian's chromium" }
    return FileManager.default.isExecutableFile(atPath: python) ? nil : "needs python3"
  }()

  private static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Browser")

  /// Opens the page.
  ///
  /// - Parameters:
  ///   - dir: the folder for the room's files and the browser's profile.
  ///   - key: the room; nil makes one.
  ///   - hub: the hub's URL, of either kind.
  init(
    _ dir: String, key: String? = nil, name: String, hub: String, on machines: NetworkNamespaces,
    _ number: Int
  ) async throws {
    try machines.setRoute(of: number)
    chat = try await ChatProcess(
      dir + "/room", key: key, name: name, listen: true, on: (machines, number))
    let port = chat.address?.split(separator: ":").last.map(String.init) ?? ""
    bridge = try await machines.start(
      program: Self.python,
      [Self.folder.path + "/bridge.py", Self.folder.path + "/page", port], on: number)
    let serving = try ChatProcess.event(
      try await bridge.line(containing: #""event": "serving""#))
    let room = PublicKey(hex: chat.key)?.discoveryKey.hex ?? ""
    let url =
      "http://127.0.0.1:\(serving["port"] as? Int ?? 0)/?hub=\(hub)&app=\(room)&id=\(name)"
    // No option that affects WebRTC, the network or permissions.
    browser = try await machines.start(
      program: Self.chromium ?? "",
      ["--headless", "--no-sandbox", "--user-data-dir=\(dir)/profile", url], on: number)
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
    await browser.signal(SIGTERM)
    _ = await browser.status()
    await bridge.closeInput()
    await bridge.signal(SIGTERM)
    return await chat.leave()
  }
}

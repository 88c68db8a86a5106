import Foundation

/// A browser of Debian's that opens a page without a window.
enum Browser: String, Sendable {
  case chromium, firefox

  /// The path of its program; nil if it is not here.
  var program: String? {
    switch self {
    case .chromium: Self.installedChromium
    case .firefox: Self.installedFirefox
    }
  }

  private static let installedChromium = first(of: [
    "/usr/lib/chromium/chromium", "/usr/lib/chromium-browser/chromium-browser",
  ])
  private static let installedFirefox = first(of: ["/usr/lib/firefox-esr/firefox-esr"])

  private static func first(of paths: [String]) -> String? {
    paths.first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  /// The arguments with which it opens a page, with a folder for its profile, which is made.
  ///
  /// None of them affects WebRTC, the network or permissions.
  func arguments(profile: String, url: String) -> [String] {
    switch self {
    case .chromium: return ["--headless", "--no-sandbox", "--user-data-dir=\(profile)", url]
    case .firefox:
      try? FileManager.default.createDirectory(
        atPath: profile, withIntermediateDirectories: true)
      return ["--headless", "--no-remote", "--profile", profile, url]
    }
  }
}

internal import DatCoding
public import Foundation

/// The recorded files against which conformance is tested.
///
/// They are in the folder that the environment variable `DAT_FIXTURES` names, of the same layout as
/// the repository's own `Fixtures`, which is the default. Opening a feed may write, so tests work
/// on temporary copies: ``TemporaryFolder/init(copyOf:)``.
public enum Fixtures {
  /// The folder in use.
  public static let root: URL = {
    if let path = ProcessInfo.processInfo.environment["DAT_FIXTURES"], !path.isEmpty {
      return URL(fileURLWithPath: path, isDirectory: true)
    }
    return URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures", isDirectory: true)
  }()

  /// The file or folder at `path` under ``root``.
  public static func url(_ path: String) -> URL { root.appendingPathComponent(path) }

  /// The bytes of the file at `path`.
  public static func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: url(path)))
  }

  /// The file at `path` as JSON of the given type.
  public static func json<Value: Decodable>(_ path: String, as type: Value.Type = Value.self) throws
    -> Value
  {
    try JSONDecoder().decode(Value.self, from: Data(contentsOf: url(path)))
  }

  /// Returns whether there is a file or folder at `path`.
  public static func exists(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: url(path).path)
  }
}

/// A folder that is removed when the test releases it.
public final class TemporaryFolder: Sendable {
  public let url: URL
  public var path: String { url.path }

  /// Creates an empty folder.
  public init() throws {
    url = FileManager.default.temporaryDirectory
      .appendingPathComponent("dat-test-\(UUID().uuidString)", isDirectory: true)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  /// Creates a copy of a fixture folder such as `feeds/one`.
  public init(copyOf fixture: String) throws {
    url = FileManager.default.temporaryDirectory
      .appendingPathComponent("dat-test-\(UUID().uuidString)", isDirectory: true)
    try FileManager.default.copyItem(at: Fixtures.url(fixture), to: url)
  }

  deinit { try? FileManager.default.removeItem(at: url) }
}

extension [UInt8] {
  /// Decodes a hex literal of a test or fixture; traps on anything else.
  public init(hex: String) {
    self = Hex.decode(hex)!
  }
}

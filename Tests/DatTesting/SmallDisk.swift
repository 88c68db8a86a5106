internal import Foundation

/// A disk for a test that can really be full: a file system in memory of a fixed size. Unmounted with the
/// last reference.
public final class SmallDisk: Sendable {
  private let folder: TemporaryFolder
  /// The path at which it is mounted.
  public var path: String { folder.path }

  /// The reason why this machine can't mount any; nil if it can.
  public static let obstacle: String? = {
    guard geteuid() == 0 else { return "needs root, to mount a small disk" }
    return (try? SmallDisk(bytes: 1 << 20)) == nil ? "the system mounts no tmpfs" : nil
  }()

  /// Mounts a disk of this many bytes.
  public init(bytes: Int) throws {
    folder = try TemporaryFolder()
    guard Self.run("mount", ["-t", "tmpfs", "-o", "size=\(bytes)", "tmpfs", folder.path]) else {
      throw CocoaError(.fileWriteNoPermission)
    }
  }

  deinit { _ = Self.run("umount", ["-l", folder.path]) }

  /// Prevents further writes to it.
  public func makeReadOnly() -> Bool { Self.run("mount", ["-o", "remount,ro", path]) }

  /// Fills the free space except for this many bytes.
  public func fill(leaving bytes: Int = 0) throws {
    let path = path + "/filler"
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    for size in [65_536, 4096] {
      let piece = Data(count: size)
      while free >= UInt64(bytes + size), (try? file.write(contentsOf: piece)) != nil {}
    }
    try? file.close()
  }

  /// Releases the space that ``fill(leaving:)`` took.
  public func empty() throws { try FileManager.default.removeItem(atPath: path + "/filler") }

  private var free: UInt64 {
    let values = try? FileManager.default.attributesOfFileSystem(forPath: path)
    return (values?[.systemFreeSize] as? NSNumber)?.uint64Value ?? 0
  }

  private static func run(_ command: String, _ arguments: [String]) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [command] + arguments
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}

internal import Foundation

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

extension Archive {
  /// Returns a signal whenever something in the archive's folder may have changed; several changes in a row are
  /// one. An import finds out what has changed.
  ///
  /// Uses inotify on Linux; elsewhere, and if the system has no more watches, it looks every second.
  ///
  /// - Throws: ``ArchiveError`` with `folder` if the archive has none.
  public nonisolated func folderChanges() async throws -> AsyncStream<Void> {
    guard let path = await workFolderPath else {
      throw ArchiveError(
        .folder, "This archive keeps its content itself: it has no folder to watch.")
    }
    let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    let watch = try FolderWatch(path) { continuation.yield() }
    continuation.onTermination = { _ in watch.stop() }
    watch.start()
    return stream
  }

  private var workFolderPath: String? { files?.folder.path }
}

/// A watch over a folder and everything below it, on a thread of its own.
///
/// Unchecked, with this proof: all but `isStopped` is used by the thread alone once it runs, and
/// `isStopped` under the lock only.
private final class FolderWatch: @unchecked Sendable {
  private let folder: WorkFolder
  private let onChange: @Sendable () -> Void
  private let lock = NSLock()
  private var isStopped = false
  #if os(Linux)
    private var descriptor: Int32 = -1
  #endif

  /// The quiet time, in milliseconds, before a change is reported: an editor or a copy makes many changes.
  private static let quiet: Int32 = 100
  /// The number of waits after which a change is reported although more keep coming.
  private static let mostWaits = 20

  init(_ path: String, onChange: @escaping @Sendable () -> Void) throws {
    folder = try WorkFolder(path)
    self.onChange = onChange
  }

  func start() {
    let thread = Thread { [self] in run() }
    thread.name = "dat.watch"
    thread.start()
  }

  func stop() { lock.withLock { isStopped = true } }

  private var goesOn: Bool { lock.withLock { !isStopped } }

  private func run() {
    #if os(Linux)
      if watchAll() {
        defer { FileSystem.closeFile(descriptor) }
        while goesOn {
          guard wait(250) else { continue }
          var waits = 0
          repeat {
            if readEvents(), !watchAll() { return look() }
            waits += 1
          } while wait(Self.quiet) && waits < Self.mostWaits && goesOn
          onChange()
        }
        return
      }
    #endif
    look()
  }

  /// Looks every second.
  private func look() {
    var last = state
    while goesOn {
      Thread.sleep(forTimeInterval: 1)
      let now = state
      if now != last { onChange() }
      last = now
    }
  }

  /// A number that changes with the files of the folder.
  private var state: Int {
    guard let scan = try? FolderScan(folder, IgnoreRules(ignoresHidden: false)) else { return 0 }
    var hasher = Hasher()
    for found in scan.files {
      hasher.combine(found.path)
      hasher.combine(found.status)
    }
    return hasher.finalize()
  }

  #if os(Linux)
    private static let mask =
      UInt32(
        IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ATTRIB
          | IN_ONLYDIR)
      | UInt32(IN_DONT_FOLLOW)

    /// Watches every existing folder. Those that are already watched stay so.
    private func watchAll() -> Bool {
      if descriptor < 0 {
        descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
      }
      guard descriptor >= 0 else { return false }
      var paths = [ArchivePath.root]
      while let path = paths.popLast() {
        guard
          inotify_add_watch(
            descriptor, folder.path + String(decoding: path.bytes, as: UTF8.self), Self.mask) >= 0
            || errno != ENOSPC
        else { return false }
        for name in folders(in: path) where !(path.count == 0 && LayoutRules.isOwnFolder(name)) {
          paths.append(path.appending(name))
        }
      }
      return true
    }

    private func folders(in path: ArchivePath) -> [[UInt8]] {
      let names = try? folder.inFolder(path) { folder throws(SystemError) -> [[UInt8]] in
        var found: [[UInt8]] = []
        for name in try FileSystem.names(in: folder)
        where try FileSystem.status(of: name, in: folder)?.isFolder == true {
          found.append(name)
        }
        return found
      }
      return names ?? []
    }

    private func wait(_ milliseconds: Int32) -> Bool {
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      return poll(&entry, 1, milliseconds) > 0
    }

    /// Reads the pending events.
    ///
    /// - Returns: true if folders came or events were lost, so that everything has to be watched anew.
    private func readEvents() -> Bool {
      var buffer = [UInt8](repeating: 0, count: 65_536)
      let count = read(descriptor, &buffer, buffer.count)
      var offset = 0
      var hasFolders = false
      // An event: number, mask, cookie and length of the name, 4 bytes each, then the name.
      while offset + 16 <= count {
        let (mask, length) = buffer.withUnsafeBytes {
          (
            $0.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self),
            $0.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self)
          )
        }
        if mask & UInt32(IN_ISDIR) != 0 || mask & UInt32(IN_Q_OVERFLOW) != 0 { hasFolders = true }
        offset += 16 + Int(length)
      }
      return hasFolders
    }
  #endif
}

public import Hypercore
internal import HypercoreCrypto
public import RandomAccessStorage

extension Archive {
  /// Opens the archive whose files lie in a folder, as the command `dat` keeps it: its feeds are in `.dat`, and
  /// the bytes of its content are the files beside that.
  ///
  /// In a reader's folder each new version is laid out as it comes: a file appears as a whole, under its name,
  /// with its permissions and time. In an owner's, ``importFolder(ignoresHidden:progress:)`` adds what has changed.
  ///
  /// - Parameter folder: the folder with the files. For a clone or a new archive it is created if it is
  ///   missing, but not its parent.
  /// - Parameter secretKeys: the folder of secret keys; nil for `.dat/secret_keys` in the user's home.
  /// - Parameter access: with `readOnly` nothing is written and no lock is taken.
  /// - Parameter options: the options of the archive. Its content is kept only for the newest version.
  /// - Parameter replica: the isolation domain in which it runs; a new one unless it shares another's.
  /// - Throws: ``ArchiveError`` with `folder`; `FeedError`; `StorageError` with `locked`.
  ///
  /// Stands for `hyperdrive(datStorage(folder), key, { latest: true })`.
  public static func open(
    workFolder folder: String, secretKeys: String? = nil, access: StorageAccess = .readWrite,
    options: Options = Options(), replica: Replica = Replica()
  ) async throws -> Archive {
    var options = options
    options.latest = true
    let archive = try await Archive(
      make(
        on: replica, folder,
        SecretKeys(folder: secretKeys ?? defaultSecretKeys, access: access), access, options),
      options: options)
    try await archive.start()
    return archive
  }

  /// The folder in which the command of 2018 keeps secret keys.
  public static var defaultSecretKeys: String { FileSystem.home + "/.dat/secret_keys" }

  /// Returns the kind of archive that a folder holds; nil for none. Nothing is changed.
  ///
  /// - Throws: ``ArchiveError`` with `notAnArchive` for a `.dat` from before May 2017.
  public static func kind(of folder: String) throws -> FolderKind? {
    let storage = FolderStorage(path: folder, access: .readOnly)
    if try storage.exists(".dat/metadata.key") { return .workFolder(path: storage.path) }
    if try storage.exists("metadata.key") {
      let path = storage.path
      return path.hasSuffix("/.dat") ? .workFolder(path: String(path.dropLast(5))) : .feeds
    }
    if try storage.exists("metadata/key") { return .feeds }
    if try storage.exists(".dat/CURRENT") || storage.exists(".dat/LOCK") {
      throw ArchiveError(
        .notAnArchive,
        "\(folder)/.dat is of a dat from before May 2017, whose database nothing reads any more. The files "
          + "beside it are as they were: share them as a new archive from a copy without .dat.")
    }
    return nil
  }

  /// The kind of archive in a folder.
  public enum FolderKind: Hashable, Sendable {
    /// A folder with files and a `.dat`: open it with ``Archive/open(workFolder:secretKeys:access:options:replica:)``.
    case workFolder(path: String)
    /// Two feeds: open them with ``Archive/open(folder:access:options:)``.
    case feeds
  }

  private static func make(
    on replica: isolated Replica, _ path: String, _ secrets: SecretKeys, _ access: StorageAccess,
    _ options: Options
  ) throws -> OnReplica<ArchiveParts> {
    let own = FolderStorage(path: path + "/.dat", access: access)
    var options = options
    options.storeSecretKey = false
    let storedBytes = try own.storage(named: "metadata.key").bytes(32)
    let stored = PublicKey(bytes: storedBytes)
    if stored == nil, !storedBytes.isEmpty, options.key == nil {
      throw ArchiveError(
        .folder,
        "The file \(path)/.dat/metadata.key is cut short: give the archive's link, or take it from a copy."
      )
    }
    if stored == nil, access == .readWrite { try makeFolder(path) }
    let files = try ContentFiles(
      WorkFolder(path), syncs: access == .readWrite && options.durability != .buffered)
    var lock: (any StorageLock)?
    if let key = stored {
      // A second clone of the owner's archive has no such file, and stays a reader.
      if try !own.storage(named: "metadata.ogd").bytes(1).isEmpty {
        options.secretKey = try options.secretKey ?? secrets.secretKey(of: key)
        if options.secretKey != nil { lock = try secrets.lock(key) }
      }
    } else if options.key == nil {
      guard options.createIfMissing, access == .readWrite else {
        throw ArchiveError(.folder, "There is no archive in \(path): it has no .dat.")
      }
      let pair = options.keyPair ?? KeyPair.generate()
      options.keyPair = pair
      try secrets.store(pair.secretKey, of: pair.publicKey)
      lock = try secrets.lock(pair.publicKey)
      try own.storage(named: "metadata.ogd").write([StorageWrite(offset: 0, bytes: [0])])
    }
    if let key = stored, let wanted = options.key, wanted != key {
      throw ArchiveError(
        .folder,
        "Another archive is in \(path): its key is \(key), not \(wanted). Choose another folder.")
    }
    options.key = options.key ?? stored
    let feeds = try ArchiveFeeds(own, .dotted, files: files, secretLock: lock, options: options)
    return OnReplica(ArchiveParts(feeds, files: files, on: replica), on: replica)
  }

  private static func makeFolder(_ path: String) throws {
    do { try FileSystem.makeFolder(path) } catch {
      if error.exists { return }
      throw ArchiveError(
        .folder,
        error.isMissing
          ? "The folder that \(path) is to be made in is not there: make it first."
          : "The folder \(path) can't be made: \(error.message).", cause: error)
    }
  }
}

internal import HypercoreCrypto
internal import RandomAccessStorage

/// The folder in which the command of 2018 keeps secret keys: `XX/YYYY…` under a folder of the user's, by the
/// discovery key of the metadata feed.
///
/// Source: dat-secret-storage `index.js`. Fixture: `archives/dat-folder/secret_keys`.
struct SecretKeys {
  private let storage: FolderStorage

  /// - Parameter folder: the folder; the command's is `~/.dat/secret_keys`.
  init(folder: String, access: StorageAccess) {
    storage = FolderStorage(path: folder, access: access)
  }

  private func name(_ key: PublicKey) -> String {
    let hex = key.discoveryKey.hex
    return hex.prefix(2) + "/" + hex.dropFirst(2)
  }

  /// Returns the secret key of an archive; nil if it is not here, or cut short.
  func secretKey(of key: PublicKey) throws -> SecretKey? {
    guard try storage.exists(name(key)) else { return nil }
    let bytes = try storage.storage(named: name(key)).bytes(64)
    return SecretKey(bytes: bytes).flatMap { $0.publicKey == key ? $0 : nil }
  }

  /// Stores a new archive's secret key. Only its owner can read the file and its folders.
  func store(_ secret: SecretKey, of key: PublicKey) throws {
    let file = try storage.storage(named: name(key))
    try file.write([StorageWrite(offset: 0, bytes: secret.bytes)])
    try file.sync()
    file.close()
  }

  /// Locks an archive for writing, from whatever folder.
  ///
  /// - Throws: `StorageError` with `locked` if another process writes it.
  func lock(_ key: PublicKey) throws -> (any StorageLock)? { try storage.lock(name(key)) }
}

extension RandomAccessStorage {
  /// Returns the first bytes, at most `count`.
  func bytes(_ count: Int) throws(StorageError) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
    defer { buffer.deallocate() }
    let filled = try read(at: 0, into: buffer)
    return Array(buffer.prefix(filled))
  }
}

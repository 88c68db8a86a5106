internal import DatCoding
internal import Foundation
internal import HypercoreCrypto
internal import RandomAccessStorage

/// A host's folder: `keys`, the list of hosted keys; `replicas/`, a folder for each; `control`, the
/// socket; `lock`.
///
/// Only its owner can read it. A replica's folder is named after its discovery key.
struct HostFolder {
  let path: String
  private let lock: (any StorageLock)?

  /// Opens the folder, creates it if it is missing, and takes its lock.
  ///
  /// - Throws: ``HostError`` with `folder`.
  init(path: String) throws(HostError) {
    let storage = FolderStorage(path: path)
    self.path = storage.path
    do {
      try FileManager.default.createDirectory(
        atPath: storage.path, withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700])
      try FileManager.default.setAttributes(
        [.posixPermissions: 0o700], ofItemAtPath: storage.path)
      lock = try storage.lock("lock")
    } catch let error as StorageError {
      throw HostError(.folder, "\(error)")
    } catch {
      throw HostError(
        .folder, "The folder \(storage.path) can't be used: \(error.localizedDescription)")
    }
  }

  /// Releases the folder.
  func close() { lock?.release() }

  /// Returns the folder of a replica.
  func replica(of key: PublicKey) -> String { replicas.path(of: key.discoveryKey) }

  /// The folders of replicas.
  var replicas: ReplicaFolders { ReplicaFolders(path: path) }

  /// Returns the kind of what is already stored there.
  func storedKind(of key: PublicKey) -> HostedKind? {
    let storage = FolderStorage(path: replica(of: key), access: .readOnly)
    if (try? storage.exists("source/key")) == true { return .database }
    if (try? storage.exists("metadata/key")) == true { return .archive }
    if (try? storage.exists("key")) == true { return .feed }
    return nil
  }

  /// Deletes what is stored of a key.
  func delete(_ key: PublicKey) throws(HostError) {
    let path = replica(of: key)
    guard FileManager.default.fileExists(atPath: path) else { return }
    do { try FileManager.default.removeItem(atPath: path) } catch {
      throw HostError(.folder, "\(path) can't be deleted: \(error.localizedDescription)")
    }
  }

  // MARK: The list

  private var list: String { path + "/keys" }

  /// The most bytes of a list; a larger one was not written here.
  private static let listLimit = 64 << 20

  /// Reads the keys that the host had last.
  ///
  /// - Throws: ``HostError`` with `malformedFile` and the line.
  func keys() throws(HostError) -> [HostedKey] {
    guard FileManager.default.fileExists(atPath: list) else { return [] }
    guard let data = FileManager.default.contents(atPath: list), data.count <= Self.listLimit
    else { throw HostError(.malformedFile, "\(list) can't be read as a list of keys.") }
    var keys: [HostedKey] = []
    for (number, line) in TextLines.all(data).enumerated() {
      let line = ForeignText(bytes: line).trimmed
      if line.utf8.isEmpty || line.starts(with: "#") { continue }
      do throws(HostError) {
        keys.append(try HostedKey(parsing: line.string))
      } catch {
        throw HostError(.malformedFile, "\(list), line \(number + 1): \(error.reason)")
      }
    }
    return keys
  }

  /// Replaces the list as a whole.
  func write(_ keys: [HostedKey]) throws(HostError) {
    let text = keys.map { "\($0)\n" }.joined()
    do {
      try Data(text.utf8).write(to: URL(fileURLWithPath: list), options: .atomic)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: list)
    } catch {
      throw HostError(.folder, "\(list) can't be written: \(error.localizedDescription)")
    }
  }
}

/// A storage that stays in memory until there is something worth keeping.
///
/// For files that a stranger can cause by naming a feed. They are written to the base storage only once one
/// of them, other than the key, is written beyond its header of 32 bytes. From then on all calls go to the
/// base.
///
/// Unchecked with this proof: a provider is made and used by one feed, and all calls to it come from that
/// feed's isolation domain; nothing else holds a reference to it.
public final class DeferredStorage: StorageProvider, @unchecked Sendable {
  private let base: any StorageProvider
  private let memory = MemoryStorage()
  private var files: [Reference] = []
  /// The files that are in the base storage already, if not all could be written.
  private var moved: Set<String> = []
  /// True once the files are in the base storage.
  private var isWritten = false

  /// Creates a storage that creates files in `base` only when something is written.
  public init(_ base: any StorageProvider) { self.base = base }

  public var access: StorageAccess { base.access }

  public func storage(named name: String) throws(StorageError) -> any RandomAccessStorage {
    if isWritten || moved.contains(name) { return try base.storage(named: name) }
    let (inMemory, final) = (try memory.storage(named: name), try base.storage(named: name))
    let file = DeferredFile(owner: self, file: inMemory, isKey: name.hasSuffix("key"))
    files.append(Reference(name: name, file: file, inMemory: inMemory, final: final))
    return file
  }

  public func lock(_ name: String) throws(StorageError) -> (any StorageLock)? {
    isWritten ? try base.lock(name) : nil
  }

  public func space() throws(StorageError) -> StorageSpace? { try base.space() }

  public func remove(_ name: String) throws(StorageError) {
    try holder(of: name).remove(name)
  }

  public func exists(_ name: String) throws(StorageError) -> Bool {
    try holder(of: name).exists(name)
  }

  public func identity(of name: String) throws(StorageError) -> String? {
    isWritten ? try base.identity(of: name) : nil
  }

  private func holder(of name: String) -> any StorageProvider {
    isWritten || moved.contains(name) ? base : memory
  }

  /// Writes the content of memory to the base storage. After an error the files that are not there yet stay in memory, and
  /// the next write tries again.
  fileprivate func writeOut() throws(StorageError) {
    while let reference = files.first {
      try reference.writeOut()
      moved.insert(reference.name)
      // Every handle of the file, so that none writes its older content once more.
      for other in files where other.name == reference.name { other.file?.move(to: other.final) }
      files.removeAll { $0.name == reference.name }
    }
    isWritten = true
  }

  /// A file, in memory and on the disk. The file that was handed out keeps its owner, so the owner doesn't keep
  /// it: a feed that is dropped without being closed would never be freed.
  private struct Reference {
    let name: String
    weak var file: DeferredFile?
    let inMemory: any RandomAccessStorage
    let final: any RandomAccessStorage

    func writeOut() throws(StorageError) {
      let bytes = try Self.content(of: inMemory)
      if !bytes.isEmpty { try final.write([StorageWrite(offset: 0, bytes: bytes)]) }
    }

    private static func content(of file: any RandomAccessStorage) throws(StorageError) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: Int(try file.length()))
      var result = Result<Int, StorageError>.success(0)
      bytes.withUnsafeMutableBytes { buffer in
        result = Result { () throws(StorageError) in try file.read(at: 0, into: buffer) }
      }
      return Array(bytes.prefix(try result.get()))
    }
  }
}

private final class DeferredFile: RandomAccessStorage {
  private static let headerSize: UInt64 = 32

  /// The owner lives as long as its files may have to be written; released when they are, or closed.
  private var owner: DeferredStorage?
  private var file: any RandomAccessStorage
  private let isKey: Bool

  init(owner: DeferredStorage, file: any RandomAccessStorage, isKey: Bool) {
    self.owner = owner
    self.file = file
    self.isKey = isKey
  }

  /// Sends all calls to the file in the base storage from now on.
  func move(to final: any RandomAccessStorage) {
    file = final
    owner = nil
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError)
    -> Int
  {
    try file.read(at: offset, into: buffer)
  }

  func write(_ pieces: [StorageWrite]) throws(StorageError) {
    if !isKey, pieces.contains(where: { $0.offset + UInt64($0.bytes.count) > Self.headerSize }) {
      try owner?.writeOut()
    }
    try file.write(pieces)
  }

  func length() throws(StorageError) -> UInt64 { try file.length() }

  func nextStored(from offset: UInt64) throws(StorageError) -> UInt64? {
    try file.nextStored(from: offset)
  }

  func occupied() throws(StorageError) -> UInt64 { try file.occupied() }

  func delete(at offset: UInt64, count: UInt64) throws(StorageError) {
    try file.delete(at: offset, count: count)
  }

  func truncate(to length: UInt64) throws(StorageError) { try file.truncate(to: length) }

  func sync() throws(StorageError) { try file.sync() }

  func close() {
    owner = nil
    file.close()
  }
}

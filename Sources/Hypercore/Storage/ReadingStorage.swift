package import RandomAccessStorage

/// A read-only view of a storage, whatever access that has.
package struct ReadingStorage: StorageProvider {
  private let wrapped: any StorageProvider
  package var access: StorageAccess { .readOnly }

  package init(_ wrapped: any StorageProvider) { self.wrapped = wrapped }

  package func storage(named name: String) throws(StorageError) -> any RandomAccessStorage {
    try wrapped.storage(named: name)
  }

  package func lock(_ name: String) throws(StorageError) -> (any StorageLock)? { nil }

  package func space() throws(StorageError) -> StorageSpace? { try wrapped.space() }

  package func exists(_ name: String) throws(StorageError) -> Bool { try wrapped.exists(name) }

  package func identity(of name: String) throws(StorageError) -> String? {
    try wrapped.identity(of: name)
  }
}

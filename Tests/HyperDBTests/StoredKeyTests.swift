import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// Databases whose secret keys are kept elsewhere.
@Suite struct StoredKeyTests {
  private func options(_ pair: KeyPair?, isNew: Bool = false) -> HyperDB.Options {
    var options = HyperDB.Options()
    options.storeSecretKey = false
    options.keyPair = pair
    options.isNew = isNew
    return options
  }

  @Test func `the secret key of a database is not stored, and given again to write`() async throws {
    let storage = MemoryStorage()
    let pair = KeyPair.generate()
    let db = try await HyperDB.open(storage: storage, options: options(pair, isNew: true))
    #expect(db.key == pair.publicKey)
    try await db.put("a", [1])
    await db.close()
    #expect(try !storage.exists("source/secret_key"))
    #expect(try storage.exists("source/key"))

    // Without it there is a reader, which makes no feed of its own that would be lost.
    let reader = try await HyperDB.open(storage: storage, options: options(nil))
    #expect(try await reader.get("a", options: .init(update: false)).map(\.value) == [[1]])
    let error = await #expect(throws: HyperDBError.self) { try await reader.put("a", [2]) }
    #expect(error?.code == .notWritable)
    await reader.close()
    #expect(try !storage.exists("local/key"))

    let again = try await HyperDB.open(storage: storage, options: options(pair))
    try await again.put("a", [3])
    #expect(try await again.get("a").map(\.value) == [[3]])
    await again.close()
    #expect(try !storage.exists("source/secret_key"))
  }

  @Test func `a new database whose secret key would be lost is refused, and leaves nothing`()
    async throws
  {
    let storage = MemoryStorage()
    let error = await #expect(throws: HyperDBError.self) {
      _ = try await HyperDB.open(storage: storage, options: options(nil))
    }
    #expect(error?.code == .notWritable)
    #expect(error?.reason.contains("`keyPair`") == true)
    #expect(try !storage.exists("source/key"))
  }

  @Test func `the secret key of a clone's feed is not stored either`() async throws {
    let owner = try await HyperDB.inMemory()
    try await owner.put("a", [1])
    let storage = MemoryStorage()
    let pair = KeyPair.generate()
    var options = options(nil, isNew: true)
    options.localKeyPair = pair
    let clone = try await HyperDB.open(storage: storage, key: owner.key, options: options)
    #expect(clone.localKey == pair.publicKey)
    try await owner.authorize(clone.localKey)
    try await sync(owner, clone)
    try await clone.put("b", [2])
    await clone.close()
    #expect(try !storage.exists("local/secret_key"))

    options.isNew = false
    let again = try await HyperDB.open(storage: storage, options: options)
    try await again.put("b", [3])
    try await sync(owner, again)
    #expect(try await owner.get("b").map(\.value) == [[3]])
    await again.close()
    options.localKeyPair = nil
    let reader = try await HyperDB.open(storage: storage, options: options)
    #expect(try await reader.get("b").map(\.value) == [[3]])
    await #expect(throws: HyperDBError.self) { try await reader.put("b", [4]) }
    #expect(try !storage.exists("local/secret_key"))
  }
}

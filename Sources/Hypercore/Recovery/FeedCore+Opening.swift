internal import HypercoreCrypto
package import RandomAccessStorage

extension FeedCore {
  /// Opens the feed in a storage, or creates one.
  ///
  /// A healthy feed of any length opens with a few reads. Damage from a crash is repaired if the repair is
  /// certain, and listed in ``report``. With read-only storage no byte changes and no lock is taken.
  ///
  /// - Parameter prefix: precedes the names of its files, such as `source/`.
  /// - Throws: ``FeedError`` with a code of those under "Opening", or `storage`, for example if the lock is
  ///   held elsewhere. Nothing has been changed in these cases.
  ///
  /// Source: hypercore v6.26.0 `index.js`, `_open`.
  package static func open(
    in provider: any StorageProvider, prefix: String = "", options: FeedOptions = FeedOptions()
  ) throws(FeedError) -> FeedCore {
    let files = try FeedFiles(provider, prefix: prefix, data: options.data)
    // Looks before it takes the lock, which leaves a file behind.
    var stored = try StoredFeed(files, overwriting: options.overwrite)
    _ = try stored.identity(options, access: provider.access)
    var lock: (any StorageLock)?
    if !options.holdsLock, provider.access == .readWrite {
      do {
        lock = try provider.lock(prefix + "bitfield")
      } catch {
        throw FeedError(error)
      }
      if lock != nil { stored = try StoredFeed(files, overwriting: options.overwrite) }
    }
    do {
      let identity = try stored.identity(options, access: provider.access)
      let bits = Bitfield(
        file: files.bitfield, pageSize: stored.pageSize, pageCount: stored.pageCount)
      let core = try FeedCore(
        files, identity, options: options, bits: bits, lock: lock)
      if identity.isGenerated { stored.isNew = true }
      try core.settle(stored, options)
      return core
    } catch {
      lock?.release()
      files.close()
      throw error
    }
  }

  /// Finishes opening; nothing was changed before.
  private func settle(_ stored: StoredFeed, _ options: FeedOptions) throws(FeedError) {
    if options.overwrite {
      if access == .readWrite { try forget() }
    } else {
      try recover(stored)
    }
    if !options.overwrite { try readForkEvidence() }
    if try lacksItsBlocks(stored, options) { recovery.foundKeysAlone() }
    guard access == .readWrite else { return }
    // The mark comes first, so that a crash does not make this look like a new feed.
    if isRestoring { try markAsRestoring() } else { try forgetRestoring() }
    try writeHeaders(stored, overwriting: options.overwrite)
    // The secret key comes first, as the public key can be derived from it. Blocks on the disk are worth
    // nothing without the keys.
    let isSynced = options.durability != .buffered
    if options.storeSecretKey, let secretKey, secretKey != stored.secretKey || options.overwrite {
      try files.secretKey.write(secretKey.bytes, at: 0)
      if isSynced { try files.secretKey.sync() }
    }
    if let key, key != stored.key || options.overwrite {
      try files.key.write(key.bytes, at: 0)
      if isSynced { try files.key.sync() }
    }
    if isOwned { checkMarker(isNew: options.overwrite) }
  }

  func writeHeaders(_ stored: StoredFeed, overwriting: Bool) throws(FeedError) {
    if !stored.hasTreeHeader || overwriting {
      try files.tree.write(FeedFileHeader.tree.bytes, at: 0)
    }
    if !stored.hasSignaturesHeader || overwriting {
      try files.signatures.write(FeedFileHeader.signatures.bytes, at: 0)
    }
    if !stored.hasBitfieldHeader || overwriting {
      try files.bitfield.write(FeedFileHeader.bitfield(pageSize: bits.pageSize).bytes, at: 0)
    }
  }

  /// Empties the files of a feed that is overwritten. The reference leaves old nodes and signatures
  /// behind, which the same key would make pass for new ones.
  func forget() throws(FeedError) {
    for file in [files.bitfield, files.signatures, files.data, files.fork] {
      if file.name == files.data.name, files.dataIsElsewhere { continue }
      if try file.length() > 0 { try file.truncate(to: 0) }
    }
    if try files.tree.length() > 0 { try tree.truncate(toSlots: 0) }
    if secretKey == nil, try files.secretKey.length() > 0 { try files.secretKey.truncate(to: 0) }
  }
}

/// The state of the files before anything is decided.
struct StoredFeed {
  var key: PublicKey?
  var secretKey: SecretKey?
  /// True if the secret key in the file is incomplete.
  var secretKeyIsCut = false
  var pageSize = Bitfield.standardPageSize
  var pageCount = 0
  /// True if the last page is incomplete.
  var hasCutPage = false
  /// True if the bitfield's header says that a page has no bytes, which is how the reference leaves a feed
  /// that it has overwritten.
  var hasBlankPageSize = false
  var hasTreeHeader = false
  var hasSignaturesHeader = false
  var hasBitfieldHeader = false
  /// True if the key pair was generated just now.
  var isNew = false

  /// The number of signatures, including blank ones.
  var signatureCount: UInt64 = 0

  init(_ files: FeedFiles, overwriting: Bool) throws(FeedError) {
    let keyBytes = try files.key.read(at: 0, count: PublicKey.byteCount)
    key = PublicKey(bytes: keyBytes)
    let secretBytes = try files.secretKey.read(at: 0, count: SecretKey.byteCount)
    secretKey = SecretKey(bytes: secretBytes)
    if let secretKey, secretKey.isZero { self.secretKey = nil }
    if let key, key.isZero { self.key = nil }
    secretKeyIsCut = !secretBytes.isEmpty && secretKey == nil
    signatureCount = try SignatureFile(file: files.signatures).slotCount()
    if overwriting { return }
    hasTreeHeader = try Self.header(of: files.tree, .tree) != nil
    hasSignaturesHeader = try Self.header(of: files.signatures, .signatures) != nil
    let bitfield = try Self.header(of: files.bitfield, .bitfield)
    if let bitfield { pageSize = bitfield.entrySize }
    // A page size of 0 is read as the standard one, and corrected.
    let start = try Self.start(of: files.bitfield)
    hasBitfieldHeader = bitfield != nil && bitfield?.bytes == start
    hasBlankPageSize = bitfield != nil && !hasBitfieldHeader
    let length = try files.bitfield.length()
    if length > 32 {
      hasCutPage = (length - 32) % UInt64(pageSize) != 0
      let pages = (length - 32 + UInt64(pageSize) - 1) / UInt64(pageSize)
      pageCount = Int(min(pages, FeedLimits.maximumLength / BitfieldPage.dataBits))
    }
  }

  private static func start(of file: FeedFile) throws(FeedError) -> [UInt8] {
    try file.read(at: 0, count: FeedFileHeader.byteCount)
  }

  private static func header(
    of file: FeedFile, _ kind: FeedFileHeader.Kind
  ) throws(FeedError) -> FeedFileHeader? {
    switch FeedFileHeader.read(try start(of: file), kind: kind) {
    case .blank: return nil
    case .header(let header): return header
    case .foreign:
      throw FeedError(
        code: .foreignFile,
        reason: "\(file.name) does not start like the file of a feed. Nothing was changed; choose "
          + "another place, or overwrite what is there.")
    }
  }

  /// The keys that the feed is opened with.
  struct Identity {
    var key: PublicKey?
    var secretKey: SecretKey?
    var findings: [RepairReport.Finding] = []
    /// True if the key pair was generated just now.
    var isGenerated = false
  }

  /// Decides which feed this is, changing nothing.
  func identity(_ options: FeedOptions, access: StorageAccess) throws(FeedError) -> Identity {
    guard !options.overwrite || access == .readWrite else {
      throw FeedError(code: .notWritable, reason: "Read-only storage can't be overwritten.")
    }
    var identity = Identity()
    var storedKey = options.overwrite ? nil : key
    let storedSecret = options.overwrite ? nil : secretKey
    if storedKey == nil, let storedSecret {
      storedKey = storedSecret.publicKey
      identity.findings.append(.keyRecovered)
    }
    if secretKeyIsCut, !options.overwrite { identity.findings.append(.secretKeyCut) }

    let given = options.key ?? options.secretKey?.publicKey
    if let storedKey, let given, storedKey != given {
      throw FeedError(
        code: .anotherFeedStored,
        reason: "Another feed is stored here: its key is \(storedKey), not \(given).")
    }
    identity.key = storedKey ?? given
    identity.secretKey = storedSecret ?? options.secretKey
    if identity.key == nil {
      guard options.createIfMissing, access == .readWrite else {
        throw FeedError(
          code: .noFeedStored, reason: "No feed is stored here, and none was to be created.")
      }
      guard options.overwrite || pageCount == 0 || signatureCount == 0 else {
        throw FeedError(
          code: .keyMissing,
          reason: "Blocks are stored here, but the file of their key is gone: open with the key.")
      }
      if options.isLive {
        let pair = options.makeKeyPair()
        identity.key = pair.publicKey
        identity.secretKey = pair.secretKey
        identity.isGenerated = true
      }
    }
    if let key = identity.key, let secretKey = identity.secretKey {
      guard secretKey.publicKey == key, KeyPair(publicKey: key, secretKey: secretKey).isValid else {
        throw FeedError(
          code: .keyMismatch, reason: "The key \(key) and the secret key do not match.")
      }
    }
    return identity
  }
}

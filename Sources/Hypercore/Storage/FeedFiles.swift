internal import RandomAccessStorage

/// The files of a feed: six as in the reference, and two of this project.
struct FeedFiles {
  let provider: any StorageProvider
  let access: StorageAccess
  let key: FeedFile
  let secretKey: FeedFile
  let tree: FeedFile
  let data: FeedFile
  /// True if `data` is a storage of the caller, such as an archive's files. Nothing is inferred from its
  /// state: it is not measured, cut or mended. Its bytes may change at any time, so each block is compared
  /// with its leaf whenever it is read.
  let dataIsElsewhere: Bool
  let bitfield: FeedFile
  let signatures: FeedFile
  /// Not in the reference: identifies the folder in which the feed is written.
  let marker: FeedFile
  /// Not in the reference: the evidence of a fork.
  let fork: FeedFile

  init(
    _ provider: any StorageProvider, prefix: String, data elsewhere: (any RandomAccessStorage)?
  ) throws(FeedError) {
    self.provider = provider
    access = provider.access
    key = try FeedFile(prefix + "key", in: provider)
    secretKey = try FeedFile(prefix + "secret_key", in: provider)
    tree = try FeedFile(prefix + "tree", in: provider)
    dataIsElsewhere = elsewhere != nil
    if let elsewhere {
      data = FeedFile(prefix + "data", elsewhere)
    } else {
      data = try FeedFile(prefix + "data", in: provider)
    }
    bitfield = try FeedFile(prefix + "bitfield", in: provider)
    signatures = try FeedFile(prefix + "signatures", in: provider)
    marker = try FeedFile(prefix + "marker", in: provider)
    fork = try FeedFile(prefix + "fork.json", in: provider)
  }

  var all: [FeedFile] { [key, secretKey, tree, data, bitfield, signatures, marker, fork] }

  /// The files whose size depends on the feed's length; without `data` if it is kept elsewhere.
  var growing: [FeedFile] {
    dataIsElsewhere ? [tree, bitfield, signatures] : [tree, data, bitfield, signatures]
  }

  func close() {
    for file in all { file.storage.close() }
  }
}

/// The limits on what a feed accepts from files and peers.
package enum FeedLimits {
  /// The most blocks that a feed may have: 4,294,967,296. The page table then takes 4 MB. A feed that claims
  /// more, which only its own writer could sign, is refused before anything is allocated.
  package static let maximumLength: UInt64 = 1 << 32

  /// The most bytes that a feed may have: 2^53 - 1, the greatest integer that the reference's numbers hold
  /// exactly.
  package static let maximumByteLength: UInt64 = (1 << 53) - 1

  /// The most bytes of a block that is appended: 8,384,512, which is 8 MiB less 4 KiB. The block has to fit
  /// into a frame of 8 MiB with its largest proof: 62 nodes (31 siblings on the way up from a block of 2^32,
  /// and 31 other roots) of 51 bytes, a signature of 66, and 13 for index, length and channel, 3,241 bytes in
  /// all. No peer could ever receive a longer block, nor anything that follows it in order.
  package static let maximumBlockSize = 8_384_512

  /// The greatest size (16 MiB, twice the largest frame) at which a block is read without first checking that
  /// the file holds that much.
  static let trustedBlockSize: UInt64 = 16 << 20

  /// The pages of the `tree` file that are kept in memory: 256 pages of 5,120 bytes, 1.3 MB, allocated as
  /// they are used. Together they hold the nodes of 16,384 blocks.
  static let treePages = 256

  /// The nodes of depth 7 and more that are kept apart from their pages, on which they are the only one in
  /// use: 8,192 nodes, about 0.6 MB. Enough for all such nodes of a feed of 500,000 blocks.
  static let upperNodes = 8192

  /// The byte offsets of every 64th block that are kept in memory, 8 bytes each: up to 8 MB, for a feed of 64
  /// million blocks. Beyond that, offsets are summed up each time.
  static let offsetMarks = 1 << 20

  /// The partial pages of a ``RemoteTree``: 1,024 of 1 KB, 1 MB for each peer and feed. Beyond that the tree
  /// is dropped, at the price of nodes that are sent twice.
  static let remoteTreePages = 1024

  /// The runs of 64 blocks whose places are kept, 300 bytes each: up to 1.2 MB, for 262,144 blocks. Allocated
  /// as blocks are read one at a time.
  static let placedRuns = 4096

  /// The number of blocks past the end of `data` that are checked one after another, at opening, before the
  /// first of them is searched for by halves.
  static let linearDataChecks = 256

  /// The total length (1 GiB) from which it is reported that a feed's files are mostly holes.
  static let tellingHoles: UInt64 = 1 << 30

  /// The number of signatures that are tried one after another before the search goes in growing steps.
  static let linearSignatureChecks = 64
}

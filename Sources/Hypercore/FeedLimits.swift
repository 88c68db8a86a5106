/// The bounds of what a feed takes from files and peers, in one place.
package enum FeedLimits {
  /// How many blocks a feed may have: 4,294,967,296. Its page table then takes 4 MB; a feed that
  /// claims more, which only its own writer could sign, is refused before anything is allocated.
  package static let maximumLength: UInt64 = 1 << 32

  /// How many bytes a feed may have: what the reference's numbers hold exactly, 2^53 - 1.
  package static let maximumByteLength: UInt64 = (1 << 53) - 1

  /// How many bytes a block that is appended may have: 8,384,512, which is 8 MiB less 4 KiB. It has to fit a frame
  /// of 8 MiB with its largest proof: 62 nodes (31 siblings on the way up from a block of 2^32, and 31 other
  /// roots) of 51 bytes, a signature of 66, and 13 for index, length and channel, 3,241 bytes in all. No peer
  /// could ever receive a longer one, and so none of what follows it in order.
  package static let maximumBlockSize = 8_384_512

  /// A block up to this size (16 MiB, twice the largest frame) is read as its size says; for a larger
  /// one it is asked first whether the file holds that much.
  static let trustedBlockSize: UInt64 = 16 << 20

  /// Pages of the `tree` file kept in memory: 256 pages of 5,120 bytes, 1.3 MB. Taken as they are
  /// used. Together they hold the nodes of 16,384 blocks.
  static let treePages = 256

  /// Nodes of depth 7 and more kept apart from their pages, in which they stand alone: 8,192 nodes,
  /// about 0.6 MB. Enough for all such nodes of a feed of 500,000 blocks.
  static let upperNodes = 8192

  /// Byte offsets of every 64th block kept in memory, 8 bytes each: up to 8 MB, for a feed of 64
  /// million blocks; above, offsets are summed up each time.
  static let offsetMarks = 1 << 20

  /// Pages of a ``RemoteTree`` held in part: 1,024 of 1 KB, 1 MB a peer and feed. Past it the tree is
  /// forgotten, at the price of nodes sent twice.
  static let remoteTreePages = 1024

  /// Runs of 64 blocks of which it is kept where each block is, 300 bytes each: up to 1.2 MB, for 262,144
  /// blocks. Taken as blocks are read one at a time.
  static let placedRuns = 4096

  /// How many blocks past the end of `data` are looked at one after another, at opening, before the first of
  /// them is searched for by halves.
  static let linearDataChecks = 256

  /// From this length of its files on (1 GiB) it is told that a feed's files are mostly holes.
  static let tellingHoles: UInt64 = 1 << 30

  /// How many signatures are tried one after another before the search goes in growing steps.
  static let linearSignatureChecks = 64
}

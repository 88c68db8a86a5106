internal import DatCoding

/// The limits that an archive keeps to, each with its reason.
public enum ArchiveLimits {
  /// The largest number that the reference holds exactly, 2^53 - 1. A larger one in a stat is damage.
  public static let integer: UInt64 = Varint.maximum
  /// Bytes of a name that is read. File systems allow up to 4 KiB; each byte of a name is compared once for
  /// each step of a look-up.
  public static let readNameBytes = 65_536
  /// Components of a name that is read: as many as a name of 4 KiB can have. A listing visits each folder
  /// on the way.
  public static let readComponents = 2048
  /// Bytes of a name that is written here or laid out in a folder: `PATH_MAX`.
  public static let nameBytes = 4096
  /// Bytes of one component that is laid out in a folder: `NAME_MAX`.
  public static let componentBytes = 255
  /// Components of a name that is laid out: each is a folder that is opened for every file below it.
  public static let components = 256
  /// Bytes of one piece of a file, cut as the reference does.
  public static let chunkBytes = 65_536
  /// Bytes of an entry that is written here: with its proof it has to fit a frame of 8 MiB.
  public static let entryBytes = 8 * 1024 * 1024 - 65_536
  /// Fields of an entry that are read. Usual entries have three, their stats nine.
  static let fields = 64
  /// Bytes of decoded entries that an archive caches: about 50,000 of them. A listing meets the entries of a
  /// folder together, and needs no more than those of the largest one.
  public static let cacheBytes = 16 * 1024 * 1024
  /// The same while a folder is imported or laid out: its files come together, so few entries are met again.
  /// Enough for the newest entries of 7,000 neighbours.
  static let importCacheBytes = 4 * 1024 * 1024
  /// Bytes of an index that are kept with their entry: those of folders with up to about 500 names. In larger
  /// ones every entry names all others, so that to keep them takes the square of their number.
  static let keptIndexBytes = 1024
  /// Entries that a sparse archive requests at once: those of a folder.
  static let missingAtOnce = 4096
  /// Steps from entry to entry that one look-up, or one folder of a listing, may take besides one for each
  /// entry of the archive.
  static let steps = 100_000
  /// Damaged entries that are remembered one by one; more are only counted.
  static let rememberedIssues = 1024
}

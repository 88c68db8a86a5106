/// Why an archive refused or failed. Programs read ``code``; people read ``reason``.
public struct ArchiveError: Error, Sendable, CustomStringConvertible {
  /// What kind of refusal or failure it was.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    /// There is no such file or folder in this version.
    case notFound
    /// A folder where a file is needed.
    case isDirectory
    /// A folder that has something in it can't be removed.
    case directoryNotEmpty
    /// A name that can't be written.
    case invalidPath
    /// The archive's secret key is not here. Nothing was written.
    case notWritable
    /// Writing to a checkout. Nothing was written.
    case readOnly
    /// A version that the archive does not have, as far as it is known here.
    case invalidVersion
    /// The feed is no archive of this kind: its first block says something else.
    case notAnArchive
    /// An entry that contradicts the content feed or can't be read.
    case damagedEntry
    /// The bytes of a file are not here.
    case notStored
    /// What was needed did not arrive in time.
    case timedOut
    /// The archive is closed.
    case closed
    /// A step limit that no sound archive meets.
    case tooManySteps
    /// A folder that can't be used, or a file in it.
    case folder
    /// A feed or its storage failed; ``ArchiveError/cause`` is its error.
    case feed
  }

  /// What kind it was.
  public let code: Code
  /// A sentence for people: what, where, and what to do where something can be done. Names in it are
  /// foreign: escape it before a terminal shows it.
  public let reason: String
  /// The file or folder it was about.
  public let path: ArchivePath?
  /// The entry it was about.
  public let seq: UInt64?
  /// The error of a lower layer, where one led here.
  public let cause: (any Error)?

  /// An error of a given kind.
  public init(
    _ code: Code, _ reason: String, path: ArchivePath? = nil, seq: UInt64? = nil,
    cause: (any Error)? = nil
  ) {
    self.code = code
    self.reason = reason
    self.path = path
    self.seq = seq
    self.cause = cause
  }

  /// The reason.
  public var description: String { reason }

  /// Nothing of that name in the version. The sentence is the reference's.
  static func notFound(_ path: ArchivePath) -> ArchiveError {
    ArchiveError(.notFound, "\(path) could not be found", path: path)
  }
}

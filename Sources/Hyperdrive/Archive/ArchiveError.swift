/// The error of an archive. Programs read ``code``; people read ``reason``.
public struct ArchiveError: Error, Sendable, CustomStringConvertible {
  /// A kind of refusal or failure.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    /// There is no such file or folder in this version.
    case notFound
    /// It is a folder, but a file is needed.
    case isDirectory
    /// The folder is not empty, so it can't be removed.
    case directoryNotEmpty
    /// The name can't be written.
    case invalidPath
    /// The archive's secret key is not here. Nothing was written.
    case notWritable
    /// Writing to a checkout. Nothing was written.
    case readOnly
    /// The archive does not have this version, as far as is known here.
    case invalidVersion
    /// The feed is not an archive of this kind, according to its first block.
    case notAnArchive
    /// The entry contradicts the content feed or can't be read.
    case damagedEntry
    /// The bytes of a file are not here.
    case notStored
    /// Needed data did not arrive in time.
    case timedOut
    /// The archive is closed.
    case closed
    /// The walk exceeded a step limit that no correct archive reaches.
    case tooManySteps
    /// The folder, or a file in it, can't be used.
    case folder
    /// A feed or its storage failed; ``ArchiveError/cause`` is its error.
    case feed
  }

  /// Its kind.
  public let code: Code
  /// A sentence for people: the fault, its location, and the next step if there is one. Names in it are
  /// foreign: escape it before a terminal shows it.
  public let reason: String
  /// The file or folder in question.
  public let path: ArchivePath?
  /// The entry in question.
  public let seq: UInt64?
  /// The underlying error of a lower layer, if there is one.
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

  /// Returns the error for a name that is not in the version. The sentence is the reference's.
  static func notFound(_ path: ArchivePath) -> ArchiveError {
    ArchiveError(.notFound, "\(path) could not be found", path: path)
  }
}

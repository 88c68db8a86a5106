/// The reason for which a storage refused or failed.
public struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of failure, for programs.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    /// Another process, or another feed of this process, holds the lock.
    case locked
    /// Writing to something opened read-only.
    case readOnly
    /// The disk, or a quota, is full.
    case full
    /// The system refused access.
    case permission
    /// The name is not a plain relative path, or leads through a symbolic link.
    case name
    /// The system reported any other failure.
    case failed
  }

  /// The kind of failure, for programs.
  public let code: Code
  /// The file concerned, as a path for files on disk.
  public let path: String
  /// The attempted operation, in words: `read 40 bytes at 1032`.
  public let operation: String
  /// The system's error number, if there was one.
  public let errno: Int32?
  /// A sentence for people: what happened, where and, if anything helps, what to do.
  public let reason: String

  /// Creates a failure of an operation on a file, with its reason.
  public init(
    code: Code, path: String, operation: String, errno: Int32? = nil, reason: String
  ) {
    self.code = code
    self.path = path
    self.operation = operation
    self.errno = errno
    self.reason = reason
  }

  public var description: String { reason }
}

/// Why a storage refused or failed.
public struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of failure it is, for programs.
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
    /// The name is no plain relative path, or leads through a symbolic link.
    case name
    /// The system reported any other failure.
    case failed
  }

  /// What kind of failure it is, for programs.
  public let code: Code
  /// The file it was about, as a path for files on disk.
  public let path: String
  /// What was tried, in words: `read 40 bytes at 1032`.
  public let operation: String
  /// The system's error number, where there was one.
  public let errno: Int32?
  /// A sentence for people: what happened, where, and what to do where something can be done.
  public let reason: String

  /// A failure with its place and its reason.
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

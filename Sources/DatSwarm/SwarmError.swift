internal import NIOCore
internal import NIOPosix

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// The failure of a connection or a listener.
public struct SwarmError: Error, Sendable, CustomStringConvertible {
  /// The kind of failure, for programs.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    /// A program, possibly this one, already listens on the port.
    case addressInUse
    /// The text is not an address, or the address is not one of this machine's.
    case address
    /// The system refused, for example a port below 1024.
    case permission
    /// The host name could not be looked up.
    case unknownHost
    /// Nothing listens there.
    case refused
    /// There is no route to it, or no network.
    case unreachable
    /// Nothing answered in time.
    case timeout
    /// The remote end aborted the connection.
    case reset
    /// The remote end took nothing of what was sent for too long.
    case stalled
    /// The connection was closed on this side.
    case closed
    /// Any other failure.
    case failed
  }

  /// The kind of failure, for programs.
  public let code: Code
  /// A sentence for people: what happened, with which peer, and the next step if there is one.
  public let reason: String
  /// The underlying error, if there is one.
  public let cause: (any Error)?

  /// Makes a failure with its reason.
  public init(_ code: Code, _ reason: String, cause: (any Error)? = nil) {
    self.code = code
    self.reason = reason
    self.cause = cause
  }

  public var description: String { reason }

  /// Wraps the error of a socket, or of a server on one, with a reason of this library's.
  ///
  /// - Parameter what: the beginning of the sentence: `Could not connect to 127.0.0.1:3282`.
  package init(_ what: String, _ error: any Error) {
    if let known = error as? SwarmError {
      self = known
      return
    }
    let root = Self.root(of: error)
    let (code, why): (Code, String) =
      switch root {
      case let error as IOError: Self.explain(error.errnoCode)
      case ChannelError.connectTimeout: (.timeout, "no answer in time")
      case is ChannelError, is NIOAsyncWriterError: (.closed, "the connection was closed")
      case is CancellationError: (.closed, "it was cancelled")
      case is SocketAddressError, is SocketAddressError.UnknownHost:
        (.unknownHost, "the name could not be looked up")
      default: (.failed, "\(root)")
      }
    self.init(code, "\(what): \(why).", cause: error)
  }

  /// Returns the first failure of the attempts behind a connection error.
  private static func root(of error: any Error) -> any Error {
    guard let error = error as? NIOConnectionError else { return error }
    return error.connectionErrors.first?.error ?? error.dnsAError ?? error.dnsAAAAError ?? error
  }

  private static func explain(_ number: CInt) -> (Code, String) {
    switch number {
    case EADDRINUSE:
      (.addressInUse, "the port is in use; choose another, or 0 for any that is free")
    case EADDRNOTAVAIL: (.address, "this machine has no such address")
    case EACCES, EPERM: (.permission, "the system does not allow it; use a port from 1024 on")
    case ECONNREFUSED: (.refused, "nobody listens there")
    case EHOSTUNREACH, ENETUNREACH, ENETDOWN, EHOSTDOWN: (.unreachable, "there is no way there")
    case ETIMEDOUT: (.timeout, "no answer in time")
    case ECONNRESET, EPIPE, ECONNABORTED: (.reset, "the other end broke the connection off")
    case EMFILE, ENFILE: (.failed, "too many open files; raise the limit (ulimit -n)")
    default: (.failed, String(cString: strerror(number)))
    }
  }
}

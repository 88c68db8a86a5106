internal import NIOCore
internal import NIOPosix

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// Why a connection or a listener could not be had, or ended.
public struct SwarmError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure it is, for programs.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    /// Another program, or this one, listens on the port already.
    case addressInUse
    /// The text is no address, or the address is not one of this machine's.
    case address
    /// The system refused, such as a port below 1024.
    case permission
    /// The host name could not be looked up.
    case unknownHost
    /// Nobody listens there.
    case refused
    /// No way there, or no network.
    case unreachable
    /// Nothing answered in time.
    case timeout
    /// The remote end broke the connection off.
    case reset
    /// The remote end took nothing of what we sent for too long.
    case stalled
    /// The connection was closed on our side.
    case closed
    /// Any other failure.
    case failed
  }

  /// What kind of failure it is, for programs.
  public let code: Code
  /// A sentence for people: what happened, with whom, and what to do where something can be done.
  public let reason: String
  /// The error underneath, where there was one.
  public let cause: (any Error)?

  /// A failure with its reason.
  public init(_ code: Code, _ reason: String, cause: (any Error)? = nil) {
    self.code = code
    self.reason = reason
    self.cause = cause
  }

  public var description: String { reason }

  /// The error of a socket, or of a server on one, in our words.
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

  /// The first failure of the attempts behind a connection error.
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

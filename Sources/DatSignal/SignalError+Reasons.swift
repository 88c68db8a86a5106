internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

extension SignalError {
  /// A hub that can't be used, for a reason that the system or a library gave, in words for a person.
  init(_ hub: HubAddress, failed error: any Error) {
    if error is HTTPParserError {
      self.init(.notAHub, "\(hub) answers, but not as a signal hub does: it speaks no HTTP.")
    } else if let reason = Self.reason(ofTLS: error) {
      self.init(.unreachable, "The signal hub \(hub) can't be reached: \(reason).")
    } else {
      self.init(
        .unreachable, "The signal hub \(hub) can't be reached: \(Self.reason(error) ?? "\(error)")."
      )
    }
  }

  private static func reason(_ error: any Error) -> String? {
    switch error {
    case let error as NIOConnectionError:
      if let failure = error.connectionErrors.first { return reason(failure.error) }
      return "nothing here knows that name"
    case is SocketAddressError: return "nothing here knows that name"
    case ChannelError.connectTimeout: return silence
    case let error as ChannelError where error == .eof || error == .inputClosed: return hangUp
    case let error as IOError: return reason(errno: error.errnoCode)
    case let error as HTTPClientError where silent.contains(error): return silence
    case let error as HTTPClientError where error == .remoteConnectionClosed: return hangUp
    default: return nil
    }
  }

  private static let silence = "it does not answer"
  private static let hangUp = "it closes the connection"
  private static let silent: [HTTPClientError] = [
    .connectTimeout, .deadlineExceeded, .readTimeout, .getConnectionFromPoolTimeout,
  ]

  private static func reason(errno code: CInt) -> String {
    switch code {
    case ECONNREFUSED: "nothing listens there"
    case ECONNRESET, EPIPE: hangUp
    case ETIMEDOUT: silence
    case ENETUNREACH, EHOSTUNREACH: "no way leads there from here"
    default: String(cString: strerror(code))
    }
  }

  /// The reason of a failure of TLS; nil for another one.
  private static func reason(ofTLS error: any Error) -> String? {
    let untrusted = "its certificate is not trusted here, or names another host"
    switch error {
    case is NIOSSLExtraError: return untrusted
    case NIOSSLError.handshakeFailed(let inner):
      let isAboutCertificate = "\(inner)".utf8.firstRange(of: "CERTIFICATE_VERIFY".utf8) != nil
      return isAboutCertificate ? untrusted : "it speaks no TLS; is it ws:// or http://?"
    case is NIOSSLError, is BoringSSLError: return "it speaks no TLS; is it ws:// or http://?"
    default: return nil
    }
  }
}

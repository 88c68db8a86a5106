internal import Foundation

/// A small HTTP server on this machine, for what a program asks of others: one answer to each connection.
///
/// Unchecked with this proof: what changes is touched under the lock only.
public final class LoopbackHTTP: @unchecked Sendable {
  /// One request.
  public struct Request: Sendable {
    /// The first line, such as `GET /page HTTP/1.1`.
    public let line: String
    public let body: [UInt8]
  }

  public struct Answer: Sendable {
    var status: Int
    var type: String
    var body: [UInt8]

    public init(status: Int = 200, type: String = "text/plain", _ body: [UInt8]) {
      (self.status, self.type, self.body) = (status, type, body)
    }
  }

  public let port: Int
  private let socket: Int32
  private let lock = NSLock()
  private var heard: [Request] = []

  /// The requests so far.
  public var requests: [Request] { lock.withLock { heard } }

  public init(_ answer: @escaping @Sendable (Request) -> Answer) throws {
    #if os(Linux)
      let kind = Int32(SOCK_STREAM.rawValue)
    #else
      let kind = SOCK_STREAM
    #endif
    socket = Foundation.socket(AF_INET, kind, 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let socket = socket
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, length) == 0 && listen(socket, 16) == 0
          && getsockname(socket, $0, &length) == 0
      }
    }
    guard result else { throw POSIXError(.EADDRINUSE) }
    port = Int(UInt16(bigEndian: address.sin_port))
    Thread.detachNewThread { [weak self] in
      while case let connection = accept(socket, nil, nil), connection >= 0 {
        if let request = Self.read(connection) {
          self?.lock.withLock { self?.heard.append(request) }
          let answer = answer(request)
          let head =
            "HTTP/1.1 \(answer.status) Answer\r\ncontent-type: \(answer.type)\r\n"
            + "content-length: \(answer.body.count)\r\nconnection: close\r\n\r\n"
          let bytes = Array(head.utf8) + answer.body
          _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }
        close(connection)
      }
    }
  }

  deinit {
    shutdown(socket, Int32(SHUT_RDWR))
    close(socket)
  }

  private static func read(_ connection: Int32) -> Request? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    while true {
      if let end = (0..<max(bytes.count - 3, 0)).first(where: {
        bytes[$0..<$0 + 4].elementsEqual("\r\n\r\n".utf8)
      }) {
        let head = String(decoding: bytes[..<end], as: UTF8.self).components(separatedBy: "\r\n")
        let field = head.first { $0.lowercased().hasPrefix("content-length:") }
        let length = field.flatMap { Int($0.dropFirst(15).filter(\.isNumber)) } ?? 0
        let body = bytes[(end + 4)...]
        if body.count >= length { return Request(line: head[0], body: Array(body)) }
      }
      let count = recv(connection, &buffer, buffer.count, 0)
      guard count > 0, bytes.count < 1 << 20 else { return nil }
      bytes += buffer[..<count]
    }
  }
}

internal import DatCoding
internal import Foundation
internal import NIOCore
internal import NIOPosix
internal import RandomAccessStorage

/// A client of a running host.
public enum HostClient {
  /// Sends one request to the host that runs in a folder.
  ///
  /// - Returns: the status of the keys in question.
  /// - Throws: ``HostError`` with `control`: no host answers, or the request is refused.
  public static func ask(_ request: ControlRequest, hostIn folder: String) async throws(HostError)
    -> [HostedStatus]
  {
    try await reply(to: request, folder).replicas ?? []
  }

  /// Returns the report of the host that runs in a folder.
  ///
  /// - Throws: ``HostError`` with `control`: no host answers, or it is too old to report.
  public static func report(hostIn folder: String) async throws(HostError) -> HostReport {
    guard let report = try await reply(to: ControlRequest(.status), folder).report else {
      throw HostError(
        .control, "The host in \(folder) sent no report: restart it with this version.")
    }
    return report
  }

  private static func reply(
    to request: ControlRequest, _ folder: String
  ) async throws(HostError) -> ControlReply {
    let path = try HostControl.path(in: FolderStorage(path: folder).path)
    let reply: ControlReply
    do {
      reply = try JSONText.decode(ControlReply.self, from: try await send(request, path))
    } catch let error as IOError where [EACCES, EPERM].contains(error.errnoCode) {
      throw HostError(
        .control,
        "There is no permission to ask the host at \(path): it belongs to another user; ask as that "
          + "user.")
    } catch {
      throw HostError(
        .control, "No host answers at \(path); is one running? \"dat host \(folder)\" starts it.")
    }
    if let error = reply.error { throw HostError(.control, error) }
    return reply
  }

  private static func send(_ request: ControlRequest, _ path: String) async throws -> [UInt8] {
    let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .connect(unixDomainSocketPath: path) { channel in
        channel.eventLoop.makeCompletedFuture {
          try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
        }
      }
    return try await channel.executeThenClose { inbound, outbound in
      try await outbound.write(ByteBuffer(bytes: Array(try JSONEncoder().encode(request)) + [10]))
      var answer: [UInt8] = []
      for try await bytes in inbound {
        answer += bytes.readableBytesView
        if answer.last == 10 || answer.count > HostControl.replyLimit { break }
      }
      return answer
    }
  }
}

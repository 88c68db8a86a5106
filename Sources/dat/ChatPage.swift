internal import DatWeb
internal import Saga

/// The page of one room, served while the room is open.
actor ChatPage {
  private let server: WebServer
  private let port: Int
  private var serving: Task<Void, any Error>?

  /// - Parameters:
  ///   - saga: the room.
  ///   - port: where to listen on loopback; 0 for any free port.
  ///   - asks: whether newcomers wait for an answer.
  init(of saga: Saga, port: Int, asks: Bool) throws {
    var options = WebServer.Options()
    options.port = port
    self.port = port
    server = try WebServer(room: RoomView(SagaRoom(saga, asks: asks)), options: options)
  }

  /// Starts to answer.
  ///
  /// - Returns: the address to open, with its secret.
  /// - Throws: ``WebError`` with `cannotListen` where the port is not to be had.
  func open() async throws -> WebAddress? {
    let (addresses, continuation) = AsyncStream<WebAddress>.makeStream()
    let serving = Task { [server] in
      defer { continuation.finish() }
      try await server.run { continuation.yield($0) }
    }
    self.serving = serving
    for await address in addresses { return address }
    do {
      try await serving.value
      return nil
    } catch {
      throw WebError(
        .cannotListen,
        "the page can't be served at port \(port) (\(error)); --web without a number takes a free one"
      )
    }
  }

  /// Stops answering and ends what is being answered.
  func close() async {
    serving?.cancel()
    _ = await serving?.result
  }
}

import CoreMetrics
import DatHTTP
import DatTesting
import Logging
import NIOCore
import Testing

@testable import DatMetrics

/// The page that Prometheus reads.
@Suite(.timeLimit(.minutes(1))) struct MetricsPageTests {
  private func serving(
    _ change: (inout MetricsPage) -> Void = { _ in }, _ body: (Int) async throws -> Void
  ) async throws {
    let (ports, ready) = AsyncStream.makeStream(of: Int.self)
    let metrics = PrometheusMetrics()
    metrics.makeCounter(label: "things_total", dimensions: []).increment(by: 3)
    var page = MetricsPage(metrics, port: 0, onReady: { ready.yield($0) })
    change(&page)
    let running = Task { [page] in try await page.run() }
    for await port in ports {
      do { try await body(port) } catch {
        running.cancel()
        throw error
      }
      break
    }
    running.cancel()
    _ = await running.result
  }

  private func get(_ host: String?, _ port: Int) throws -> String {
    let socket = try LoopbackSocket(port)
    let field = host.map { "Host: \($0)\r\n" } ?? ""
    socket.send("GET /metrics HTTP/1.1\r\n\(field)Connection: close\r\n\r\n")
    return socket.readToEnd()
  }

  @Test func `it answers to this machine's own names alone`() async throws {
    try await serving { port in
      for host in ["127.0.0.1:\(port)", "localhost:\(port)", "LOCALHOST:\(port)", "[::1]:\(port)"] {
        let answer = try get(host, port)
        #expect(answer.hasPrefix("HTTP/1.1 200"))
        #expect(answer.contains("things_total 3"))
      }
      let foreign = [
        "evil.example", "evil.example:\(port)", "127.0.0.1", "127.0.0.1:1",
        "127.0.0.1.evil.example:\(port)", "user@127.0.0.1:\(port)", nil,
        String(repeating: "a", count: 5_000),
      ]
      for host in foreign {
        let answer = try get(host, port)
        #expect(!answer.hasPrefix("HTTP/1.1 200"), "\(host ?? "none")")
        #expect(!answer.contains("things_total"))
      }
    }
  }

  @Test func `half requests keep Prometheus from nothing`() async throws {
    try await serving { port in
      var crowd: [LoopbackSocket] = []
      for _ in 0..<100 {
        let socket = try LoopbackSocket(port)
        socket.send("GET /metrics HTTP/1.1\r\nX-Half: ")
        crowd.append(socket)
      }
      #expect(try get("127.0.0.1:\(port)", port).contains("things_total 3"))
      withExtendedLifetime(crowd) {}
    }
    try await serving {
      $0.places.head = .milliseconds(100)
    } _: { port in
      let half = try LoopbackSocket(port)
      half.send("GET /metrics")
      #expect(half.isClosed(within: 30))
    }
  }
}

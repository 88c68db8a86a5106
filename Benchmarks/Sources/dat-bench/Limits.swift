internal import CLimits

/// The speed of libsodium alone in this run.
enum Limits {
  static func measure(_ settings: Settings) async throws -> [Sample] {
    limit_prepare()
    func rate(_ count: Int, _ body: (Int) -> Void) async throws -> Double {
      body(count / 20)
      // The best, not the median: a limit is what the machine can do.
      var best = Double.infinity
      for _ in 0..<5 { best = min(best, await seconds { body(count) }) }
      return Double(count) / best
    }
    let megabytes = 65_536 / 1e6
    return [
      Sample(
        name: "limit.sign", value: try await rate(settings.scale(20_000)) { limit_sign($0) },
        unit: "/s"),
      Sample(
        name: "limit.verify", value: try await rate(settings.scale(10_000)) { limit_verify($0) },
        unit: "/s"),
      Sample(
        name: "limit.blake2b_64k",
        value: try await rate(settings.scale(4_000)) { limit_blake2b($0, 65_536) } * megabytes,
        unit: "MB/s"),
      Sample(
        name: "limit.blake2b_100",
        value: try await rate(settings.scale(2_000_000)) { limit_blake2b($0, 100) }, unit: "/s"),
      Sample(
        name: "limit.xsalsa20",
        value: try await rate(settings.scale(8_000)) { limit_xsalsa20($0, 65_536) } * megabytes,
        unit: "MB/s"),
    ]
  }
}

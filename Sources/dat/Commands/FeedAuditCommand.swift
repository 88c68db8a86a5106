internal import ArgumentParser
internal import DatCoding
internal import Hypercore

/// `dat feed audit`: whether what is stored is what was verified.
struct FeedAuditCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Compare every stored block with its hash.",
    discussion: """
      Changes nothing. Ends with 1 where a block is not what was verified: a feed's owner, or a clone, \
      gets such blocks again from a peer.

      EXAMPLES
        dat feed audit ~/log
      """)

  @OptionGroup var place: FeedPlace

  func run() async throws {
    try await place.run { output in
      let feed = try await place.view()
      let report = try await feed.audit()
      try await feed.close()
      if output.json {
        output.object([
          "valid": .integer(Int64(report.valid)), "invalid": .integer(Int64(report.invalid)),
          "invalidRanges": .array(
            report.invalidRanges.map {
              [
                "start": .integer(Int64($0.lowerBound)), "end": .integer(Int64($0.upperBound)),
              ]
            }),
        ])
      } else if report.invalid == 0 {
        output.line("\(Amount.count(report.valid, "stored block")): all whole")
      }
      guard report.invalid > 0 else { return }
      if !output.json { output.failure(Self.sentence(report)) }
      throw ExitCode(1)
    }
  }

  private static func sentence(_ report: AuditReport) -> String {
    var ranges = report.invalidRanges.prefix(20).map {
      $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound) to \($0.upperBound - 1)"
    }
    if report.invalidRanges.count > ranges.count { ranges.append("…") }
    return "\(report.invalid) of \(report.valid + report.invalid) stored blocks are not what was "
      + "verified: \(ranges.joined(separator: ", "))."
  }
}

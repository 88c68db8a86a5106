internal import ArgumentParser
internal import DatCoding
internal import Hypercore

/// `dat feed audit`: a comparison of what is stored with what was verified.
struct FeedAuditCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Compare every stored block with its hash.",
    discussion: """
      Changes nothing. Ends with 1 if a block that is recorded as stored is missing, or is not what was \
      verified. 'dat doctor --repair' then corrects the record, and 'feed clone' or 'feed serve' fetches \
      such blocks again, as far as peers that are connected have them.

      EXAMPLES
        dat feed audit ~/log
      """)

  @OptionGroup var folder: FeedFolder

  func run() async throws {
    try await folder.run { output in
      // The findings of opening are in the report.
      let feed = try await folder.view(isQuiet: true)
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
    "\(Words.list(report.invalidRanges)) recorded as stored and missing, or not what was verified; "
      + "\(Words.blocks(report.valid)) \(report.valid == 1 ? "is" : "are") whole."
  }
}

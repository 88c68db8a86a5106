internal import ArgumentParser
internal import DatCoding
internal import Foundation
internal import Hyperdrive

/// `dat checkout`.
struct ArchiveCheckoutCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkout",
    abstract: "Write the files of a version of an archive into a new folder.",
    discussion: """
      EXAMPLES
        dat checkout ~/site 3 ~/site-as-it-was
      """)

  @OptionGroup var look: ArchiveLook

  @Argument(help: "The version.")
  var version: UInt64

  @Argument(help: "The new folder.", completion: .directory)
  var target: String

  func run() async throws {
    try await look.run { archive, link, reading, output in
      try Self.checkTarget(target)
      let report = try await archive.export(
        to: target, version: version, path: link.path, options: reading)
      output.export(report, to: target)
      if !report.leftOut.isEmpty { throw ExitCode(1) }
    }
  }

  static func checkTarget(_ folder: String) throws {
    let names = try? FileManager.default.contentsOfDirectory(atPath: folder)
    if let names, !names.isEmpty {
      throw ValidationError("\(folder) is not empty: name a folder that is not there yet.")
    }
  }
}

extension Output {
  /// Reports what was written, and what was not.
  func export(_ report: ExportReport, to folder: String) {
    for (path, reason) in report.leftOut {
      if json {
        object(["event": "leftOut", "path": .string(path.description), "reason": .string(reason)])
      } else {
        failure("\(ArchiveOutput.shown(path)) is left out: \(reason)")
      }
    }
    if json {
      object([
        "folder": .string(folder), "files": ArchiveOutput.integer(report.files),
        "byteLength": ArchiveOutput.integer(report.bytes),
        "leftOut": .integer(Int64(report.leftOut.count)),
      ])
    } else {
      line("\(Amount.count(report.files, "file")) (\(Amount.bytes(report.bytes))) in \(folder)")
    }
  }
}

/// `dat recover`.
struct ArchiveRecoverCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover", abstract: "Save what can be saved of an archive into a new folder.",
    discussion: """
      Writes the files of the newest version whose bytes are here or with peers, and those that the deletion of \
      another file has lost. With --versions also older versions of files, as far as their bytes are here, in \
      the folder `versions`. Nothing in the archive's own folder changes.

      EXAMPLES
        dat recover ~/site ~/saved --versions
      """)

  @OptionGroup var look: ArchiveLook

  @Argument(help: "The new folder.", completion: .directory)
  var target: String

  @Flag(help: "Save older versions, too.")
  var versions = false

  func run() async throws {
    try await look.run { archive, _, reading, output in
      try ArchiveCheckoutCommand.checkTarget(target)
      var report = try await archive.export(to: target, options: reading)
      let lost = try await archive.lostEntries(options: reading)
      let saved = try await archive.recover(
        lost, olderVersions: versions, to: target, &report, options: reading)
      output.export(report, to: target)
      if output.json {
        output.object([
          "lost": .integer(Int64(lost.count)), "savedOfLost": .integer(Int64(saved.lost)),
          "olderVersions": .integer(Int64(saved.older)),
          "secretKey": .bool(await archive.secretKey != nil),
        ])
      } else {
        if !lost.isEmpty {
          output.line(
            "\(Amount.count(UInt64(lost.count), "file")) lost by an old deletion, \(saved.lost) of them saved"
          )
        }
        if versions { output.line("\(Amount.count(UInt64(saved.older), "older version")) saved") }
        if await archive.secretKey != nil {
          output.line("the secret key is here: `dat keys --secret` shows it")
        }
      }
    }
  }
}

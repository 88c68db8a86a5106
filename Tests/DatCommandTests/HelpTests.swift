import ArgumentParser
import DatTesting
import Foundation
import Testing

@testable import dat

/// The help texts of all commands.
@Suite struct HelpTests {
  /// Returns every command with the words that name it.
  private static func commands(
    _ command: any ParsableCommand.Type = Dat.self, _ name: [String] = []
  ) -> [(name: [String], type: any ParsableCommand.Type)] {
    [(name, command)]
      + command.configuration.subcommands.flatMap {
        commands($0, name + [$0.configuration.commandName ?? ""])
      }
  }

  @Test func `every command has an example that begins with its name`() {
    for (name, type) in Self.commands() {
      let text = type.configuration.discussion
      let examples = text.components(separatedBy: "EXAMPLES").dropFirst().first ?? ""
      #expect(examples.contains((["dat"] + name).joined(separator: " ")), "\(name)")
    }
  }

  @Test func `examples are what the command takes`() throws {
    let key = String(repeating: "ab", count: 32)
    for (name, type) in Self.commands() {
      let text = type.configuration.discussion.components(separatedBy: "EXAMPLES").dropFirst()
      for line in (text.first ?? "").components(separatedBy: "EXIT STATUS")[0].split(
        separator: "\n")
      {
        // Other parts of the shell line are left out: other commands, redirections, quotes.
        let call = line.components(separatedBy: "|").last ?? ""
        let words = call.components(separatedBy: " > ")[0].components(separatedBy: " < ")[0]
          .replacing(/[0-9a-f]{4}(\.\.|…)[0-9a-f]{2}/, with: key).split(separator: " ")
          .map { $0.trimmingCharacters(in: ["'"]) }
        guard words.first == "dat", words.dropFirst().first != "help" else { continue }
        do { _ = try Dat.parseAsRoot(words.dropFirst().map { $0 == "KEY" ? key : $0 }) } catch {
          Issue.record("\(name): \(line): \(Dat.message(for: error))")
        }
      }
    }
  }

  @Test func `what programs read has JSON`() {
    for (name, type) in Self.commands() where type.configuration.subcommands.isEmpty {
      #expect(type.helpMessage().contains("--json"), "\(name)")
    }
  }
}

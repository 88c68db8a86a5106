import DatAttacks
import DatTesting
import Foundation
import Testing

/// Every row of the table of attacks, against the built command over TCP.
@Suite(.timeLimit(.minutes(isSanitized ? 60 : 5))) struct AttackTests {
  /// Attacks wait more than they compute, so four run at a time.
  @Test func `every attack is borne`() async {
    let width = isSanitized ? 2 : 4
    for result in await Attack.results(of: Attack.all, width: width) where !result.isHeld {
      let attack = result.attack
      Issue.record("row \(attack.row), \(attack.name): \(result.detail)")
    }
  }

  @Test func `every row is attacked here or names the place where it is`() {
    let rows = Set(Attack.all.map(\.row) + Attack.elsewhere.map(\.row))
    #expect(rows.isSuperset(of: Array(1...59) + (63...67) + (71...73) + (81...89)))
  }
}

/// Weaknesses that no code can remove have to be documented: rows 20 and 40.
@Suite struct DisclosureTests {
  private func readme() throws -> String {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let text = try String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
    return text.replacing("\n", with: " ")
  }

  @Test func `the README says that peers see addresses and who has which blocks`() throws {
    let text = try readme()
    #expect(text.contains("IP addresses"))
    #expect(text.contains("which blocks the other has"))
  }

  @Test func `the README says that bits can be changed on their way, and what helps`() throws {
    let text = try readme()
    #expect(text.contains("not authenticated"))
    #expect(text.contains("tunnel"))
  }
}

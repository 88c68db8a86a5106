import DatAttacks
import Foundation
import Testing

/// Every row of the table of attacks, against the built command over TCP.
///
/// Rows 35 to 37 attack the page and are in DatWebTests; 40 is what the README says.
@Suite(.serialized, .timeLimit(.minutes(5))) struct AttackTests {
  @Test(arguments: Attack.all)
  func `an attack is borne`(attack: Attack) async {
    let result = await attack.result()
    #expect(result.isHeld, "row \(attack.row), \(attack.name): \(result.detail)")
  }
}

/// What no code can mend has to be said: rows 20 and 40.
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

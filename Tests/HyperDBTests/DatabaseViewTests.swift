import DatTesting
import HyperDB
import Hypercore
import Testing

@Suite struct DatabaseViewTests {
  struct Person: Codable, Equatable, Sendable {
    var city: String
    var age: Int
  }

  @Test func `a view reads and writes values of one type in one folder`() async throws {
    let db = try await HyperDB.inMemory()
    let people = db.view(of: Person.self, under: "people/")
    #expect(try await people.get("ana") == .missing)
    try await people.put("ana", Person(city: "Bogotá", age: 30))
    try await people.put("bea/old", Person(city: "Lima", age: 40))
    try await db.put("peoples", "else", as: .utf8)
    #expect(try await people.get("ana") == .value(Person(city: "Bogotá", age: 30)))
    #expect(try await people.get("bea/old").value?.city == "Lima")
    #expect(try await db.get("people/ana", as: .json(Person.self)).count == 1)
    let all = try await people.all().collect()
    #expect(Set(all.map(\.key)) == ["ana", "bea/old"])
    try await people.delete("ana")
    #expect(try await people.get("ana") == .missing)
    #expect(try await people.all().collect().map(\.key) == ["bea/old"])
    try await db.put("people/bad", "not json", as: .utf8)
    let error = await #expect(throws: HyperDBError.self) { try await people.get("bad") }
    #expect(error?.code == .value)
    let texts = db.view(as: .utf8)
    #expect(try await texts.get("people/bad") == .value("not json"))
  }

  @Test func `a conflict is a case of the type, and a function settles it`() async throws {
    let owner = try await HyperDB.inMemory()
    let clone = try await owner.clone()
    try await sync(owner, clone)
    let (one, other) = (owner.view(of: Int.self, under: "n"), clone.view(of: Int.self, under: "n"))
    try await one.put("k", 1)
    try await other.put("k", 2)
    try await one.put("same", 5)
    try await sync(owner, clone)
    guard case .conflict(let revisions) = try await one.get("k") else {
      Issue.record("no conflict")
      return
    }
    #expect(Set(revisions.map(\.value)) == [1, 2])
    #expect(Set(revisions.map(\.feed)) == [owner.localKey, clone.localKey])
    #expect(try await one.get("k").value == nil)

    let merged = one.merging { $0.compactMap(\.value).max() }
    #expect(try await merged.get("k") == 2)
    #expect(try await merged.get("none") == nil)
    #expect(try await Set(merged.collect().map(\.value)) == [2, 5])
    #expect(try await merged.settle("same") == nil)
    #expect(try await merged.settle("k") != nil)
    #expect(try await one.get("k") == .value(2))
    try await merged.update("k") { ($0 ?? 0) + 10 }
    #expect(try await one.get("k") == .value(12))

    try await sync(owner, clone)
    try await one.delete("k")
    try await other.put("k", 3)
    try await sync(owner, clone)
    guard case .conflict(let again) = try await one.get("k") else {
      Issue.record("no conflict with a delete")
      return
    }
    #expect(Set(again.map(\.value)) == [nil, 3])
    #expect(try await other.resolve("k") { _ in nil } != nil)
    #expect(try await other.get("k") == .missing)
  }

  @Test func `a view can be watched`() async throws {
    let db = try await HyperDB.inMemory()
    let people = db.view(of: Int.self, under: "people")
    var changes = await people.watch().makeAsyncIterator()
    try await people.put("a", 1)
    #expect(try await changes.next() != nil)
  }
}

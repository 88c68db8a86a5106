import DatTesting
import Foundation
import HyperDB
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Saga

@Suite(.timeLimit(.minutes(1))) struct OperationTests {
  private struct Move: Codable, Hashable {
    var piece: String
    var to: [Int]
  }

  private func options(_ kind: RoomKind) -> SagaOptions {
    var options = SagaOptions()
    options.kind = kind
    options.now = { 1_795_473_316_049 }
    options.makeID = { "4GpwE4fbSi2EcUiuKr2LRw/0" }
    return options
  }

  @Test func `an operation is stored as the later Saga package stores it`() async throws {
    let saga = try await Saga.open(
      storage: MemoryStorage(), username: "ana", options: options(.operations))
    let key = try await saga.writeOperation(json: Array(#"{"b":1,"a":["/é"]}"#.utf8))
    #expect(key.key == "operations/4GpwE4fbSi2EcUiuKr2LRw/0")
    let stored = try #require(try await saga.db.get(key.key).first?.value)
    #expect(
      String(decoding: stored, as: UTF8.self)
        == #"{"key":"operations/4GpwE4fbSi2EcUiuKr2LRw/0","operation":{"b":1,"a":["/é"]},"#
        + #""username":"ana","timestamp":1795473316049}"#)
    let operation = try #require(await saga.operations.first)
    #expect(String(decoding: operation.json, as: UTF8.self) == #"{"b":1,"a":["/é"]}"#)
    #expect(operation.username == "ana" && operation.timestamp == 1_795_473_316_049)
    #expect(operation.feed == saga.db.localKey)
  }

  @Test func `values go in and come out, and each is told once`() async throws {
    let storage = MemoryStorage()
    var settings = SagaOptions()
    settings.kind = .operations
    var saga = try await Saga.open(storage: storage, username: "ana", options: settings)
    let moves = [Move(piece: "rook", to: [1, 2]), Move(piece: "pawn", to: [])]
    let told = Task { [saga] in
      var told: [Move] = []
      for await event in saga.events() {
        if case .operation(let operation) = event { told.append(try operation.decode()) }
        if told.count == 2 { break }
      }
      return told
    }
    for move in moves { try await saga.writeOperation(move) }
    #expect(try await told.value == moves)
    #expect(await saga.messages.isEmpty)
    await saga.close()

    saga = try await Saga.open(storage: storage, username: "ana", options: settings)
    var stored: [Move] = []
    reading: for await event in saga.events() {
      switch event {
      case .operation(let operation): stored.append(try operation.decode())
      case .ready: break reading
      default: break
      }
    }
    #expect(Set(stored) == Set(moves))
  }

  @Test func `both kinds live in one database and ignore each other`() async throws {
    let storage = MemoryStorage()
    let first = try await Saga.open(storage: storage, username: "ana")
    try await first.writeMessage("hello")
    await #expect(throws: SagaError.self) { try await first.writeOperation(1) }
    await first.close()

    let second = try await Saga.open(
      storage: storage, username: "ana", options: options(.operations))
    #expect(await second.operations.isEmpty)
    try await second.writeOperation(7)
    await #expect(throws: SagaError.self) { try await second.writeMessage("no") }
    #expect(try await second.operations.map { try $0.decode(Int.self) } == [7])
    await second.close()

    let third = try await Saga.open(storage: storage, username: "ana")
    #expect(await third.messages.map(\.text) == ["hello"])
    #expect(await third.operations.isEmpty)
  }

  @Test func `what is no operation is told as unreadable, and the rest goes on`() async throws {
    let saga = try await Saga.open(
      storage: MemoryStorage(), username: "ana", options: options(.operations))
    let deep = String(repeating: "[", count: 600) + String(repeating: "]", count: 600)
    let bad = [
      "null", "7", "{}", #"{"operation":}"#, #"{"operation":1"#, #"{"operation":\#(deep)}"#,
      #"{"message":"a message"}"#, "\u{0}",
    ]
    for (number, value) in bad.enumerated() {
      try await saga.db.put("operations/bad/\(number)", Array(value.utf8))
    }
    try await saga.db.put("operations/good", Array(#"{ "operation" : [ 1 , {"x":null} ] }"#.utf8))
    try await saga.writeOperation("last")
    #expect(await saga.operations.map(\.key).sorted().count == 2)
    let odd = try #require(await saga.operations.first { $0.key == "operations/good" })
    #expect(String(decoding: odd.json, as: UTF8.self) == #"[ 1 , {"x":null} ]"#)
    #expect(odd.username.isEmpty && odd.timestamp == 0)
    for text in ["", "{", "nul", deep] {
      await #expect(throws: SagaError.self, "\(text.prefix(9))") {
        try await saga.writeOperation(json: Array(text.utf8))
      }
    }
    await #expect(throws: SagaError.self) {
      try await saga.writeOperation(String(repeating: "x", count: 1 << 20))
    }
  }

  @Test func `the text of a field is found whatever stands around it`() {
    func text(_ json: String) -> String? {
      MessageContent(operationValue: Array(json.utf8))?.text
    }
    #expect(text(#"{"operation":"a\"}"}"#) == #""a\"}""#)
    #expect(text(#" { "x" : [1,{"operation":2}] , "operation" : 3.5e2 }"#) == "3.5e2")
    #expect(text(#"{"operation":1,"operation":2}"#) == "2")
    #expect(text(#"{"x":1}"#) == nil)
    #expect(text(#"["operation",1]"#) == nil)
    #expect(text("{}") == nil)
    var random = SeededRandom(seed: 3)
    for _ in 0..<2_000 {
      _ = MessageContent(operationValue: random.bytes(Int.random(in: 0..<40, using: &random)))
      let letters = (0..<20).map { _ in "{}[]:,\"a\\ 1n".randomElement(using: &random)! }
      _ = MessageContent(operationValue: Array(String(letters).utf8))
    }
  }
}

internal import HypercoreCrypto
internal import HypercoreProtocol

/// The answers that arrived before others that they rely on, in the memory of their connection.
struct HeldAnswers {
  private var answers: [(data: DataMessage, number: UInt64)] = []
  private let memory: PeerMemory

  init(memory: PeerMemory) { self.memory = memory }

  var isEmpty: Bool { answers.isEmpty }

  /// - Returns: false if there is no memory for it.
  mutating func add(_ data: DataMessage, _ number: UInt64) -> Bool {
    guard memory.take(Self.size(of: data)) else { return false }
    answers.append((data, number))
    return true
  }

  private var first: Int? { answers.indices.min { answers[$0].number < answers[$1].number } }

  /// The number of the earliest of their requests.
  var firstNumber: UInt64? { first.map { answers[$0].number } }

  /// Removes the answer to the earliest request.
  mutating func removeFirst() -> (data: DataMessage, number: UInt64)? {
    guard let first else { return nil }
    let answer = answers.remove(at: first)
    memory.give(Self.size(of: answer.data))
    return answer
  }

  /// - Returns: their blocks.
  mutating func removeAll() -> [UInt64] {
    guard !answers.isEmpty else { return [] }
    let blocks = answers.map { $0.data.index }
    for (data, _) in answers { memory.give(Self.size(of: data)) }
    answers = []
    return blocks
  }

  private static func size(of data: DataMessage) -> Int {
    (data.value?.count ?? 0) + data.nodes.count * MemoryLayout<Node>.stride + 128
  }
}

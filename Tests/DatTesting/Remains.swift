/// Objects that have to be released with their owner: a reference cycle would keep them.
package struct Remains: Sendable {
  /// Sendable, as a weak reference is only compared with nil.
  private struct Reference: @unchecked Sendable {
    weak var object: AnyObject?
    let name: String
  }

  private var references: [Reference] = []

  package init() {}

  package mutating func note(_ object: AnyObject) {
    references.append(Reference(object: object, name: "\(type(of: object))"))
  }

  package mutating func note(_ others: Remains) { references += others.references }

  /// The types of the objects that still exist, after tasks had many chances to end.
  package func left() async -> [String] {
    for _ in 0..<10_000 where references.contains(where: { $0.object != nil }) {
      await Task.yield()
    }
    return references.filter { $0.object != nil }.map(\.name).sorted()
  }
}

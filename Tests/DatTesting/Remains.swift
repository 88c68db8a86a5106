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

  /// The types of the objects that still exist once those that something releases have had the time for it:
  /// a task that holds one may be waiting for a processor.
  package func left() async -> [String] {
    for look in 0..<20_000 where references.contains(where: { $0.object != nil }) {
      if look < 10_000 {
        await Task.yield()
      } else {
        try? await Task.sleep(for: .milliseconds(2))
      }
    }
    return references.filter { $0.object != nil }.map(\.name).sorted()
  }
}

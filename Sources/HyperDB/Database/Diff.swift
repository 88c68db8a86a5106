/// One key that differs between two snapshots.
package struct Difference {
  /// Its entries in the first; nil if that doesn't have the key.
  package let left: [EntryNode]?
  /// Its entries in the second.
  package let right: [EntryNode]?
}

extension DatabaseCore {
  /// The keys under a prefix whose entries differ between two snapshots.
  ///
  /// Source: hyperdb `lib/differ.js`.
  package func diff(
    _ left: Snapshot, _ right: Snapshot, prefix: [UInt8] = [],
    _ options: ListOptions = ListOptions()
  ) -> Diff {
    let prefix = options.raw ? prefix : EntryKey.normalize(prefix)
    return Diff(
      Listing(self, prefix: prefix, options, left), Listing(self, prefix: prefix, options, right),
      options, hash)
  }
}

/// Two lists walked side by side. After ``next()`` threw `MissingBlock` it may be called again once the
/// block is here.
package final class Diff {
  private let leftList: Listing
  private let rightList: Listing
  private let options: ListOptions
  private let hash: PathHash
  private var left: [EntryNode]?
  private var right: [EntryNode]?

  init(_ left: Listing, _ right: Listing, _ options: ListOptions, _ hash: PathHash) {
    leftList = left
    rightList = right
    self.options = options
    self.hash = hash
  }

  /// The next difference, nil at the end.
  package func next() throws -> Difference? {
    while true {
      if left == nil { left = try leftList.next() }
      if right == nil { right = try rightList.next() }
      guard let left, let right else {
        if left == nil, right == nil { return nil }
        return take(left: true, right: true)
      }
      if left[0].hasKey(of: right[0]) {
        if isSame(left, right) {
          _ = take(left: true, right: true)
          continue
        }
        return take(left: true, right: true)
      }
      let isLeftFirst = options.raw ? rawPrecedes(left[0], right[0]) : precedes(left[0], right[0])
      return take(left: isLeftFirst, right: !isLeftFirst)
    }
  }

  private func take(left takesLeft: Bool, right takesRight: Bool) -> Difference {
    let difference = Difference(left: takesLeft ? left : nil, right: takesRight ? right : nil)
    if takesLeft { left = nil }
    if takesRight { right = nil }
    return difference
  }

  private func isSame(_ left: [EntryNode], _ right: [EntryNode]) -> Bool {
    let leftLocations = left.map(\.location)
    let rightLocations = right.map(\.location)
    return options.raw ? leftLocations == rightLocations : Set(leftLocations) == Set(rightLocations)
  }

  /// Returns whether one entry precedes another in the order of both lists.
  private func precedes(_ left: EntryNode, _ right: EntryNode) -> Bool {
    let leftPath = left.path(hash)
    let rightPath = right.path(hash)
    let isSameFolder = leftPath.firstDifference(from: rightPath) >= leftList.end
    let byPath = isSameFolder ? nil : leftPath.precedes(rightPath)
    return (byPath ?? EntryKey.precedes(left.key, right.key)) != options.reverse
  }

  /// Returns the same by the reference's order, which is not that of its lists: the terminator comes last.
  private func rawPrecedes(_ left: EntryNode, _ right: EntryNode) -> Bool {
    let leftPath = left.path(hash)
    let rightPath = right.path(hash)
    let index = leftPath.firstDifference(from: rightPath)
    let (leftDigit, rightDigit) = (leftPath.digit(index), rightPath.digit(index))
    if leftDigit != rightDigit { return leftDigit < rightDigit }
    return EntryKey.precedes(left.key, right.key)
  }
}

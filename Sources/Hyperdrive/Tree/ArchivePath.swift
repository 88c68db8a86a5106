/// The name of a file or folder in an archive: components of bytes, compared as bytes.
///
/// Names are UTF-8 if people made them, and otherwise may be anything. Nothing is normalised: the two forms
/// of `é` are two files, as they are to the reference.
public struct ArchivePath: Hashable, Sendable {
  /// Each component with a slash before it; empty for the root. No two paths have the same bytes.
  package let bytes: [UInt8]
  /// The number of components; 0 for the root.
  public let count: Int

  private static let slash = UInt8(ascii: "/")

  /// The root folder.
  public static let root = ArchivePath(bytes: [], count: 0)

  private init(bytes: [UInt8], count: Int) {
    self.bytes = bytes
    self.count = count
  }

  /// Makes the path that a person or program means by a text: `\` stands for `/`; `.`, `..` and empty parts
  /// are resolved, never above the root.
  ///
  /// Stands for the reference's `unixify(path.resolve('/', name))`, applied once.
  public init(_ text: String) { self.init(text: Array(text.utf8)) }

  /// Does the same for bytes that need not be UTF-8.
  public init(text: [UInt8]) {
    var parts: [ArraySlice<UInt8>] = []
    for part in text.split(whereSeparator: { $0 == Self.slash || $0 == UInt8(ascii: "\\") }) {
      if part.elementsEqual("..".utf8) {
        _ = parts.popLast()
      } else if !part.elementsEqual(".".utf8) {
        parts.append(part)
      }
    }
    self.init(components: parts)
  }

  /// Makes the path of a stored name: one leading and one trailing empty part are dropped, everything else is
  /// kept.
  package init(stored name: [UInt8]) {
    var rest = name[...]
    if rest.first == Self.slash { rest = rest.dropFirst() }
    if rest.isEmpty {
      self = .root
      return
    }
    if rest.last == Self.slash { rest = rest.dropLast() }
    var bytes: [UInt8] = [Self.slash]
    bytes.reserveCapacity(rest.count + 1)
    bytes += rest
    self.init(bytes: bytes, count: bytes.count { $0 == Self.slash })
  }

  /// Makes a path of these components, none of which may have a slash.
  package init(components: some Sequence<some Sequence<UInt8>>) {
    var bytes: [UInt8] = []
    var count = 0
    for component in components {
      bytes.append(Self.slash)
      bytes += component
      count += 1
    }
    self.init(bytes: bytes, count: count)
  }

  /// The name as it is stored: `/`, and the components with slashes between them.
  public var stored: [UInt8] { count == 0 ? [Self.slash] : bytes }

  /// The components, as bytes.
  public var components: [ArraySlice<UInt8>] {
    count == 0
      ? [] : bytes.dropFirst().split(separator: Self.slash, omittingEmptySubsequences: false)
  }

  /// The last component; empty for the root.
  public var name: ArraySlice<UInt8> {
    guard let slash = bytes.lastIndex(of: Self.slash) else { return [] }
    return bytes[(slash + 1)...]
  }

  /// The folder of the path; the root is its own.
  public var parent: ArchivePath {
    guard let slash = bytes.lastIndex(of: Self.slash) else { return self }
    return ArchivePath(bytes: Array(bytes[..<slash]), count: count - 1)
  }

  /// Returns the path of something in this folder. `component` may not have a slash.
  public func appending(_ component: some Sequence<UInt8>) -> ArchivePath {
    ArchivePath(bytes: bytes + [Self.slash] + component, count: count + 1)
  }

  /// Returns the first `count` components; all of them if there are fewer.
  public func prefix(_ count: Int) -> ArchivePath {
    guard count < self.count else { return self }
    return ArchivePath(bytes: Array(bytes[..<end(of: count)]), count: max(count, 0))
  }

  /// Returns whether the path is `folder` or below it.
  public func isWithin(_ folder: ArchivePath) -> Bool {
    guard bytes.starts(with: folder.bytes) else { return false }
    return bytes.count == folder.bytes.count || bytes[folder.bytes.count] == Self.slash
  }

  /// Returns the number of leading components that two paths share.
  package func common(_ other: ArchivePath) -> Int {
    let limit = min(bytes.count, other.bytes.count)
    var index = 0
    var slashes = 0
    while index < limit, bytes[index] == other.bytes[index] {
      if bytes[index] == Self.slash { slashes += 1 }
      index += 1
    }
    // The component at which they part counts only if it ends there in both.
    let isEnd = index == bytes.count || bytes[index] == Self.slash
    let isOtherEnd = index == other.bytes.count || other.bytes[index] == Self.slash
    return isEnd && isOtherEnd ? slashes : max(slashes - 1, 0)
  }

  /// Returns the component at `index`; nil past the last.
  package func component(_ index: Int) -> ArraySlice<UInt8>? {
    guard index >= 0, index < count else { return nil }
    let start = end(of: index) + 1
    return bytes[start..<(bytes[start...].firstIndex(of: Self.slash) ?? bytes.count)]
  }

  /// Returns the offset in ``bytes`` at which the first `count` components end.
  private func end(of count: Int) -> Int {
    var seen = 0
    for index in bytes.indices where bytes[index] == Self.slash {
      if seen == count { return index }
      seen += 1
    }
    return bytes.count
  }
}

extension ArchivePath: Comparable {
  /// Compares component by component, by bytes: a folder comes before its content, and all of that before the
  /// folder's next neighbour.
  public static func < (left: ArchivePath, right: ArchivePath) -> Bool {
    let shared = zip(left.bytes, right.bytes)
    for (a, b) in shared where a != b {
      if a == slash { return true }
      if b == slash { return false }
      return a < b
    }
    return left.bytes.count < right.bytes.count
  }
}

extension ArchivePath: CustomStringConvertible {
  /// The stored name as text; bytes that are not UTF-8 are replaced. It is foreign: escape it before a terminal
  /// shows it.
  public var description: String { String(decoding: stored, as: UTF8.self) }
}

extension ArchivePath: ExpressibleByStringLiteral {
  /// Makes the path that a text means; see ``init(_:)``.
  public init(stringLiteral text: String) { self.init(text) }
}

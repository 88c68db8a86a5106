/// The name of a file or folder in an archive: components of bytes, compared as bytes.
///
/// Names are UTF-8 where people made them, and anything where they did not. Nothing is normalised: the
/// two forms of `é` are two files, as they are to the reference.
public struct ArchivePath: Hashable, Sendable {
  /// Each component with a slash before it; nothing for the root. No two paths have the same bytes.
  package let bytes: [UInt8]
  /// How many components it has; 0 for the root.
  public let count: Int

  private static let slash = UInt8(ascii: "/")

  /// The root folder.
  public static let root = ArchivePath(bytes: [], count: 0)

  private init(bytes: [UInt8], count: Int) {
    self.bytes = bytes
    self.count = count
  }

  /// The path that a person or program means by a text: `\` stands for `/`; `.`, `..` and empty parts are
  /// resolved, never above the root.
  ///
  /// Stands for the reference's `unixify(path.resolve('/', name))`, applied once.
  public init(_ text: String) { self.init(text: Array(text.utf8)) }

  /// The same for bytes that need not be UTF-8.
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

  /// The path of a stored name: one leading and one trailing empty part are dropped, all else is kept as
  /// it is.
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

  /// A path of these components, none of which may have a slash.
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

  /// The folder it is in; the root is in itself.
  public var parent: ArchivePath {
    guard let slash = bytes.lastIndex(of: Self.slash) else { return self }
    return ArchivePath(bytes: Array(bytes[..<slash]), count: count - 1)
  }

  /// The path of something in this folder. `component` may not have a slash.
  public func appending(_ component: some Sequence<UInt8>) -> ArchivePath {
    ArchivePath(bytes: bytes + [Self.slash] + component, count: count + 1)
  }

  /// The first `count` components; all of them where there are fewer.
  public func prefix(_ count: Int) -> ArchivePath {
    guard count < self.count else { return self }
    return ArchivePath(bytes: Array(bytes[..<end(of: count)]), count: max(count, 0))
  }

  /// Whether it is `folder` or below it.
  public func isWithin(_ folder: ArchivePath) -> Bool {
    guard bytes.starts(with: folder.bytes) else { return false }
    return bytes.count == folder.bytes.count || bytes[folder.bytes.count] == Self.slash
  }

  /// How many leading components two paths share.
  package func common(_ other: ArchivePath) -> Int {
    let limit = min(bytes.count, other.bytes.count)
    var index = 0
    var slashes = 0
    while index < limit, bytes[index] == other.bytes[index] {
      if bytes[index] == Self.slash { slashes += 1 }
      index += 1
    }
    // The component in which they part counts only where both end it there.
    let isEnd = index == bytes.count || bytes[index] == Self.slash
    let isOtherEnd = index == other.bytes.count || other.bytes[index] == Self.slash
    return isEnd && isOtherEnd ? slashes : max(slashes - 1, 0)
  }

  /// The component at `index`; nil past the last.
  package func component(_ index: Int) -> ArraySlice<UInt8>? {
    guard index >= 0, index < count else { return nil }
    let start = end(of: index) + 1
    return bytes[start..<(bytes[start...].firstIndex(of: Self.slash) ?? bytes.count)]
  }

  /// Where the first `count` components end in ``bytes``.
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
  /// Component by component, by bytes: a folder comes before what is in it, and all of that before the
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
  /// The stored name as text; bytes that are no UTF-8 are replaced. Foreign: escape it before a terminal
  /// shows it.
  public var description: String { String(decoding: stored, as: UTF8.self) }
}

extension ArchivePath: ExpressibleByStringLiteral {
  /// The path that a text means; see ``init(_:)``.
  public init(stringLiteral text: String) { self.init(text) }
}

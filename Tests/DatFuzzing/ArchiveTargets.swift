internal import Hyperdrive

extension FuzzTarget {
  static func archiveEntry(_ bytes: [UInt8]) {
    let codec = ArchiveMessageCodec()
    if let header = codec.decodeHeader(bytes) {
      hold(
        codec.decodeHeader(codec.encode(header)) == header, "a header changes when it is written")
    }
    if let stat = codec.decodeStat(bytes) {
      hold(codec.decodeStat(codec.encode(stat)) == stat, "a stat changes when it is written")
      _ = (stat.stat.blockRange, stat.stat.byteRange, stat.stat.kind)
    }
    if let message = codec.decode(bytes) {
      hold(codec.decode(codec.encode(message)) == message, "an entry changes when it is written")
      let path = ArchivePath(stored: message.name)
      hold(ArchivePath(components: path.components) == path, "a path is not made of its components")
      hold(path.components.count == path.count, "a path's components are not so many")
    }
    for owner: UInt64 in [1, 5, 300, .max] {
      guard let index = EntryIndex(bytes, of: owner) else { continue }
      for list in index.lists {
        hold(zip(list, list.dropFirst()).allSatisfy { $0 < $1 }, "a list does not ascend")
        hold(list.allSatisfy { $0 > 0 && $0 <= owner }, "a list names what is not before it")
      }
      _ = index.list(index.count)
    }
  }

  /// Makes entries with names of few parts and lists of any seqs before their own.
  static func archive(_ bytes: [UInt8]) {
    var input = FuzzInput(bytes)
    let codec = ArchiveMessageCodec()
    let source = FuzzMetadata([
      codec.encode(ArchiveHeader(content: [UInt8](repeating: 1, count: 32)))
    ])
    let value = codec.encode(StatMessage(mode: FileStat.fileBits))
    while !input.isAtEnd, source.blocks.count < 24 {
      let depth = input.choice(5)
      let name = (0..<depth).map { _ in ["a", "b", "c", "", ".."][input.choice(5)] }
      let own = UInt64(source.blocks.count)
      let lists = (0..<input.choice(6)).map { _ -> [UInt64] in
        let bits = UInt64(input.byte()) << 8 | UInt64(input.byte())
        return (1...own).filter { bits >> ($0 % 16) & 1 == 1 }
      }
      source.blocks.append(
        codec.encode(
          ArchiveMessage(
            name: Array(("/" + name.joined(separator: "/")).utf8),
            value: input.choice(4) == 0 ? nil : value,
            paths: EntryIndex.encode(lists, omittingOwner: false))))
    }
    let tree = ArchiveTree(source, cacheBytes: 4096)
    do {
      let walk = ArchiveWalk(tree, version: tree.version)
      var paths: Set<ArchivePath> = []
      while let item = try walk.next() {
        hold(paths.insert(item.path).inserted, "a path is listed twice")
      }
      let head = try tree.head(tree.version)
      for path in paths { _ = try? tree.stat(path, from: head) }
      _ = try tree.diff(from: tree.version / 2, to: tree.version)
      _ = try tree.diff(from: tree.version, to: 0)
      guard tree.version == 0 || head != nil else { return }
      source.blocks.append(
        try tree.block(putting: "/a/b/new", StatMessage(mode: FileStat.fileBits)))
      let found = try tree.put("/a/b/new", from: tree.head(tree.version))
      hold(found?.seq == tree.version, "what was put is not found")
      source.blocks.append(try tree.block(removing: "/a/b/new"))
      hold(
        try tree.put("/a/b/new", from: tree.head(tree.version)) == nil, "what was removed is found")
    } catch is ArchiveError {
      return
    } catch {
      hold(false, "\(error)")
    }
  }

  static func archiveNames(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    if let link = ArchiveLink(text) { _ = link.path.components }
    let half = bytes.count / 2
    let rules = IgnoreRules(datignore: Array(bytes[..<half])) { $0.count == 3 }
    let path = ArchivePath(text: Array(bytes[half...]))
    _ = rules.reason(for: path)
    _ = PathPattern(text).matches(path)
    hold(ArchivePath(stored: path.stored) == path, "a path changes when it is stored")
  }
}

private final class FuzzMetadata: MetadataSource {
  var blocks: [[UInt8]]
  init(_ blocks: [[UInt8]]) { self.blocks = blocks }
  var length: UInt64 { UInt64(blocks.count) }
  func block(at seq: UInt64) -> [UInt8]? { seq < length ? blocks[Int(seq)] : nil }
}

internal import DatTesting
internal import Foundation
internal import HypercoreCrypto
internal import Hyperdrive

extension Attack {
  private static func sound(_ others: String...) -> Set<String> {
    Set((ArchiveScene.sound + others).map { "copy/" + $0 })
  }

  private static let badNames =
    [
      "/../out", "/a/../../out", "/./x", "/a//b", "/back\\slash", "/nul\0", "/.dat/metadata.key",
      "/.DAT/metadata.key", "/.d\u{200c}at/x", "/.\u{ff44}at/x", "/.dat./x", "/.dat:x", "/DAT~1/x",
      "/" + String(repeating: "n", count: 256), String(repeating: "/d", count: 2000), "/",
    ]

  /// Of lists that name all that is before them, a walk is paid for by each entry that it looks at.
  private static func circles(_ evil: EvilArchive) throws {
    for _ in 0..<1000 {
      let seq = evil.nextSeq
      try evil.put("/a/\(seq)", "", index: EntryIndex.encode([[seq]], omittingOwner: false))
    }
    let all = Array(1...evil.nextSeq)
    for number in 0..<3 {
      let deep = "/\(number)" + String(repeating: "/b", count: 600)
      try evil.put(
        deep, "",
        index: EntryIndex.encode((0...600).map { _ in all }, omittingOwner: false))
    }
    evil.followLast()
  }

  static let archives: [Attack] = [
    archive(81, "an archive's names that lead out of the folder and into .dat") { evil in
      for name in badNames { try evil.put(name, "bad") }
    } _: { scene in
      try await scene.laidOut("last")
      try scene.requireNames(sound())
      let key = FileManager.default.contents(atPath: scene.copy + "/.dat/metadata.key")
      try require(key == Data(scene.key.bytes), "the folder has another key")
    },
    archive(82, "an archive's names that lead through the user's links") { world in
      let files = FileManager.default
      try files.createDirectory(atPath: world + "/outside", withIntermediateDirectories: true)
      for name in ["into", "deep"] {
        try files.createSymbolicLink(
          atPath: "\(world)/copy/\(name)", withDestinationPath: world + "/outside")
      }
    } signing: { evil in
      for name in ["/into/file", "/deep/a/b/c", "/into/../x"] { try evil.put(name, "bad") }
    } _: { scene in
      try await scene.laidOut("last")
      let names = try scene.names()
      try require(names == sound("into", "deep").union(["outside"]), "\(names)")
    },
    archive(
      83, "an archive's indexes that lead round in circles", hidesFiles: true, signing: circles
    ) { scene in
      try await scene.said("word of it", "round in circles")
    },
    archive(84, "an archive's files of 2^60 bytes, or of others' bytes") { evil in
      try evil.put("/huge", "text") { $0.size = 1 << 60 }
      try evil.put("/longer", "text") { $0.size = 1 << 50 }
      try evil.put("/blocks", "text") { $0.blocks = 1 << 50 }
      try evil.put("/far", "text") { ($0.offset, $0.byteOffset) = (1 << 52, 1 << 52) }
      try evil.put("/first's", "") { ($0.blocks, $0.size, $0.offset, $0.byteOffset) = (1, 5, 0, 0) }
      try evil.put("/rights", "text") { ($0.mode, $0.mtime) = (0o106777, .max) }
      try evil.put("/device", "text") { $0.mode = 0o020777 }
    } _: { scene in
      for name in ["last", "rights"] { try await scene.laidOut(name) }
      let names = try scene.names()
      try require(names.isSubset(of: sound("rights", "far")), "\(names)")
      let rights = try FileManager.default.attributesOfItem(atPath: scene.copy + "/rights")
      let bits = (rights[.posixPermissions] as? NSNumber)?.intValue
      try require(bits == 0o777, "a file has the bits \(String(bits ?? 0, radix: 8))")
    },
    archive(85, "20,000 entries of an archive that nothing leads to", memory: 64 << 20) { evil in
      let none = EntryIndex.encode([], omittingOwner: false)
      for number in 0..<20_000 { try evil.put("/junk/\(number)", "", index: none) }
    } _: { scene in
      try await scene.laidOut("last")
      try scene.requireNames(sound())
    },
    archive(86, "blocks of an archive that are no entries") { evil in
      for block in [
        [], [0xff], [0x0a, 0x05, 0x61], [UInt8](repeating: 0x0a, count: 70_000),
        Raw.field(1, [UInt8](repeating: 0x61, count: 70_000)),
        Raw.field(1, [UInt8](repeating: 0x2f, count: 60_000)),
        Raw.field(1, [0x61]) + Raw.field(3, [0] + [UInt8](repeating: 0, count: 1_000_000)),
        Raw.field(1, [0x61]) + (0..<1000).flatMap { _ in Raw.field(9, []) },
      ] {
        evil.append(block)
      }
    } _: { scene in
      try await scene.laidOut("last")
      try scene.requireNames(sound())
    },
    archive(87, "an archive's blocks that nobody has") { evil in
      let start = evil.contentLength
      for number in 0..<200 { try evil.put("/never/\(number)", "bytes \(number)") }
      evil.missing = start..<evil.contentLength
    } _: { scene in
      try await scene.laidOut("last")
      try scene.requireNames(sound())
    },
    noArchive(88, "a feed that is given out for an archive", says: "no archive") { _ in
      Array("hello".utf8)
    },
    noArchive(89, "an archive whose content is its own metadata", says: "no content feed") { pair in
      ArchiveMessageCodec().encode(ArchiveHeader(content: pair.publicKey.bytes))
    },
  ]
}

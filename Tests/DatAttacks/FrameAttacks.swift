internal import DatTesting
internal import Foundation
internal import HypercoreCrypto
internal import HypercoreProtocol

extension Attack {
  /// Frames that should end the connection, each sent on a connection of its own.
  private static func closing(
    _ row: Int, _ name: String, _ frames: [(String, [UInt8])]
  ) -> Attack {
    feed(row, name) { scene in
      for (what, bytes) in frames {
        let attacker = try await scene.attacker()
        try await blocking {
          attacker.send(bytes)
          try attacker.expectClosed(what)
        }
        try await scene.checkHonest("while it is attacked")
      }
    }
  }

  /// Frames that should be tolerated: the connection goes on.
  private static func harmless(
    _ row: Int, _ name: String, _ frames: [(String, [UInt8])]
  ) -> Attack {
    feed(row, name) { scene in
      let attacker = try await scene.attacker()
      for (what, bytes) in frames {
        try await blocking {
          attacker.send(bytes)
          try attacker.expectOpen(what)
        }
      }
      try await scene.checkHonest("while it is attacked")
    }
  }

  private static let overflowing: [UInt8] = [UInt8](repeating: 0xff, count: 10) + [0x01]

  static let frames: [Attack] = [
    closing(
      1, "a frame of more than 8 MiB, a length of 9 bytes",
      [
        ("8 MiB and a byte", Raw.varint(8_388_609)),
        ("9 bytes of length", [UInt8](repeating: 0xff, count: 8) + [0x01]),
        ("2^63", Raw.varint(1 << 63)),
      ]),
    feed(1, "8 MiB promised and 100 bytes sent") { scene in
      let attacker = try await scene.attacker()
      try await blocking {
        attacker.send(Raw.varint(8_388_608) + [UInt8](repeating: 3, count: 100))
      }
      try await scene.checkHonest("while a frame is unfinished")
    },
    closing(
      2, "integers over 2^53, cut or too long, in every message",
      (3...8 as ClosedRange<UInt8>).flatMap { type -> [(String, [UInt8])] in
        [
          ("2^53 in type \(type)", Raw.frame(0, type, Body.numbers((1, 1 << 53)))),
          ("a cut integer in type \(type)", Raw.frame(0, type, [0x08, 0x80])),
          ("11 bytes in type \(type)", Raw.frame(0, type, [0x08] + overflowing)),
        ]
      }),
    harmless(
      2, "integers in longer forms than needed",
      [("padded", Raw.frame(0, 3, [0x08, 0x81, 0x80, 0x80, 0x00]))]),
    closing(
      3, "huge channel numbers",
      [256, 1 << 27, 1 << 31, 1 << 53, 1 << 59].map { ("channel \($0)", Raw.have($0, 1)) }),
    closing(
      4, "an extension's message with a bad number",
      [[0x80], [0x80, 0x80], overflowing].map { ("\($0)", Raw.frame(0, 15, $0)) }),
    closing(
      5, "a bitfield that is none, or starts where none does",
      [
        ("a cut literal", Raw.frame(0, 3, Body.numbers((1, 0)) + Raw.field(3, [0x08, 1]))),
        ("a cut run", Raw.frame(0, 3, Body.numbers((1, 0)) + Raw.field(3, [0x80]))),
        ("start 12", Raw.frame(0, 3, Body.numbers((1, 12)) + Raw.field(3, [0x02, 0xff]))),
      ]),
    closing(
      6, "5 bytes that stand for a gigabyte, and more",
      [30, 44, 50].map { exponent in
        (
          "2^\(exponent)",
          Raw.frame(
            0, 3, Body.numbers((1, 0)) + Raw.field(3, Raw.varint((4 << UInt64(exponent)) | 3)))
        )
      }),
    harmless(
      7, "Have and Unhave of 2^50 blocks",
      (0..<50).map { _ in
        (
          "2^50",
          Raw.frame(0, 3, Body.numbers((1, 1), (2, 1 << 50)))
            + Raw.frame(0, 4, Body.numbers((1, 2), (2, 1 << 50)))
        )
      }),
    harmless(
      9, "Want of 2^50 blocks, and 200 of 2^28",
      [
        ("2^50", Raw.frame(0, 5, Body.numbers((1, 0), (2, 1 << 50)))),
        (
          "200 of 2^28",
          (0..<200).flatMap { _ in Raw.frame(0, 5, Body.numbers((1, 0), (2, 1 << 28))) }
        ),
      ]),
    harmless(
      11, "Requests for what is not there, or never can be",
      [
        ("a block too far", Raw.frame(0, 7, Body.numbers((1, 1000)))),
        ("2^52", Raw.frame(0, 7, Body.numbers((1, 1 << 52)))),
        ("byte 2^50", Raw.frame(0, 7, Body.numbers((1, 3), (2, 1 << 50)))),
        ("nodes 2^52", Raw.frame(0, 7, Body.numbers((1, 3), (4, 1 << 52)))),
      ]),
    closing(
      12, "Data with neither a block nor a hash",
      [
        ("index 0", Raw.frame(0, 9, Body.data(0))),
        ("index 2^52", Raw.frame(0, 9, Body.data(1 << 52))),
      ]),
    harmless(
      13, "blocks that nobody asked for",
      (0..<20).map { ("a block", Raw.frame(0, 9, Body.data($0, value: [1, 2, 3]))) }),
  ]

  static let channels: [Attack] = [
    feed(16, "Feed twice on a channel that is not open here") { scene in
      let other = Attack.otherKeys(3)
      for isOpenHere in [false, true] {
        let attacker = try await scene.attacker()
        try await blocking {
          if !isOpenHere { attacker.send(Raw.feed(1, other[0])) }
          attacker.send(Raw.feed(isOpenHere ? 0 : 1, other[1]))
          try attacker.expectClosed("a second Feed")
        }
      }
      try await scene.checkHonest("while it is attacked")
    },
    feed(17, "300 channels, one feed on many, numbers left out") { scene in
      let others = Attack.otherKeys(300)
      let many = try await scene.attacker()
      try await blocking {
        for (number, key) in others.enumerated() { many.send(Raw.feed(UInt64(number + 1), key)) }
        try many.expectClosed("300 channels")
      }
      let same = try await scene.attacker()
      try await blocking {
        same.send(Raw.feed(1, others[0]) + Raw.feed(2, others[0]))
        try same.expectClosed("one feed on two channels")
      }
      let gaps = try await scene.attacker()
      try await blocking {
        gaps.send(Raw.feed(255, others[0]) + Raw.feed(7, others[1]))
        try gaps.expectOpen("numbers left out")
      }
    },
    feed(18, "17 messages of 8 MB on a channel that is not open here") { scene in
      let other = Attack.otherKeys(1)
      let attacker = try await scene.attacker()
      try await blocking {
        attacker.send(Raw.feed(1, other[0]))
        let message = Raw.frame(1, 9, Body.data(0, value: [UInt8](repeating: 1, count: 8_000_000)))
        for _ in 0..<17 where !attacker.isClosed { attacker.send(message) }
        try attacker.expectClosed("136 MB")
      }
      try await scene.checkHonest("while it is attacked")
    },
    feed(21, "8 MB of user data, 2,000,000 extensions, a second handshake") { scene in
      let large: [(String, [UInt8])] = [
        ("user data", [0x1a] + Raw.varint(8_000_000) + [UInt8](repeating: 0, count: 8_000_000)),
        (
          "extensions",
          [UInt8](repeating: 0, count: 4_000_000).enumerated().map { $0.offset & 1 == 0 ? 0x22 : 0 }
        ),
        ("65 extensions", (0..<65).flatMap { _ in Raw.field(4, [0x61]) }),
        ("a long name", Raw.field(4, [UInt8](repeating: 0x61, count: 65))),
      ]
      for (what, body) in large {
        let attacker = try await scene.attacker(handshake: body)
        try await blocking { try attacker.expectClosed(what) }
      }
      let twice = try await scene.attacker()
      try await blocking {
        twice.send(Raw.handshake(0, extensions: ["late"]))
        try twice.expectOpen("a second handshake")
      }
    },
  ]

  /// The discovery keys of feeds that the victim doesn't know.
  static func otherKeys(_ count: Int) -> [DiscoveryKey] {
    (0..<count).map { _ in KeyPair.generate().publicKey.discoveryKey }
  }
}

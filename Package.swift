// swift-tools-version: 6.2
import Foundation
import PackageDescription

/// True if libre 1.x and usrsctp are here, as Debian 12 has them: later versions of libre have another
/// interface. Elsewhere the trait `WebRTC` is off, unless it is asked for.
let hasWebRTC = [
  "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib",
  "/usr/local/lib",
].contains { folder in
  func description(_ name: String) -> String? {
    try? String(contentsOfFile: "\(folder)/pkgconfig/\(name).pc", encoding: .utf8)
  }
  return description("libre")?.contains("\nVersion: 1.") == true && description("usrsctp") != nil
}

/// One set of settings for every Swift target.
let strict: [SwiftSetting] = [
  // A protocol used as a type says so.
  .enableUpcomingFeature("ExistentialAny"),
  // An import is part of a module's public face only where it says `public import`.
  .enableUpcomingFeature("InternalImportsByDefault"),
  // Async functions stay where their caller is: no hidden hops between actors.
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  // A member can be used only where its module is imported: guards the order of the layers.
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]

func layer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(
  _ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []
) -> Target {
  .testTarget(
    name: name, dependencies: ["DatTesting"] + dependencies, resources: resources,
    swiftSettings: strict)
}

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioHTTP = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioSockets = Target.Dependency.product(name: "NIOWebSocket", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let nioLocks = Target.Dependency.product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let services = Target.Dependency.product(
  name: "ServiceLifecycle", package: "swift-service-lifecycle")
let arguments = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")
let web: [Target.Dependency] = [
  .product(name: "Hummingbird", package: "hummingbird"),
  .product(name: "HummingbirdCore", package: "hummingbird"),
  .product(name: "HTTPTypes", package: "swift-http-types"),
  .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
]

let package = Package(
  name: "dat-swift",
  platforms: [.macOS(.v14)],
  products: [
    .library(name: "RandomAccessStorage", targets: ["RandomAccessStorage"]),
    .library(name: "HypercoreCrypto", targets: ["HypercoreCrypto"]),
    .library(name: "HypercoreProtocol", targets: ["HypercoreProtocol"]),
    .library(name: "Hypercore", targets: ["Hypercore"]),
    .library(name: "HyperDB", targets: ["HyperDB"]),
    .library(name: "Hyperdrive", targets: ["Hyperdrive"]),
    .library(name: "Saga", targets: ["Saga"]),
    .library(name: "DatSwarm", targets: ["DatSwarm"]),
    .library(name: "DatDHT", targets: ["DatDHT"]),
    .library(name: "DatSignal", targets: ["DatSignal"]),
    .library(name: "DatWebRTC", targets: ["DatWebRTC"]),
    .library(name: "DatHost", targets: ["DatHost"]),
    .executable(name: "dat", targets: ["dat"]),
  ],
  traits: [
    .default(enabledTraits: hasWebRTC ? ["DHT", "WebRTC"] : ["DHT"]),
    .trait(
      name: "DHT",
      description: "Finding peers through the BitTorrent mainline DHT. Needs libtorrent-rasterbar."),
    .trait(
      name: "WebRTC",
      description: "Peers in browsers, through signal hubs. Needs libre 1.x, usrsctp and OpenSSL 3."
    ),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.30.0"),
  ],
  targets: [
    // The C libraries, from the system.
    .systemLibrary(
      name: "CSodium", pkgConfig: "libsodium",
      providers: [.apt(["libsodium-dev"]), .brew(["libsodium"])]),
    .systemLibrary(
      name: "CProtobufC", pkgConfig: "libprotobuf-c",
      providers: [.apt(["libprotobuf-c-dev"]), .brew(["protobuf-c"])]),
    .systemLibrary(
      name: "CQRencode", pkgConfig: "libqrencode",
      providers: [.apt(["libqrencode-dev"]), .brew(["qrencode"])]),
    .systemLibrary(
      name: "CLibEdit", pkgConfig: "libedit",
      providers: [.apt(["libedit-dev"]), .brew(["libedit"])]),
    // The C library's allocator and file kinds, as far as Swift's modules for it leave them out.
    .systemLibrary(name: "CMalloc"),
    // Generated from Schemas/ by `make schemas`.
    .target(name: "CDatMessages", dependencies: ["CProtobufC"]),
    // BLAKE2b of several messages at once, in vectors.
    .target(name: "CDatHash"),

    // The layers, lowest first. Each may name only those above it in this list.
    layer("DatCoding", []),
    layer("RandomAccessStorage", []),
    layer("HypercoreCrypto", ["CSodium", "CDatHash", "DatCoding"]),
    layer(
      "HypercoreProtocol", ["HypercoreCrypto", "DatCoding", "CDatMessages", "CProtobufC"]),
    layer(
      "Hypercore", ["RandomAccessStorage", "HypercoreCrypto", "HypercoreProtocol", "DatCoding"]),
    layer(
      "HyperDB",
      [
        "Hypercore", "HypercoreProtocol", "HypercoreCrypto", "RandomAccessStorage", "DatCoding",
        "CDatMessages", "CProtobufC",
      ]),
    layer(
      "Hyperdrive",
      [
        "Hypercore", "HypercoreProtocol", "HypercoreCrypto", "RandomAccessStorage", "DatCoding",
        "CDatMessages", "CProtobufC", "CMalloc",
      ]),
    layer(
      "Saga",
      [
        "HyperDB", "Hypercore", "HypercoreCrypto", "HypercoreProtocol", "RandomAccessStorage",
        "DatCoding",
      ]),
    // What small servers on loopback have in common.
    layer("DatHTTP", [nioCore, nioLocks] + web),
    // The chat's page and the small server that carries it to the browser.
    .target(
      name: "DatWeb",
      dependencies: [
        "Saga", "HyperDB", "Hyperdrive", "HypercoreCrypto", "DatCoding", "CQRencode", "DatHTTP",
        nioCore,
        logging,
      ] + web,
      resources: [.copy("Page")], swiftSettings: strict),
    layer("DatDNS", []),
    layer(
      "DatSwarm",
      [
        "DatDNS", "Hypercore", "HypercoreProtocol", "HypercoreCrypto", nioCore, nioPosix, heap,
        logging, metrics,
      ]),
    // The DHT, over libtorrent. Both targets are empty without the trait.
    .target(
      name: "CDatDHT",
      cxxSettings: [
        .define("DAT_DHT", .when(traits: ["DHT"])),
        // What libtorrent was built with, as its pkg-config file says.
        .define("TORRENT_LINKING_SHARED"), .define("TORRENT_USE_OPENSSL"),
        .define("TORRENT_USE_LIBCRYPTO"), .define("TORRENT_SSL_PEERS"),
        .define("BOOST_ASIO_ENABLE_CANCELIO"), .define("BOOST_ASIO_NO_DEPRECATED"),
        .define("OPENSSL_NO_SSL2"), .define("BOOST_ALL_NO_LIB"),
      ],
      linkerSettings: [
        .linkedLibrary("torrent-rasterbar", .when(traits: ["DHT"])),
        .linkedLibrary("ssl", .when(traits: ["DHT"])),
        .linkedLibrary("crypto", .when(traits: ["DHT"])),
      ]),
    layer("DatDHT", ["CDatDHT", "DatSwarm", "HypercoreCrypto", logging]),
    // Signal hubs, with which peers in browsers find each other: both kinds, both ends.
    layer(
      "DatSignal",
      [
        "DatCoding", nioCore, nioPosix, nioLocks, nioHTTP, nioSockets, nioTLS, httpClient, logging,
        metrics,
      ]),
    // WebRTC's data channels, over libre, usrsctp and OpenSSL. Without the trait only pure functions.
    .target(
      name: "CDataChannel",
      cSettings: [
        .define("DAT_WEBRTC", .when(traits: ["WebRTC"])), .define("_GNU_SOURCE"),
      ],
      linkerSettings: [
        .linkedLibrary("re", .when(traits: ["WebRTC"])),
        .linkedLibrary("usrsctp", .when(traits: ["WebRTC"])),
        .linkedLibrary("ssl", .when(traits: ["WebRTC"])),
        .linkedLibrary("crypto", .when(traits: ["WebRTC"])),
      ]),
    layer(
      "DatWebRTC",
      [
        "CDataChannel", "DatSignal", "DatSwarm", "Hypercore", "HypercoreCrypto", nioLocks, logging,
      ]),
    // Recorded connections, decoded.
    layer("DatWire", ["HypercoreProtocol", "HypercoreCrypto", "DatCoding"]),
    // What a program measures, as a page for Prometheus.
    layer("DatMetrics", ["DatHTTP", metrics, logging, nioCore, nioLocks, services] + web),
    // Which host of a fleet holds which key: plain values, without I/O, clock or chance.
    layer("DatFleet", ["HypercoreCrypto", "DatCoding", heap]),
    // Rooms, databases and feeds, kept online.
    layer(
      "DatHost",
      [
        "DatFleet", "DatDNS", "Saga", "HyperDB", "Hyperdrive", "Hypercore", "HypercoreCrypto",
        "HypercoreProtocol",
        "RandomAccessStorage", "DatSwarm", "DatCoding", nioCore, nioPosix, nioLocks, logging,
        metrics,
      ]),
    .executableTarget(
      name: "dat",
      dependencies: [
        "Saga", "HyperDB", "Hypercore", "HypercoreCrypto", "RandomAccessStorage", "DatSwarm",
        "Hyperdrive", "DatWeb", "DatDHT", "DatHost", "DatMetrics", "DatCoding", "CLibEdit",
        "CMalloc", "DatSignal", "DatWebRTC", "DatDNS", "DatWire", "HypercoreProtocol", arguments,
        httpClient, nioCore, nioHTTP,
        logging, metrics, services,
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),

    // The exercises of the Dat workshop, written as a user of the libraries would.
    .target(
      name: "Workshop",
      dependencies: [
        "DatSwarm", "HyperDB", "Hypercore", "HypercoreCrypto", "RandomAccessStorage",
      ],
      path: "Examples/Workshop", swiftSettings: [.treatAllWarnings(as: .error)]),

    // Shared by the tests, part of no product.
    .target(
      name: "DatTesting",
      dependencies: [
        "RandomAccessStorage", "HypercoreCrypto", "HypercoreProtocol", "Hypercore", "DatCoding",
      ],
      path: "Tests/DatTesting", swiftSettings: strict),
    // Counts memory, copies and system calls of each kind of work, for the tests and for `make costs`. No test
    // depends on it: its calls stand in front of the C library's in every program that they are linked into.
    .target(name: "CCosts", path: "Tests/CCosts", linkerSettings: [.linkedLibrary("dl")]),
    .executableTarget(
      name: "dat-costs",
      dependencies: [
        "CCosts", "DatTesting", "DatSwarm", "Saga", "HyperDB", "Hypercore", "HypercoreProtocol",
        "HypercoreCrypto", "RandomAccessStorage",
      ],
      path: "Tests/Costs", exclude: ["Costs.json"], swiftSettings: strict),
    tests("DatCostTests", []),
    // Node and Swift on either end: `make interop`.
    .executableTarget(
      name: "dat-interop",
      dependencies: [
        "DatTesting", "Saga", "HyperDB", "Hyperdrive", "Hypercore", "HypercoreCrypto", "DatSwarm",
      ],
      path: "Interop/Runner", swiftSettings: strict),
    // What the fuzzer and the tests feed with any bytes.
    .target(
      name: "DatFuzzing",
      dependencies: [
        "Saga", "HyperDB", "Hyperdrive", "Hypercore", "HypercoreProtocol", "HypercoreCrypto",
        "RandomAccessStorage", "DatCoding", "DatDNS", "DatTesting", "DatSignal", "DatWebRTC",
        "CDataChannel", "DatWire", nioCore,
      ],
      path: "Tests/DatFuzzing", swiftSettings: strict),
    tests("DatFuzzingTests", ["DatFuzzing"]),
    tests(
      "DatWireTests", ["DatWire", "HypercoreProtocol", "HypercoreCrypto", "DatCoding"]),
    // Attacks on the built command over TCP: for the tests, and for `make attacks`.
    .target(
      name: "DatAttacks",
      dependencies: [
        "Saga", "HyperDB", "Hyperdrive", "Hypercore", "HypercoreProtocol", "HypercoreCrypto",
        "RandomAccessStorage", "DatSwarm", "DatDNS", "DatTesting", "DatSignal",
      ],
      path: "Tests/DatAttacks", swiftSettings: strict),
    .executableTarget(
      name: "dat-attacks", dependencies: ["DatAttacks"], path: "Tests/DatAttacksCommand",
      swiftSettings: strict),
    tests("DatAttackTests", ["DatAttacks", "dat"]),
    tests("DatCodingTests", ["DatCoding"]),
    tests("RandomAccessStorageTests", ["RandomAccessStorage"]),
    tests("HypercoreCryptoTests", ["HypercoreCrypto", "DatCoding"]),
    tests("HypercoreProtocolTests", ["HypercoreProtocol", "HypercoreCrypto", "DatCoding"]),
    tests(
      "HypercoreTests",
      ["Hypercore", "HypercoreProtocol", "HypercoreCrypto", "RandomAccessStorage", "DatCoding"]),
    // Writes until it is killed.
    .executableTarget(
      name: "dat-crash-writer", dependencies: ["HyperDB", "Hypercore"], path: "Tests/CrashWriter",
      swiftSettings: strict),
    tests(
      "HyperDBTests",
      [
        "HyperDB", "Hypercore", "HypercoreProtocol", "HypercoreCrypto", "RandomAccessStorage",
        "DatCoding", "dat-crash-writer",
      ]),
    tests(
      "HyperdriveTests",
      [
        "Hyperdrive", "Hypercore", "HypercoreProtocol", "HypercoreCrypto", "RandomAccessStorage",
        "DatCoding",
      ]),
    tests(
      "SagaTests",
      [
        "Saga", "HyperDB", "Hypercore", "HypercoreCrypto", "HypercoreProtocol",
        "RandomAccessStorage", "DatCoding",
      ]),
    // Rooms without a network behind them: for the tests, and for `make test-web` to drive.
    .target(
      name: "DatWebTesting", dependencies: ["DatWeb", "Saga", "HypercoreCrypto"],
      path: "Tests/DatWebTesting", swiftSettings: strict),
    .executableTarget(
      name: "dat-web-fake",
      dependencies: ["DatWebTesting", "DatWeb", "Saga", "HypercoreCrypto"],
      path: "Tests/DatWebFake", swiftSettings: strict),
    tests(
      "DatWebTests",
      [
        "DatWeb", "DatWebTesting", "DatHTTP", "Saga", "HyperDB", "Hyperdrive", "Hypercore",
        "HypercoreCrypto",
        "RandomAccessStorage",
        nioCore, nioPosix,
      ]),
    tests(
      "WorkshopTests",
      [
        "Workshop", "DatSwarm", "HyperDB", "Hypercore", "HypercoreCrypto", "RandomAccessStorage",
      ]),
    tests(
      "DatSwarmTests",
      [
        "DatDNS", "DatSwarm", "Saga", "HyperDB", "Hyperdrive", "Hypercore", "HypercoreCrypto",
        "RandomAccessStorage",
      ]),
    // Loads a host from outside, for `make bench-host`.
    .executableTarget(
      name: "dat-host-load",
      dependencies: ["Saga", "HyperDB", "HypercoreCrypto", "RandomAccessStorage", "DatSwarm"],
      path: "Tests/HostLoad", swiftSettings: strict),
    tests("DatMetricsTests", ["DatMetrics", "DatHTTP", metrics, logging, nioCore]),
    // Opens large rooms, for `make bench-room`.
    .executableTarget(
      name: "dat-room-load",
      dependencies: ["Saga", "HyperDB", "Hypercore", "HypercoreCrypto", "RandomAccessStorage"],
      path: "Tests/RoomLoad", swiftSettings: strict),
    // A fleet of many hosts and keys, simulated: for the tests, and for `make fleet-campaign`.
    .target(
      name: "DatFleetSimulation", dependencies: ["DatFleet", "HypercoreCrypto"],
      path: "Tests/DatFleetSimulation", swiftSettings: strict),
    .executableTarget(
      name: "dat-fleet-campaign",
      dependencies: ["DatFleetSimulation", "DatFleet", "HypercoreCrypto"],
      path: "Tests/FleetCampaign",
      swiftSettings: strict),
    tests("DatFleetTests", ["DatFleet", "DatFleetSimulation", "DatDNS", "HypercoreCrypto"]),
    tests(
      "DatHostTests",
      [
        "DatHost", "DatFleet", "DatDNS", "DatSwarm", "Saga", "HyperDB", "Hyperdrive", "Hypercore",
        "HypercoreCrypto", "RandomAccessStorage", nioCore, nioPosix, logging,
      ]),
    tests(
      "DatSignalTests", ["DatSignal", nioCore, nioPosix, nioEmbedded, nioHTTP, httpClient]),
    tests(
      "DatWebRTCTests",
      [
        "DatWebRTC", "DatSignal", "CDataChannel", "DatSwarm", "Hypercore", "HypercoreCrypto",
        "RandomAccessStorage", nioCore, nioPosix, nioLocks,
      ]),
    tests(
      "DatDHTTests",
      ["DatDHT", "DatSwarm", "Saga", "HyperDB", "HypercoreCrypto", "RandomAccessStorage"]),
    tests(
      "DatCommandTests",
      [
        "Saga", "DatSwarm", "HyperDB", "Hypercore", "HypercoreCrypto", "RandomAccessStorage",
        "DatCoding", "DatDNS", "DatHost", "DatWire", "dat", arguments,
      ]
    ),
  ],
  cxxLanguageStandard: .cxx17
)

// The fuzzer links only under `-sanitize=fuzzer`, so `make fuzz` alone asks for it.
if Context.environment["DAT_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(
      name: "dat-fuzz", dependencies: ["DatFuzzing"], path: "Tests/DatFuzz",
      swiftSettings: strict))
}

// `DAT_SUITES="HyperDBTests SagaTests" swift test --test-product dat-swiftPackageTests` builds these suites
// and what they need, and nothing else: for work on one module.
if let chosen = Context.environment["DAT_SUITES"] {
  let names = Set(chosen.split(separator: " ").map(String.init))
  package.targets.removeAll { $0.type == .test && !names.contains($0.name) }
}

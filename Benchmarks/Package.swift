// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]

// A package of its own, so that nobody who uses the library builds it.
let package = Package(
  name: "dat-benchmarks",
  platforms: [.macOS(.v14)],
  dependencies: [.package(name: "dat-swift", path: "..")],
  targets: [
    // What libsodium does by itself: the limits that rates are compared with.
    .systemLibrary(
      name: "CSodiumHere", pkgConfig: "libsodium",
      providers: [.apt(["libsodium-dev"]), .brew(["libsodium"])]),
    .target(name: "CLimits", dependencies: ["CSodiumHere"]),
    .executableTarget(
      name: "dat-bench",
      dependencies: [
        "CLimits",
        .product(name: "RandomAccessStorage", package: "dat-swift"),
        .product(name: "HypercoreCrypto", package: "dat-swift"),
        .product(name: "HypercoreProtocol", package: "dat-swift"),
        .product(name: "Hypercore", package: "dat-swift"),
        .product(name: "HyperDB", package: "dat-swift"),
        .product(name: "Hyperdrive", package: "dat-swift"),
        .product(name: "Saga", package: "dat-swift"),
        .product(name: "DatSwarm", package: "dat-swift"),
        .product(name: "DatSignal", package: "dat-swift"),
        .product(name: "DatWebRTC", package: "dat-swift"),
      ],
      swiftSettings: settings),
  ]
)

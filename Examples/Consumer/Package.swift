// swift-tools-version: 6.0
import PackageDescription

// A package as a user of the libraries has it, except that it depends on this checkout by its path.
// `make check-consumer` builds and runs it.
let package = Package(
  name: "Consumer",
  platforms: [.macOS(.v14)],
  dependencies: [.package(name: "dat-swift", path: "../..")],
  targets: [
    .executableTarget(
      name: "Consumer",
      dependencies: [
        .product(name: "Hypercore", package: "dat-swift"),
        .product(name: "HyperDB", package: "dat-swift"),
        .product(name: "Saga", package: "dat-swift"),
        .product(name: "DatSwarm", package: "dat-swift"),
      ])
  ]
)

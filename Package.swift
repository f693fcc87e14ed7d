// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target: the strictest mode that the toolchain has.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]
/// Settings of targets that own memory: each unsafe use is marked and argued for.
let leaf: [SwiftSetting] = strict + [.enableExperimentalFeature("Lifetimes")]

let package = Package(
    name: "aisle",
    products: [.executable(name: "aisle", targets: ["aisle"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-atomics", from: "1.3.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // System libraries.
        .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        // C and C++ that Swift cannot express, and shims.
        .target(name: "CSIMDJSON", linkerSettings: [.linkedLibrary("simdjson")]),
        .target(
            name: "CKernels",
            cSettings: [.unsafeFlags(["-O3"], .when(configuration: .release))]),
        // Plain values.
        .target(name: "Primitives", swiftSettings: leaf),
        .target(name: "Documents", dependencies: ["CSIMDJSON"], swiftSettings: leaf),
        .target(name: "Schema", dependencies: ["Documents", "Primitives"], swiftSettings: leaf),
        .target(
            name: "Query", dependencies: ["Schema", "Documents", "Primitives"],
            swiftSettings: leaf),
        // Islands and storage.
        .target(name: "ColumnIndex", dependencies: ["CKernels", "Primitives"], swiftSettings: leaf),
        .target(
            name: "DocumentStore", dependencies: ["CLMDB", "Primitives"], swiftSettings: leaf),
        // The engine.
        .target(
            name: "Partition",
            dependencies: [
                "ColumnIndex", "Documents", "Schema", "Query", "DocumentStore", "Primitives",
            ],
            swiftSettings: leaf),
        .target(
            name: "Engine",
            dependencies: [
                "Partition", "Documents", "Schema", "Query", "DocumentStore", "Primitives",
                .product(name: "Atomics", package: "swift-atomics"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: leaf),
        // The protocol and the server.
        .target(
            name: "RESP",
            dependencies: ["Primitives", .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: leaf),
        .target(
            name: "Commands",
            dependencies: [
                "Engine", "RESP", "Query", "Schema", "Documents", "Primitives",
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: leaf),
        .target(
            name: "Server",
            dependencies: [
                "Commands", "Engine", "RESP", "Primitives",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Atomics", package: "swift-atomics"),
            ],
            swiftSettings: strict),
        // Clients.
        .target(
            name: "Client", dependencies: ["Primitives"],
            swiftSettings: strict),
        .target(
            name: "Importer",
            dependencies: ["Client", "Documents", "Primitives", "CZstd", "CZlib"],
            swiftSettings: strict),
        .target(
            name: "Bench",
            dependencies: [
                "Client", "Importer", "Documents", "Primitives",
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "aisle",
            dependencies: [
                "Server", "Engine", "Commands", "Client", "Importer", "Bench", "DocumentStore",
                "Primitives",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
    ],
    cxxLanguageStandard: .cxx17
)

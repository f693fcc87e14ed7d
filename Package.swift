// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target: the strictest mode that the toolchain has.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
    // Debug information, and with it backtraces, name files from the package's root on.
    .unsafeFlags(["-debug-prefix-map", "\(Context.packageDirectory)=."]),
]
/// The same for C and C++.
let plainPaths = ["-ffile-prefix-map=\(Context.packageDirectory)=."]
/// Settings of targets on the path of a request: exclusive access is proved where the compiler can
/// and checked at run time in debug builds and tests, but not in release builds, where the checks
/// took up to a fifth of a lookup.
let hot: [SwiftSetting] = [
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
]
/// Settings of targets that own memory: each unsafe use is marked and argued for.
let leaf: [SwiftSetting] = strict + hot + [.enableExperimentalFeature("Lifetimes")]

let package = Package(
    name: "aisle",
    products: [.executable(name: "aisle", targets: ["aisle"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // System libraries.
        .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CTLS", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        // C and C++ that Swift cannot express, and shims.
        .target(
            name: "CSIMDJSON", cxxSettings: [.unsafeFlags(plainPaths)],
            linkerSettings: [.linkedLibrary("simdjson")]),
        .target(
            name: "CKernels",
            cSettings: [
                .unsafeFlags(plainPaths),
                .unsafeFlags(["-O3"], .when(configuration: .release)),
            ]),
        // Plain values.
        .target(name: "Primitives", dependencies: ["CKernels"], swiftSettings: leaf),
        .target(name: "Documents", dependencies: ["CSIMDJSON"], swiftSettings: leaf),
        .target(
            name: "GeoJSON", dependencies: ["Documents", "GeoIndex"], swiftSettings: leaf),
        .target(
            name: "Schema", dependencies: ["Documents", "GeoIndex", "GeoJSON", "Primitives"],
            swiftSettings: leaf),
        .target(
            name: "Query",
            dependencies: ["Schema", "Documents", "GeoIndex", "GeoJSON", "Primitives"],
            swiftSettings: leaf),
        // Islands and storage.
        .target(
            name: "ColumnIndex", dependencies: ["CKernels", "Primitives"], swiftSettings: leaf),
        .target(
            name: "VectorIndex", dependencies: ["CKernels", "Primitives"], swiftSettings: leaf),
        .target(name: "GeoIndex", dependencies: ["Primitives"], swiftSettings: leaf),
        .target(
            name: "HoursIndex", dependencies: ["Documents", "Primitives"], swiftSettings: leaf),
        .target(
            name: "DocumentStore", dependencies: ["CLMDB", "CKernels", "Primitives"],
            swiftSettings: leaf),
        .target(
            name: "Snapshot", dependencies: ["CKernels", "CZstd", "Primitives"],
            swiftSettings: leaf),
        // The engine.
        .target(
            name: "Partition",
            dependencies: [
                "ColumnIndex", "VectorIndex", "GeoIndex", "HoursIndex", "GeoJSON", "Documents",
                "Schema", "Query", "DocumentStore", "Primitives",
            ],
            swiftSettings: leaf),
        .target(
            name: "Engine",
            dependencies: [
                "Partition", "ColumnIndex", "GeoIndex", "HoursIndex", "GeoJSON", "CKernels",
                "Documents",
                "Schema", "Query", "DocumentStore", "Snapshot", "Primitives",
            ],
            swiftSettings: leaf),
        // The protocol and the server.
        .target(
            name: "RESP",
            dependencies: [.product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: leaf),
        .target(
            name: "Commands",
            dependencies: [
                "Engine", "RESP", "Query", "Schema", "GeoIndex", "GeoJSON", "Documents",
                "DocumentStore", "Snapshot", "Primitives",
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: leaf),
        .target(
            name: "Server",
            dependencies: [
                "Commands", "Engine", "RESP", "DocumentStore", "Snapshot", "Schema", "Primitives",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict + hot),
        // Clients.
        .target(
            name: "Client",
            dependencies: ["CTLS"],
            swiftSettings: strict),
        .target(
            name: "Importer",
            dependencies: ["Client", "Documents", "CZstd", "CZlib"],
            swiftSettings: strict),
        .target(
            name: "Bench",
            dependencies: [
                "Client", "Importer",
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "aisle",
            dependencies: [
                "Server", "Engine", "Commands", "Client", "Importer", "Bench", "DocumentStore",
                "Snapshot", "Primitives",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        // Our side of Benchmarks/vectors.
        .executableTarget(
            name: "vector-bench", dependencies: ["VectorIndex"],
            path: "Benchmarks/vectors/Worker", swiftSettings: strict),
        // The client of Benchmarks/places.
        .executableTarget(
            name: "place-bench", dependencies: ["Client"], path: "Benchmarks/places/Worker",
            swiftSettings: strict),
        // Tests: one target per module, and a driver for the store on a failing disk.
        .executableTarget(
            name: "StoreDriver", dependencies: ["DocumentStore", "Primitives"],
            path: "Tests/StoreDriver", swiftSettings: strict),
        .testTarget(
            name: "PrimitivesTests", dependencies: ["Primitives"], swiftSettings: strict),
        .testTarget(
            name: "DocumentsTests", dependencies: ["Documents"], exclude: ["Golden"],
            swiftSettings: strict),
        .testTarget(
            name: "GeoJSONTests", dependencies: ["GeoJSON", "GeoIndex", "Documents"],
            swiftSettings: strict),
        .testTarget(
            name: "SchemaTests",
            dependencies: ["Schema", "GeoIndex", "GeoJSON", "Documents", "Primitives"],
            swiftSettings: strict),
        .testTarget(
            name: "QueryTests", dependencies: ["Query", "Schema", "Documents", "Primitives"],
            swiftSettings: strict),
        .testTarget(
            name: "ColumnIndexTests", dependencies: ["ColumnIndex", "CKernels", "Primitives"],
            swiftSettings: strict),
        .testTarget(
            name: "VectorIndexTests", dependencies: ["VectorIndex", "CKernels", "Primitives"],
            swiftSettings: strict),
        .testTarget(
            name: "GeoIndexTests", dependencies: ["GeoIndex", "Primitives"], exclude: ["Golden"],
            swiftSettings: strict),
        .testTarget(
            name: "HoursIndexTests", dependencies: ["HoursIndex", "Documents", "Primitives"],
            swiftSettings: strict),
        .testTarget(
            name: "DocumentStoreTests", dependencies: ["DocumentStore", "Primitives"],
            swiftSettings: strict),
        .testTarget(
            name: "SnapshotTests", dependencies: ["Snapshot", "Primitives", "TestSupport"],
            swiftSettings: strict),
        .target(
            name: "TestSupport", dependencies: ["Query", "Schema", "Documents", "Primitives"],
            path: "Tests/TestSupport", swiftSettings: strict),
        .testTarget(
            name: "PartitionTests",
            dependencies: [
                "Partition", "ColumnIndex", "GeoIndex", "HoursIndex", "Query", "Schema",
                "Documents", "Primitives", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "EngineTests",
            dependencies: [
                "Engine", "Partition", "HoursIndex", "DocumentStore", "Snapshot", "Query", "Schema",
                "Documents", "Primitives", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CommandsTests",
            dependencies: [
                "Commands", "Documents", "Engine", "GeoIndex", "GeoJSON", "RESP", "Query",
                "Primitives", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "RESPTests",
            dependencies: ["RESP", .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: strict),
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "Server", "Commands", "RESP", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .testTarget(name: "ClientTests", dependencies: ["Client"], swiftSettings: strict),
        .testTarget(
            name: "ImporterTests", dependencies: ["Importer", "Client", "Documents"],
            swiftSettings: strict),
        .testTarget(
            name: "BenchTests", dependencies: ["Bench", "Importer", "Client"],
            swiftSettings: strict),
    ],
    cxxLanguageStandard: .cxx17
)

// Fuzzers are built only where they are asked for: they need the fuzzer's runtime.
if Context.environment["AISLE_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "Documents", "GeoIndex", "GeoJSON", "Query", "RESP", "Snapshot", "Partition",
                "Schema", "Primitives",
            ], path: "Tests/Fuzz", exclude: ["Corpus"], swiftSettings: strict))
}

import Client
import Importer

/// One thing that is measured: which requests, how many clients, what it may take.
package struct Scenario: Sendable {
    /// How the scenario runs.
    package enum Kind: Sendable, Equatable {
        /// Requests over connections.
        case requests
        /// The importer fills a collection.
        case bulkLoad
        /// Lookups while the importer fills another collection.
        case lookupsWhileLoading
    }

    /// Its name on the command line.
    package let name: String
    /// What it does, in a few words.
    package let title: String
    package var kind = Kind.requests
    /// Connections where none are asked for.
    package var connections = 1
    package var pipeline = 1
    /// Median budget in microseconds, at 100,000 and at a million records.
    package var medianBudget: (small: Double, large: Double)?
    /// 99th percentile budget in microseconds where it does not follow from the median's.
    package var tailBudget: Double = 100_000
    /// Least rate per second, at 100,000 and at a million records.
    package var rateBudget: (small: Double, large: Double)?

    /// Every scenario, in the order in which they run.
    package static let all: [Scenario] = [
        Scenario(name: "ping", title: "PING", connections: 50),
        Scenario(name: "ping-p16", title: "PING, 16 in a pipeline", connections: 50, pipeline: 16),
        Scenario(name: "fetch", title: "FETCH by id", connections: 50),
        Scenario(
            name: "fetch-p16",
            title: "FETCH, 16 in a pipeline",
            connections: 50,
            pipeline: 16
        ),
        Scenario(name: "mfetch-50", title: "MFETCH of 50 ids"),
        Scenario(
            name: "put",
            title: "durable PUT",
            connections: 50,
            rateBudget: (58_000, 58_000)
        ),
        Scenario(
            name: "filter-sort",
            title: "category and price range, sorted by price, 50 documents",
            medianBudget: (150, 250)
        ),
        Scenario(name: "tags", title: "any and all of tags, 50 documents"),
        Scenario(
            name: "page-offset",
            title: "page at offset 10,000 by price",
            medianBudget: (400, 800)
        ),
        Scenario(
            name: "page-cursor",
            title: "page by cursor at that depth",
            medianBudget: (150, 150)
        ),
        Scenario(
            name: "stats-by-category",
            title: "count, min, max, avg of price by category",
            medianBudget: (500, 4_000)
        ),
        Scenario(
            name: "facets",
            title: "facets of category and tags under a filter",
            medianBudget: (1_000, 8_000)
        ),
        Scenario(name: "mixed-95-5", title: "95 % FETCH, 5 % PATCH", connections: 50),
        Scenario(
            name: "bulk-load",
            title: "bulk load, durable and indexed",
            kind: .bulkLoad,
            rateBudget: (80_000, 60_000)
        ),
        Scenario(
            name: "lookup-while-loading",
            title: "FETCH while loading flat out",
            kind: .lookupsWhileLoading,
            connections: 4,
            tailBudget: 5_000
        ),
    ]

    /// The names of all scenarios.
    package static var names: [String] { all.map(\.name) }

    /// The median's budget in microseconds for so many records.
    func medianBudget(records: Int) -> Double? {
        medianBudget.map { records > 300_000 ? $0.large : $0.small }
    }

    /// The 99th percentile's budget in microseconds.
    func tailBudget(records: Int) -> Double {
        medianBudget(records: records).map { min($0 * 5, 100_000) } ?? tailBudget
    }

    /// The least rate.
    func rateBudget(records: Int) -> Double? {
        rateBudget.map { records > 300_000 ? $0.large : $0.small }
    }
}

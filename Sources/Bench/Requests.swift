import Client
import Importer

/// Encodes the requests of the scenarios.
struct Requests {
    let collection: String
    let records: Int
    let seed: UInt64
    private let variantCount = 4_096

    init(collection: String, records: Int, seed: UInt64) {
        self.collection = collection
        self.records = records
        self.seed = seed
    }

    static func encode(_ words: [String]) -> [UInt8] {
        let queue = ByteQueue(capacity: 256)
        queue.appendRequest(words)
        return Array(queue.bytes)
    }

    static func id(_ index: Int) -> String {
        let digits = String(index + 1)
        return "p-" + String(repeating: "0", count: max(9 - digits.count, 0)) + digits
    }

    private func variants(_ count: Int, _ make: (inout GeneratorRandom, Int) -> [String])
        -> [[UInt8]]
    {
        (0..<count).map { at in
            var random = GeneratorRandom(seed: seed &+ 99, index: UInt64(at))
            return Self.encode(make(&random, at))
        }
    }

    private func randomID(_ random: inout GeneratorRandom) -> String {
        Self.id(random.below(records))
    }

    /// The requests of a scenario; those of `page-cursor` need cursors, see ``pages(after:)``.
    func requests(for name: String) -> [[UInt8]] {
        switch name {
        case "ping", "ping-p16": return [Self.encode(["PING"])]
        case "fetch", "fetch-p16", "lookup-while-loading":
            return variants(variantCount) { random, _ in
                ["FETCH", collection, randomID(&random)]
            }
        case "mfetch-50":
            return variants(256) { random, _ in
                ["MFETCH", collection] + (0..<50).map { _ in randomID(&random) }
            }
        case "put": return puts(verb: ["PUT", collection])
        case "mixed-95-5":
            return variants(variantCount) { random, at in
                let id = randomID(&random)
                guard at % 20 == 0 else { return ["FETCH", collection, id] }
                return ["PATCH", collection, id, "{\"$set\":{\"stock\":\(random.below(500))}}"]
            }
        default: return lookups(name)
        }
    }

    /// Writes of whole documents under ids that exist.
    func puts(verb: [String]) -> [[UInt8]] {
        let generator = Generator(kind: .products, seed: seed &+ 1)
        let document = ByteQueue()
        return (0..<variantCount).map { at in
            var random = GeneratorRandom(seed: seed &+ 98, index: UInt64(at))
            let index = random.below(records)
            document.removeAll()
            generator.append(index, to: document)
            let text = String(decoding: document.bytes, as: UTF8.self)
            return Self.encode(verb + [Self.id(index), text])
        }
    }

    static let categories = [
        "Electronics", "Computers", "Home & Kitchen", "Clothing", "Shoes", "Beauty",
        "Sports & Outdoors", "Toys & Games", "Books", "Grocery", "Pet Supplies", "Garden",
        "Tools & DIY", "Baby", "Office", "Health",
    ]
    static let tags = [
        "sale", "bestseller", "limited", "gift", "premium", "vegan", "waterproof", "washable",
        "ergonomic", "compact", "organic", "portable",
    ]

    private func lookups(_ name: String) -> [[UInt8]] {
        variants(512) { random, at in
            let category = Self.categories[random.below(Self.categories.count)]
            let low = 5 + random.below(40)
            let high = low + 20 + random.below(100)
            let range = "{\"$gte\":\(low),\"$lte\":\(high)}"
            switch name {
            case "filter-sort":
                return [
                    "FIND", collection, "{\"category\":\"\(category)\",\"price\":\(range)}", "SORT",
                    "price:1", "LIMIT", "50",
                ]
            case "tags":
                let first = Self.tags[random.below(Self.tags.count)]
                let second = Self.tags[random.below(Self.tags.count)]
                let verb = at % 2 == 0 ? "$in" : "$all"
                return [
                    "FIND", collection, "{\"tags\":{\"\(verb)\":[\"\(first)\",\"\(second)\"]}}",
                    "LIMIT", "50",
                ]
            case "page-offset":
                return [
                    "FIND", collection, "{}", "SORT", "price:1", "SKIP", "\(offset(at))", "LIMIT",
                    "50",
                ]
            case "stats-by-category":
                return ["FIND", collection, "{}", "STATS", "price", "BY", "category", "LIMIT", "0"]
            default:
                return [
                    "FIND", collection, "{\"price\":\(range)}", "FACET", "category,tags", "LIMIT",
                    "0",
                ]
            }
        }
    }

    /// Around 10,000, within the collection.
    private func offset(_ at: Int) -> Int { min(10_000 + at % 32, max(records - 100, 0)) }

    /// The pages that follow page-offset's.
    func pages(after cursors: [String]) -> [[UInt8]] {
        cursors.map {
            Self.encode([
                "FIND", collection, "{}", "SORT", "price:1", "AFTER", $0, "LIMIT", "50",
            ])
        }
    }

    /// The pages whose cursors lead to the depth of page-offset.
    func pagesForCursors() -> [[String]] {
        (0..<16).map { at in
            let skip = max(offset(at) - 50, 0)
            return [
                "FIND", collection, "{}", "SORT", "price:1", "SKIP", "\(skip)", "LIMIT", "50",
            ]
        }
    }

    /// The schema of the benchmark's collection.
    static let schema = """
        {"fields":{"sku":{"type":"keyword","index":true},"name":{"type":"text"},\
        "category":{"type":"keyword","index":true,"facet":true},\
        "brand":{"type":"keyword","index":true,"facet":true},\
        "price":{"type":"decimal","scale":2,"min":0,"index":true,"sort":true,"facet":true},\
        "rating":{"type":"float","index":true,"sort":true},\
        "review_count":{"type":"int","index":true,"sort":true},\
        "stock":{"type":"int","index":true},"is_active":{"type":"bool","index":true},\
        "tags":{"type":"keyword","array":true,"index":true,"facet":true},\
        "created_at":{"type":"datetime","index":true,"sort":true}},"unknown":"keep"}
        """
}

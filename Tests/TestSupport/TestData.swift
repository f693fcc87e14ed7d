import Documents
import Primitives
package import Query
package import Schema

/// A random source whose seed a failing test can name.
package struct TestRandom: RandomNumberGenerator {
    package let seed: UInt64
    private var source: Xoshiro256

    /// A source of this seed, or of a new one.
    package init(seed: UInt64 = .random(in: 0 ... .max)) {
        self.seed = seed
        source = Xoshiro256(seed: seed)
    }

    package mutating func next() -> UInt64 { source.next() }

    /// A number in 0 ..< bound.
    package mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    /// True with a chance of one in `n`.
    package mutating func one(in n: Int) -> Bool { below(n) == 0 }

    package mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }
}

/// One schema with a field of every indexed kind, and random documents and filters for it.
package enum TestData {
    package static let schemaText = """
        {"fields":{"n":{"type":"int","index":true,"sort":true},
        "p":{"type":"decimal","scale":2,"index":true,"sort":true},
        "r":{"type":"float","index":true,"sort":true},"b":{"type":"bool","index":true},
        "t":{"type":"datetime","index":true,"sort":true},
        "k":{"type":"keyword","index":true,"sort":true,"facet":true},
        "tags":{"type":"keyword","array":true,"index":true,"sort":true,"facet":true},
        "nums":{"type":"int","array":true,"index":true,"sort":true}}}
        """

    /// Paths that columns can order by.
    package static let sortable = ["n", "p", "r", "b", "t", "k", "tags", "nums", "_id"]

    package static func schema(_ text: String = schemaText) throws -> Schema {
        try Schema(parsing: JSON(parsing: text))
    }

    private static let words = [
        "", "a", "ab", "abc", "abcdefgh", "abcdefghi", "abcdefghij", "abcdefghik",
        "abcdefgh\\u0000",
        "b", "ä", "zz",
    ]

    private static func optional(_ value: String, _ random: inout TestRandom) -> String? {
        switch random.below(8) {
        case 0: nil
        case 1: "null"
        default: value
        }
    }

    private static func list(
        _ random: inout TestRandom, _ value: (inout TestRandom) -> String
    ) -> String {
        let count = random.below(4)
        return "[" + (0..<count).map { _ in value(&random) }.joined(separator: ",") + "]"
    }

    private static func word(_ random: inout TestRandom) -> String { "\"\(random.pick(words))\"" }

    private static func time(_ random: inout TestRandom) -> String {
        "\"2026-0\(1 + random.below(3))-0\(1 + random.below(5))T00:00:00.00\(random.below(2))Z\""
    }

    /// A document with few distinct values, so that many share one.
    package static func document(_ random: inout TestRandom) -> String {
        var members: [String] = []
        func add(_ name: String, _ value: String, _ random: inout TestRandom) {
            if let value = optional(value, &random) { members.append("\"\(name)\":\(value)") }
        }
        add("n", "\(random.below(7) - 3)", &random)
        add("p", "\(random.below(5) - 1).\(random.pick(["0", "25", "5"]))", &random)
        add("r", random.pick(["0.5", "-1.5", "1e3", "0", "-0.0"]), &random)
        add("b", random.pick(["true", "false"]), &random)
        add("t", time(&random), &random)
        add("k", word(&random), &random)
        add("tags", list(&random, word), &random)
        add("nums", list(&random) { "\($0.below(9) - 4)" }, &random)
        add("x", "\(random.below(4))", &random)
        return "{" + members.joined(separator: ",") + "}"
    }

    /// Fields for what ``placed(_:_:)`` adds to a document, as members of a schema's fields.
    package static let placeFields = """
        "at":{"type":"geopoint","index":true,"radius":"km"},"km":{"type":"float"},
        "spots":{"type":"geopoint","array":true,"index":true},
        "area":{"type":"geoshape","index":true},"plan":{"type":"2d","array":true,"index":true},
        "open":{"type":"hours"}
        """

    /// A document with places and opening hours added; few different ones, so that rows share
    /// some.
    package static func placed(_ document: String, _ random: inout TestRandom) -> String {
        var members: [String] = []
        func point() -> String { "[\(random.below(7) * 50 - 150),\(random.below(5) * 40 - 80)]" }
        func points() -> String {
            (0..<random.below(4)).map { _ in point() }.joined(separator: ",")
        }
        if random.one(in: 2) {
            members.append("\"at\":\(point()),\"km\":\(random.below(3) * 900)")
        }
        if random.one(in: 3) { members.append("\"spots\":[\(points())]") }
        if random.one(in: 3) { members.append("\"plan\":[\(points())]") }
        if random.one(in: 3) {
            let (west, south) = (random.below(4) * 10, random.below(4) * 10)
            let ring = "[\(west),\(south)],[\(west + 9),\(south)],[\(west + 4),\(south + 8)]"
            let shape =
                random.one(in: 3)
                ? "\"Point\",\"coordinates\":[\(west),\(south)]"
                : "\"Polygon\",\"coordinates\":[[\(ring),[\(west),\(south)]]]"
            members.append("\"area\":{\"type\":\(shape)}")
        }
        if random.one(in: 3) {
            let zone = random.pick(["UTC", "Europe/Berlin", "America/Chicago"])
            let day = "\"2026-12-2\(random.below(5))\":[]"
            members.append(
                "\"open\":{\"timezone\":\"\(zone)\",\"weekly\":{\"mon\":"
                    + "[[\"0\(random.below(9)):00\",\"20:00\"]]},\"exceptions\":{\(day)}}")
        }
        if members.isEmpty { return document }
        let rest = document == "{}" ? "}" : "," + document.dropFirst()
        return "{" + members.joined(separator: ",") + rest
    }

    /// An id; many share a long beginning.
    package static func id(_ random: inout TestRandom, of count: Int) -> String {
        let number = random.below(count)
        return number % 3 == 0 ? "product-number-\(number)" : "product-number-000\(number)"
    }

    private static func operand(_ field: String, _ random: inout TestRandom) -> String {
        switch field {
        case "n": "\(random.below(9) - 4)"
        case "nums": "\(random.below(9) - 4)"
        case "x": "\(random.below(4))"
        case "p": random.pick(["0.25", "1", "1.5", "2.255", "-0.5"])
        case "r": random.pick(["0.5", "0", "1000", "-2"])
        case "b": random.pick(["true", "false"])
        case "t": time(&random)
        default: word(&random)
        }
    }

    /// A filter over the schema's fields, an undeclared one and `_id`.
    package static func filter(_ random: inout TestRandom, depth: Int = 2) -> String {
        if depth > 0, random.one(in: 3) {
            let parts = (0..<(1 + random.below(3))).map { _ in filter(&random, depth: depth - 1) }
            return "{\"\(random.pick(["$and", "$or", "$nor"]))\":["
                + parts.joined(separator: ",") + "]}"
        }
        let field = random.pick(["n", "p", "r", "b", "t", "k", "tags", "nums", "x", "_id"])
        if field == "_id" {
            let ids = (0..<(1 + random.below(3))).map { _ in "\"\(id(&random, of: 200))\"" }
            return "{\"_id\":{\"\(random.pick(["$in", "$nin"]))\":["
                + ids.joined(separator: ",") + "]}}"
        }
        return "{\"\(field)\":\(condition(field, &random, depth))}"
    }

    private static func condition(
        _ field: String, _ random: inout TestRandom, _ depth: Int
    ) -> String {
        let isText = field == "k" || field == "tags"
        switch random.below(12) {
        case 0: return operand(field, &random)
        case 1: return "null"
        case 2: return "{\"$ne\":\(operand(field, &random))}"
        case 3: return "{\"$exists\":\(random.pick(["true", "false"]))}"
        case 4, 5:
            let list = [operand(field, &random), operand(field, &random)].joined(separator: ",")
            let extra = random.one(in: 4) ? ",null" : ""
            return "{\"\(random.pick(["$in", "$nin"]))\":[\(list)\(extra)]}"
        case 6 where depth > 0:
            return "{\"$not\":{\"$gte\":\(operand(field, &random))}}"
        case 7 where isText:
            return "{\"$regex\":\"\(random.pick(["^abc", "b", "^abcdefgh.$", "^$", "h+i"]))\"}"
        case 8:
            return "{\"$gt\":\(operand(field, &random)),\"$lt\":\(operand(field, &random))}"
        default:
            return "{\"\(random.pick(["$lt", "$lte", "$gt", "$gte"]))\":\(operand(field, &random))}"
        }
    }

    package static func compile(_ text: String, _ schema: Schema) throws -> CompiledFilter {
        try CompiledFilter(
            Filter(parsing: JSON(parsing: text)), schema: schema, nowMilliseconds: 0)
    }
}

/// A collection as plain documents: what lookups are measured against.
package struct NaiveCollection {
    package let schema: Schema
    package var documents: [String: String]

    package init(schema: Schema, documents: [String: String] = [:]) {
        self.schema = schema
        self.documents = documents
    }

    /// The ids of the documents that match, in the order of `sort` and then by id.
    package func ids(matching filter: CompiledFilter, sort: SortSpec?) throws -> [String] {
        let order = SortOrder(sort ?? SortSpec(keys: []), schema: schema)
        let parser = JSONParser()
        var rows: [(id: String, values: [SortKeyValue])] = []
        for (id, text) in documents {
            let root = try parser.parse(text)
            let values: [SortKeyValue]? = Array(id.utf8).withUnsafeBytes { bytes in
                filter.matches(root, id: bytes) ? order.values(root, id: bytes) : nil
            }
            if let values { rows.append((id, values)) }
        }
        return rows.sorted { a, b in
            Array(a.id.utf8).withUnsafeBytes { left in
                Array(b.id.utf8).withUnsafeBytes { right in
                    order.compare(a.values, id: left, b.values, id: right) < 0
                }
            }
        }.map(\.id)
    }
}

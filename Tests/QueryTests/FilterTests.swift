import Documents
import Query
import Schema
import Testing

/// What the tests of this module share.
enum Fixture {
    /// Declares `price`, `tags`, `seen` and others; `x`, `y`, `z` stay undeclared.
    static let schema = """
        {"fields":{"price":{"type":"decimal","scale":2,"index":true},
        "count":{"type":"int","index":true},"rating":{"type":"float","index":true},
        "on":{"type":"bool","index":true},"seen":{"type":"datetime","index":true},
        "name":{"type":"keyword","index":true},"tags":{"type":"keyword","array":true,"index":true},
        "sizes":{"type":"int","array":true,"index":true},
        "items":{"type":"object","array":true,"fields":{"sku":{"type":"keyword","index":true},
        "qty":{"type":"int","index":true}}}}}
        """
    static let now: Int64 = 1_000_000_000_000

    static func compile(_ filter: String) throws -> CompiledFilter {
        let schema = try Schema(parsing: JSON(parsing: schema))
        return try CompiledFilter(
            Filter(parsing: JSON(parsing: filter)),
            schema: schema,
            nowMilliseconds: now
        )
    }

    static func matches(_ filter: String, _ document: String, id: String = "k1") throws -> Bool {
        let compiled = try compile(filter)
        let parser = JSONParser()
        let root = try parser.parse(document)
        return withBytes(id) { compiled.matches(root, id: $0) }
    }
}

@Suite struct FilterTests {
    @Test(arguments: [
        // Undeclared paths: equality and order within one type.
        (#"{}"#, #"{}"#, true),
        (#"{"x":1}"#, #"{"x":1.0}"#, true),
        (#"{"x":1}"#, #"{"x":"1"}"#, false),
        (#"{"x":1}"#, #"{"x":true}"#, false),
        (#"{"x":{"$gt":1}}"#, #"{"x":"2"}"#, false),
        (#"{"x":{"$gte":1,"$lt":2}}"#, #"{"x":1.5}"#, true),
        (#"{"x":{"$gt":"a"}}"#, #"{"x":"b"}"#, true),
        (#"{"x":{"$gt":false}}"#, #"{"x":true}"#, true),
        (#"{"x":9007199254740993}"#, #"{"x":9007199254740992}"#, false),
        // Null and absence.
        (#"{"x":null}"#, #"{}"#, true),
        (#"{"x":null}"#, #"{"x":null}"#, true),
        (#"{"x":null}"#, #"{"x":0}"#, false),
        (#"{"x":null}"#, #"{"x":[1,null]}"#, true),
        (#"{"x":null}"#, #"{"x":[]}"#, false),
        (#"{"x.y":null}"#, #"{"x":4}"#, true),
        (#"{"x.y":null}"#, #"{"x":{}}"#, true),
        (#"{"x.y":null}"#, #"{"x":[]}"#, false),
        (#"{"x.y":null}"#, #"{"x":[1,2]}"#, false),
        (#"{"x.y":null}"#, #"{"x":[{"y":1},{}]}"#, true),
        (#"{"x.y":null}"#, #"{"x":[{"y":1}]}"#, false),
        (#"{"x":{"$gte":null}}"#, #"{}"#, true),
        (#"{"x":{"$gt":null}}"#, #"{"x":null}"#, false),
        (#"{"x":{"$ne":null}}"#, #"{}"#, false),
        (#"{"x":{"$ne":1}}"#, #"{}"#, true),
        (#"{"x":{"$in":[null,1]}}"#, #"{}"#, true),
        (#"{"x":{"$nin":[null,1]}}"#, #"{"x":2}"#, true),
        // Arrays.
        (#"{"x":1}"#, #"{"x":[2,1]}"#, true),
        (#"{"x":[2,1]}"#, #"{"x":[2,1]}"#, true),
        (#"{"x":[2,1]}"#, #"{"x":[[2,1],3]}"#, true),
        (#"{"x":[1,2]}"#, #"{"x":[2,1]}"#, false),
        (#"{"x":{"$gt":5,"$lt":3}}"#, #"{"x":[2,6]}"#, true),
        (#"{"x":{"$ne":1}}"#, #"{"x":[1,2]}"#, false),
        (#"{"x.y":1}"#, #"{"x":[{"y":0},{"y":1}]}"#, true),
        (#"{"x.0":1}"#, #"{"x":[1,2]}"#, true),
        (#"{"x.1.y":1}"#, #"{"x":[{"y":1},{"y":2}]}"#, false),
        (#"{"x.0":1}"#, #"{"x":{"0":1}}"#, true),
        (#"{"x.0.0":1}"#, #"{"x":[[1]]}"#, true),
        (#"{"x.y":1}"#, #"{"x":[[{"y":1}]]}"#, false),
        (#"{"x":{"$size":2}}"#, #"{"x":[1,2]}"#, true),
        (#"{"x":{"$size":2}}"#, #"{"x":[[1,2]]}"#, false),
        (#"{"x":{"$size":0}}"#, #"{}"#, false),
        (#"{"x":{"$all":[1,2]}}"#, #"{"x":[3,2,1]}"#, true),
        (#"{"x":{"$all":[1,4]}}"#, #"{"x":[3,2,1]}"#, false),
        (#"{"x":{"$all":[]}}"#, #"{"x":[]}"#, false),
        (#"{"x":{"$all":[1]}}"#, #"{"x":1}"#, true),
        (
            #"{"x":{"$all":[{"$elemMatch":{"a":1}},{"$elemMatch":{"a":2}}]}}"#,
            #"{"x":[{"a":2},{"a":1}]}"#, true
        ),
        (#"{"x":{"$elemMatch":{"$gt":2,"$lt":5}}}"#, #"{"x":[1,6]}"#, false),
        (#"{"x":{"$elemMatch":{"$gt":2,"$lt":5}}}"#, #"{"x":[1,3]}"#, true),
        (#"{"x":{"$elemMatch":{"a":1,"b":2}}}"#, #"{"x":[{"a":1},{"b":2}]}"#, false),
        (#"{"x":{"$elemMatch":{"a":1,"b":2}}}"#, #"{"x":[{"a":1,"b":2}]}"#, true),
        (#"{"x":{"$elemMatch":{"a":1}}}"#, #"{"x":{"a":1}}"#, false),
        (#"{"x":{"$elemMatch":{"$or":[{"a":1},{"a":2}]}}}"#, #"{"x":[{"a":2}]}"#, true),
        (#"{"x":{"$elemMatch":{"$elemMatch":{"$gt":1}}}}"#, #"{"x":[[1],[2]]}"#, true),
        (#"{"x":{"$elemMatch":{"$gt":1}}}"#, #"{"x":[[2]]}"#, false),
        (#"{"x":{"$elemMatch":{"$not":{"$gt":1}}}}"#, #"{"x":[2,1]}"#, true),
        // Objects as wholes.
        (#"{"x":{"a":1,"b":2}}"#, #"{"x":{"a":1,"b":2}}"#, true),
        (#"{"x":{"a":1,"b":2}}"#, #"{"x":{"b":2,"a":1}}"#, false),
        (#"{"x":{}}"#, #"{"x":{}}"#, true),
        // Existence, types, logic.
        (#"{"x":{"$exists":true}}"#, #"{"x":null}"#, true),
        (#"{"x":{"$exists":false}}"#, #"{}"#, true),
        (#"{"x.y":{"$exists":true}}"#, #"{"x":[{},{"y":1}]}"#, true),
        (#"{"x":{"$type":"string"}}"#, #"{"x":[1,"a"]}"#, true),
        (#"{"x":{"$type":"array"}}"#, #"{"x":[1]}"#, true),
        (#"{"x":{"$type":["null","bool"]}}"#, #"{"x":true}"#, true),
        (#"{"x":{"$type":"int"}}"#, #"{"x":2147483648}"#, false),
        (#"{"x":{"$type":"long"}}"#, #"{"x":2147483648}"#, true),
        (#"{"x":{"$type":1}}"#, #"{"x":1.0}"#, true),
        (#"{"x":{"$type":"number"}}"#, #"{"x":123456789012345678901234567890}"#, true),
        (#"{"seen":{"$type":"date"}}"#, #"{"seen":"2026-01-01"}"#, true),
        (#"{"x":{"$not":{"$gt":1}}}"#, #"{}"#, true),
        (#"{"x":{"$not":{"$gt":1,"$lt":5}}}"#, #"{"x":3}"#, false),
        (#"{"$or":[{"x":1},{"y":2}]}"#, #"{"y":2}"#, true),
        (#"{"$and":[{"x":1},{"y":2}]}"#, #"{"y":2}"#, false),
        (#"{"$nor":[{"x":1},{"y":2}]}"#, #"{"x":2}"#, true),
        (#"{"x":{"$regex":"^ab.d$","$options":"i"}}"#, #"{"x":["q","ABxD"]}"#, true),
        (#"{"x":{"$not":{"$regex":"a"}}}"#, #"{"x":"bcd"}"#, true),
        // The id.
        (#"{"_id":"k1"}"#, #"{"_id":"other"}"#, true),
        (#"{"_id":{"$gt":"k0","$lte":"k1"}}"#, #"{}"#, true),
        (#"{"_id":{"$in":["a","k1"]}}"#, #"{}"#, true),
        (#"{"_id":{"$regex":"^k"}}"#, #"{}"#, true),
        (#"{"_id":{"$exists":true}}"#, #"{}"#, true),
        (#"{"_id":null}"#, #"{}"#, false),
        (#"{"_id":1}"#, #"{}"#, false),
    ])
    func followsMongoDB(filter: String, document: String, expected: Bool) throws {
        #expect(try Fixture.matches(filter, document) == expected, "\(filter) on \(document)")
    }

    @Test(arguments: [
        (#"{"price":19.9}"#, #"{"price":"19.90"}"#, true),
        (#"{"price":"19.90"}"#, #"{"price":19.9}"#, true),
        (#"{"price":{"$gt":19.899}}"#, #"{"price":19.90}"#, true),
        (#"{"price":{"$lt":19.901}}"#, #"{"price":19.90}"#, true),
        (#"{"price":{"$gte":19.901}}"#, #"{"price":19.90}"#, false),
        (#"{"price":19.901}"#, #"{"price":19.90}"#, false),
        (#"{"price":{"$lt":1e300}}"#, #"{"price":19.90}"#, true),
        (#"{"price":{"$gt":-1e300}}"#, #"{"price":-5}"#, true),
        (#"{"price":{"$lte":-1e300}}"#, #"{"price":-5}"#, false),
        (#"{"count":{"$gt":1.5}}"#, #"{"count":2}"#, true),
        (#"{"count":{"$lt":-1.5}}"#, #"{"count":-2}"#, true),
        (#"{"count":2}"#, #"{"count":2.0}"#, true),
        (#"{"count":"2"}"#, #"{"count":2}"#, false),
        (#"{"count":{"$ne":"2"}}"#, #"{"count":2}"#, true),
        (#"{"rating":{"$gte":0.1}}"#, #"{"rating":0.1}"#, true),
        (#"{"rating":{"$gt":0.1}}"#, #"{"rating":0.1}"#, false),
        (#"{"on":{"$gt":false}}"#, #"{"on":true}"#, true),
        (#"{"on":1}"#, #"{"on":true}"#, false),
        (#"{"seen":{"$gte":"2026-01-01"}}"#, #"{"seen":"2026-01-01T01:00:00+01:00"}"#, true),
        (#"{"seen":"2026-01-01T00:00:00Z"}"#, #"{"seen":1767225600000}"#, true),
        (#"{"seen":{"$lt":"now-1d"}}"#, #"{"seen":999900000000}"#, true),
        (#"{"seen":{"$lt":"now-2d"}}"#, #"{"seen":999900000000}"#, false),
        (#"{"name":{"$gte":"b","$lt":"c"}}"#, #"{"name":"bz"}"#, true),
        (#"{"name":{"$regex":"^ab.*"}}"#, #"{"name":"abc"}"#, true),
        (#"{"tags":{"$in":["a","z"]}}"#, #"{"tags":["b","z"]}"#, true),
        (#"{"tags":["a","b"]}"#, #"{"tags":["a","b"]}"#, true),
        (#"{"tags":"a"}"#, #"{"tags":[]}"#, false),
        (#"{"sizes":{"$gt":5,"$lt":3}}"#, #"{"sizes":[2,6]}"#, true),
        (#"{"sizes.1":6}"#, #"{"sizes":[2,6]}"#, true),
        (#"{"items.qty":{"$gte":2}}"#, #"{"items":[{"qty":1},{"qty":2}]}"#, true),
        (
            #"{"items":{"$elemMatch":{"sku":"a","qty":{"$gt":1}}}}"#,
            #"{"items":[{"sku":"a","qty":1},{"sku":"b","qty":2}]}"#, false
        ),
    ])
    func declaredTypesCompareByValue(filter: String, document: String, expected: Bool) throws {
        #expect(try Fixture.matches(filter, document) == expected, "\(filter) on \(document)")
    }

    @Test(arguments: [
        (#"[]"#, "filter"), (#"{"$and":[]}"#, "$and"), (#"{"$or":{}}"#, "$or"),
        (#"{"$nope":1}"#, "$nope"), (#"{"x":{"$nope":1}}"#, "x"),
        (#"{"x":{"$gt":1,"y":2}}"#, "x"), (#"{"x":{"y":{"$gt":1}}}"#, "x"),
        (#"{"x":{"$in":1}}"#, "x"), (#"{"x":{"$size":-1}}"#, "x"), (#"{"x":{"$size":1.5}}"#, "x"),
        (#"{"x":{"$exists":"yes"}}"#, "x"), (#"{"x":{"$type":"nope"}}"#, "x"),
        (#"{"x":{"$regex":"("}}"#, "x"), (#"{"x":{"$options":"i"}}"#, "x"),
        (#"{"x":{"$regex":"a","$options":"q"}}"#, "x"), (#"{"x":{"$not":1}}"#, "x"),
        (#"{"x":{"$elemMatch":1}}"#, "x"), (#"{"x..y":1}"#, "x..y"),
        (#"{"x":{"$all":[1,{"$elemMatch":{}}]}}"#, "x"), (#"{"seen":"yesterday"}"#, "seen"),
        (#"{"price":{"$gt":"cheap"}}"#, "price"), (#"{"$not":{}}"#, "$not"),
    ])
    func malformedFiltersNameTheirPlace(filter: String, path: String) throws {
        do {
            _ = try Fixture.compile(filter)
            Issue.record("accepted \(filter)")
        } catch QueryError.invalid(let found, _, _) {
            #expect(found == path, "\(filter)")
        }
    }

    @Test func wordsNeedTheirIndex() {
        #expect(throws: QueryError.needsIndex(path: "x", operation: "$text")) {
            try Fixture.compile(#"{"x":{"$text":"tea"}}"#)
        }
    }

    @Test func depthAndSizeAreBounded() {
        let deep =
            String(repeating: #"{"$and":["#, count: 40) + "{}"
            + String(repeating: "]}", count: 40)
        #expect(throws: QueryError.limit(name: "depth of a filter", maximum: 32)) {
            _ = try Filter(parsing: JSON(parsing: deep, depthMax: 200))
        }
        let wide = #"{"x":{"$in":["# + (0...10_000).map(String.init).joined(separator: ",") + "]}}"
        #expect(throws: QueryError.self) { try Fixture.compile(wide) }
    }

    @Test func plannersSeeCanonicalForms() throws {
        func form(_ filter: String) throws -> String {
            func show(_ node: CompiledNode) -> String {
                switch node {
                case .all: return "all"
                case .none: return "none"
                case .and(let parts): return "and(" + parts.map(show).joined(separator: ",") + ")"
                case .or(let parts): return "or(" + parts.map(show).joined(separator: ",") + ")"
                case .not(let part): return "not(" + show(part) + ")"
                case .predicate(let p):
                    let star = p.field == nil ? "*" : ""
                    switch p.test {
                    case .keyEqual(let key): return "\(p.path)\(star)=\(key)"
                    case .keyRange(let a, let b): return "\(p.path)\(star) in \(a)...\(b)"
                    case .keyIn(let keys): return "\(p.path)\(star) in \(keys)"
                    case .bytesEqual(let b):
                        return "\(p.path)\(star)=\(String(decoding: b, as: UTF8.self))"
                    case .bytesIn(let all): return "\(p.path)\(star) of \(all.count)"
                    case .bytesRange: return "\(p.path)\(star) range"
                    case .prefix(let b):
                        return "\(p.path)\(star) begins \(String(decoding: b, as: UTF8.self))"
                    case .regex: return "\(p.path)\(star) regex"
                    case .isNullOrAbsent: return "\(p.path)\(star) null"
                    case .exists: return "\(p.path)\(star) exists"
                    case .place: return "\(p.path)\(star) place"
                    case .other: return "\(p.path)\(star) other"
                    }
                }
            }
            return show(try Fixture.compile(filter).root)
        }
        #expect(try form(#"{"price":{"$gte":5,"$lt":10}}"#) == "price in 500...999")
        #expect(
            try form(#"{"price":{"$gte":5},"$and":[{"price":{"$lte":"7.005"}}]}"#)
                == "price in 500...700"
        )
        #expect(try form(#"{"price":{"$gte":5,"$lt":5}}"#) == "none")
        #expect(try form(#"{"price":{"$gte":5,"$lte":5}}"#) == "price=500")
        #expect(try form(#"{"sizes":{"$gte":5,"$lt":3}}"#).hasPrefix("and("))
        #expect(try form(#"{"name":{"$in":["b","a","b",null]}}"#) == "or(name of 2,name null)")
        #expect(try form(#"{"name":{"$nin":["b"]}}"#) == "not(name=b)")
        #expect(try form(#"{"name":{"$regex":"^ab.*"}}"#) == "name begins ab")
        #expect(try form(#"{"count":{"$in":[3,1,2.5]}}"#) == "count in [1, 3]")
        #expect(try form(#"{"_id":"a"}"#) == "_id*=a")
        #expect(try form(#"{"x":1}"#) == "x* other")
        #expect(try form(#"{"count":"x"}"#) == "none")
        #expect(try form(#"{"$or":[{},{"x":1}]}"#) == "all")
    }
}

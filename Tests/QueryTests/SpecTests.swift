import Documents
import Query
import Schema
import Testing

@Suite struct SortTests {
    @Test func bothFormsAreRead() throws {
        #expect(try SortSpec(parsing: "price:-1,name").text == "price:-1,name:1")
        #expect(
            try SortSpec(parsing: #"[["price",-1],["name",1],["_id"]]"#).text
                == "price:-1,name:1,_id:1"
        )
        #expect(try SortSpec(parsing: #"["a.b"]"#).text == "a.b:1")
    }

    @Test(arguments: [
        "", "a,,b", "a:2", "a,a", "[1]", #"[["a",2]]"#, "[", "a:b", "a..b", "1,2,3,4,5,6,7,8,9",
    ])
    func badOrdersAreRefused(text: String) {
        #expect(throws: QueryError.self) { try SortSpec(parsing: text) }
    }

    private func value(_ document: String, _ key: String) throws -> SortKeyValue {
        let schema = try Schema(parsing: JSON(parsing: Fixture.schema))
        let spec = try SortSpec(parsing: key)
        let parser = JSONParser()
        let root = try parser.parse(document)
        return withBytes("k1") { SortKeyReader(spec.keys[0], schema: schema).value(root, id: $0) }
    }

    @Test func arraysCountByTheirExtremes() throws {
        #expect(try value(#"{"sizes":[3,1,2]}"#, "sizes") == .key(1))
        #expect(try value(#"{"sizes":[3,1,2]}"#, "sizes:-1") == .key(3))
        #expect(try value(#"{"sizes":[]}"#, "sizes") == .emptyArray)
        #expect(try value(#"{"sizes":null}"#, "sizes") == .null)
        #expect(try value("{}", "sizes") == .null)
        #expect(try value(#"{"items":[{"qty":3},{}]}"#, "items.qty") == .null)
        #expect(try value(#"{"items":[{"qty":3},{}]}"#, "items.qty:-1") == .key(3))
        #expect(try value(#"{"x":["b","a"]}"#, "x") == .json(.string("a")))
        #expect(try value(#"{"x":["b",1]}"#, "x") == .json(.int(1)))
    }

    @Test func declaredTypesGiveKeys() throws {
        #expect(try value(#"{"price":"1.5"}"#, "price") == .key(150))
        #expect(try value(#"{"name":"é"}"#, "name") == .bytes(Array("é".utf8)))
        #expect(try value(#"{"seen":"1970-01-01T00:00:01Z"}"#, "seen") == .key(1_000))
        #expect(try value("{}", "_id") == .bytes(Array("k1".utf8)))
    }

    @Test func orderIsTotalAndTiesGoById() throws {
        let order = SortOrder(try SortSpec(parsing: "price:-1"), schema: .empty)
        func compare(_ a: SortKeyValue, _ aID: String, _ b: SortKeyValue, _ bID: String) -> Int {
            withBytes(aID) { x in withBytes(bID) { order.compare([a], id: x, [b], id: $0) } }
        }
        #expect(compare(.key(2), "a", .key(1), "b") < 0)
        #expect(compare(.key(1), "a", .key(1), "b") < 0)
        #expect(compare(.null, "a", .key(1), "b") > 0)
        #expect(compare(.emptyArray, "a", .null, "b") > 0)
    }
}

@Suite struct ProjectionTests {
    @Test(arguments: [
        ("a,c", #"{"a":1,"b":2,"c":{"d":3}}"#, #"{"a":1,"c":{"d":3}}"#),
        ("c.d", #"{"a":1,"c":{"d":3,"e":4}}"#, #"{"c":{"d":3}}"#),
        ("c.d", #"{"c":[{"d":1,"e":2},5,[{"d":3}],{}]}"#, #"{"c":[{"d":1},[{"d":3}],{}]}"#),
        ("c.d", #"{"c":5}"#, "{}"),
        ("c,c.d", #"{"c":{"d":1,"e":2}}"#, #"{"c":{"d":1,"e":2}}"#),
        ("-a", #"{"a":1,"b":2}"#, #"{"b":2}"#),
        ("-b", #"{"a":1,"b":2}"#, #"{"a":1}"#),
        ("-c.d", #"{"c":[{"d":1,"e":2},5,[{"d":3}]],"f":1}"#, #"{"c":[{"e":2},5,[{}]],"f":1}"#),
        ("_id", #"{"a":1}"#, "{}"), ("-_id", #"{"a":1}"#, #"{"a":1}"#),
        (#"["a"]"#, #"{"a":"x\n","q\"":1}"#, #"{"a":"x\n"}"#),
        ("-a", #"{"a":1,"q\"\u0041":1.50}"#, #"{"q\"\u0041":1.50}"#),
        ("none", #"{"a":1}"#, "{}"), ("-none", "{}", "{}"),
    ])
    func membersAreChosenAsInMongoDB(list: String, document: String, expected: String) throws {
        let projection = try Projection(parsing: list)
        let parser = JSONParser()
        var out: [UInt8] = []
        projection.apply(to: try parser.parse(document), into: &out)
        #expect(String(decoding: out, as: UTF8.self) == expected)
    }

    @Test func mixingIsRefused() {
        #expect(throws: QueryError.syntax(option: "FIELDS", rule: "either includes or excludes")) {
            try Projection(parsing: "a,-b")
        }
    }
}

@Suite struct SummaryTests {
    @Test func facetsAreReadInBothForms() throws {
        let plain = try FacetSpec(parsing: "a,b:20,price:[0,50,100]")
        let json = try FacetSpec(
            parsing: #"["a",{"field":"b","limit":20},{"field":"price","ranges":[0,50,100]}]"#
        )
        #expect(plain == json)
        #expect(plain.facets.map(\.limit) == [nil, 20, nil])
        #expect(plain.facets[2].edges?.count == 3)
    }

    @Test(arguments: ["a:x", "a:0", "a:[1]", "a,a", "[1]", "a:100000", #"[{"field":"a","z":1}]"#])
    func badFacetsAreRefused(text: String) {
        #expect(throws: QueryError.self) { try FacetSpec(parsing: text) }
    }

    @Test func edgesBecomeKeysOfTheColumn() throws {
        let schema = try Schema(parsing: JSON(parsing: Fixture.schema))
        func keys(_ text: String) throws -> [Int64] {
            let facet = try FacetSpec(parsing: text).facets[0]
            let field = try #require(schema.field(at: facet.path))
            return try facet.edgeKeys(for: field, nowMilliseconds: 0)
        }
        #expect(try keys("price:[0,0.005,50,1e30]") == [0, 1, 5_000, .max])
        #expect(try keys("count:[-1.5,2.5]") == [-1, 3])
        #expect(try keys(#"seen:["1970-01-01","1970-01-02"]"#) == [0, 86_400_000])
        #expect(throws: QueryError.self) { try keys("price:[5,1]") }
        #expect(throws: QueryError.self) { try keys("name:[5,1]") }
    }

    @Test func statsAndDistinctNameFields() throws {
        #expect(
            try StatsSpec(parsing: "a,b.c", by: "d") == StatsSpec(parsing: #"["a","b.c"]"#, by: "d")
        )
        #expect(throws: QueryError.self) { try StatsSpec(parsing: "a,a", by: nil) }
        #expect(try DistinctSpec(parsing: "a.b").path == "a.b")
        #expect(try NameList.parse(#"["a,b"]"#, option: "NOT") == ["a,b"])
        #expect(try NameList.parse("a,b", option: "NOT") == ["a", "b"])
    }
}

@Suite struct ParamsTests {
    private func substitute(_ text: String, _ params: Params) throws -> String {
        try params.substitute(JSON(parsing: text)).text
    }

    @Test func onlyWholeStringValuesAreReplaced() throws {
        let params = try Params(json: JSON(parsing: #"{"x":[1,"$y"],"y":2}"#), blobs: [])
        #expect(
            try substitute(#"{"$x":"$x","a":["$y","$","$1","a$x","$x.y"]}"#, params)
                == #"{"$x":[1,"$y"],"a":[2,"$","$1","a$x","$x.y"]}"#
        )
        #expect(try substitute(#"{"a":{"$literal":"$x"}}"#, params) == #"{"a":"$x"}"#)
        #expect(throws: QueryError.self) { try substitute(#""$z""#, params) }
    }

    @Test func withoutParametersTheTextStays() throws {
        #expect(try substitute(#"{"a":"$x"}"#, .none) == #"{"a":"$x"}"#)
        #expect(try substitute(#"{"a":{"$literal":"$x"}}"#, .none) == #"{"a":"$x"}"#)
    }

    @Test func blobsBecomeBase64() throws {
        let params = try Params(json: nil, blobs: [(name: "v", bytes: [0, 0, 128, 63])])
        #expect(try substitute(#"{"a":"$v"}"#, params) == #"{"a":"AACAPw=="}"#)
        guard case .blob(let bytes)? = try params.option("$v") else {
            Issue.record("no blob")
            return
        }
        #expect(bytes == [0, 0, 128, 63])
        #expect(try params.option("v") == nil)
        #expect(throws: QueryError.self) { try params.option("$w") }
    }

    @Test func badParametersAreRefused() throws {
        #expect(throws: QueryError.self) { try Params(json: .array([]), blobs: []) }
        #expect(throws: QueryError.self) {
            try Params(json: JSON(parsing: #"{"1a":1}"#), blobs: [])
        }
        #expect(throws: QueryError.self) {
            try Params(json: nil, blobs: [(name: "v", bytes: []), (name: "v", bytes: [])])
        }
    }
}

@Suite struct CursorTests {
    private let secret: (UInt64, UInt64) = (1, 2)

    private var sample: Cursor {
        Cursor(
            queryHash: Cursor.queryHash(["products", "{}", "price:1"]),
            keys: [.key(-5), .bytes([1, 2]), .null, .emptyArray, .json(.string("é"))],
            id: Array("id-1".utf8)
        )
    }

    @Test func cursorsReadBackEqual() throws {
        let text = sample.encoded(secret: secret)
        let again = try Cursor(decoding: text, secret: secret, queryHash: sample.queryHash)
        #expect(again == sample)
    }

    @Test func everyAlterationIsRefused() throws {
        let text = Array(sample.encoded(secret: secret))
        for index in text.indices {
            var altered = text
            altered[index] = altered[index] == "A" ? "B" : "A"
            #expect(throws: QueryError.self, "byte \(index)") {
                try Cursor(decoding: String(altered), secret: secret, queryHash: sample.queryHash)
            }
        }
        for text in ["", "AAAA", "!", String(text.dropLast()), String(text) + "A"] {
            #expect(throws: QueryError.self) {
                try Cursor(decoding: text, secret: secret, queryHash: sample.queryHash)
            }
        }
    }

    @Test func otherQueriesAndOtherServersAreRefused() {
        let text = sample.encoded(secret: secret)
        #expect(throws: QueryError.self) {
            try Cursor(decoding: text, secret: secret, queryHash: Cursor.queryHash(["other"]))
        }
        #expect(throws: QueryError.self) {
            try Cursor(decoding: text, secret: (1, 3), queryHash: sample.queryHash)
        }
        #expect(Cursor.queryHash(["ab", "c"]) != Cursor.queryHash(["a", "bc"]))
    }
}

@Suite struct PullTests {
    @Test func conditionsAreAskedOfElements() throws {
        let matching = PullMatching()
        func matches(_ condition: String, _ element: String) throws -> Bool {
            try matching.matches(JSON(parsing: condition), JSON(parsing: element))
        }
        #expect(try matches("1", "1.0"))
        #expect(try !matches("1", "2"))
        #expect(try matches(#"{"$gte":2}"#, "2"))
        #expect(try !matches(#"{"$gte":2}"#, "1"))
        #expect(try matches(#"{"a":1}"#, #"{"a":1,"b":2}"#))
        #expect(try matches(#"{"a":{"$in":[1,2]}}"#, #"{"a":2}"#))
        #expect(try matches("[1]", "[1]"))
        #expect(throws: QueryError.self) { try PullMatching.validate(JSON(parsing: #"{"$x":1}"#)) }
    }
}

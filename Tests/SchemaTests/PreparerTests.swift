import Documents
import Schema
import Testing

/// What the tests of this module share.
enum Fixture {
    static let products = """
        {"fields":{"sku":{"type":"keyword","unique":true,"required":true},
        "name":{"type":"text","required":true,"sort":true},
        "price":{"type":"decimal","scale":2,"min":0,"max":1000,"index":true,"sort":true},
        "stock":{"type":"int","index":true,"default":0},
        "rating":{"type":"float","index":true},
        "active":{"type":"bool","index":true},
        "seen":{"type":"datetime","index":true},
        "size":{"type":"keyword","enum":["s","m","l"],"facet":true},
        "tags":{"type":"keyword","array":true,"index":true,"facet":true},
        "address":{"type":"object","fields":{
        "state":{"type":"keyword","index":true,"required":true},
        "zip":{"type":"keyword"}}},
        "items":{"type":"object","array":true,"fields":{"sku":{"type":"keyword","index":true},
        "qty":{"type":"int","index":true}}},
        "v":{"type":"vector","dimensions":3,"metric":"cosine"},
        "at":{"type":"geopoint"},"zone":{"type":"geoshape"},"extra":{"type":"json"}
        },"unknown":"UNKNOWN"}
        """

    static func schema(_ text: String) throws -> Schema {
        try Schema(parsing: JSON(parsing: text))
    }

    static func products(unknown: String = "keep") throws -> Schema {
        try schema(products.replacing("UNKNOWN", with: unknown))
    }

    static func prepare(
        _ text: String,
        _ schema: Schema,
        now: Int64 = 0
    ) throws(ValidationError) -> PreparedDocument {
        try DocumentPreparer().prepare(
            Array(text.utf8),
            schema: schema,
            parser: JSONParser(),
            nowMilliseconds: now
        )
    }

    /// Entries in a readable form: `path=value`.
    static func entries(_ document: PreparedDocument, _ schema: Schema) -> [String] {
        document.entries.map { entry in
            let path = schema.field(numbered: entry.field)?.path ?? "?"
            switch entry.kind {
            case .null: return path + "=null"
            case .emptyArray: return path + "=[]"
            case .int: return path + "=\(entry.key)"
            case .double: return path + "=\(Double(bitPattern: entry.payload))"
            case .string:
                return path + "="
                    + document.withString(entry) { String(decoding: $0, as: UTF8.self) }
            }
        }
    }
}

@Suite struct PreparerTests {
    @Test func documentThatNeedsNothingIsMinified() throws {
        let schema = try Fixture.products()
        let text =
            #" {"sku": "a\u0041", "name":"N", "stock": 5, "price":"19.90", "other":{"x":[1]}} "#
        let document = try Fixture.prepare(text, schema)
        #expect(
            String(decoding: document.bytes, as: UTF8.self)
                == #"{"sku":"a\u0041","name":"N","stock":5,"price":"19.90","other":{"x":[1]}}"#
        )
        #expect(
            Fixture.entries(document, schema) == ["sku=aA", "name=N", "stock=5", "price=1990"]
        )
    }

    @Test func everyTypeGivesItsEntry() throws {
        let schema = try Fixture.products()
        let document = try Fixture.prepare(
            """
            {"sku":"x","name":null2,"price":1.5}
            """.replacing("null2", with: "\"n\"").replacing(
                "\"price\":1.5",
                with: """
                    "price":1.5,"stock":1e2,"rating":-0.5,"active":true,"seen":"1970-01-01T00:00:01Z",
                    "size":"m","tags":["a","b"],"address":{"state":"NY"},
                    "items":[{"sku":"i1","qty":1},{"qty":2},{"sku":"i3"}],"extra":[null]
                    """
            ),
            schema
        )
        #expect(
            Fixture.entries(document, schema) == [
                "sku=x", "name=n", "price=150", "stock=100", "rating=-0.5", "active=1", "seen=1000",
                "size=m", "tags=a", "tags=b", "address.state=NY", "items.sku=i1", "items.sku=i3",
                "items.qty=1", "items.qty=2",
            ]
        )
    }

    @Test func nullsAndEmptyArraysHaveEntries() throws {
        let schema = try Fixture.products()
        let document = try Fixture.prepare(
            #"{"sku":"x","name":"n","tags":[],"price":null,"stock":null}"#,
            schema
        )
        #expect(
            Fixture.entries(document, schema) == [
                "sku=x", "name=n", "tags=[]", "price=null", "stock=null",
            ]
        )
        #expect(
            String(decoding: document.bytes, as: UTF8.self)
                == #"{"sku":"x","name":"n","tags":[],"price":null,"stock":null}"#
        )
    }

    @Test func defaultsAreAppended() throws {
        let schema = try Fixture.schema(
            """
            {"fields":{"a":{"type":"int","default":7,"index":true},
            "b":{"type":"keyword","array":true,"default":["x","y"],"index":true},
            "o":{"type":"object","fields":{"c":{"type":"keyword","default":"d","index":true}}}}}
            """
        )
        func stored(_ text: String) throws -> String {
            String(decoding: try Fixture.prepare(text, schema).bytes, as: UTF8.self)
        }
        #expect(try stored("{}") == #"{"a":7,"b":["x","y"]}"#)
        #expect(try stored(#"{"a":1}"#) == #"{"a":1,"b":["x","y"]}"#)
        #expect(try stored(#"{"b":[],"o":{}}"#) == #"{"b":[],"o":{"c":"d"},"a":7}"#)
        let document = try Fixture.prepare(#"{"o":{"z":1}}"#, schema)
        #expect(
            String(decoding: document.bytes, as: UTF8.self)
                == #"{"o":{"z":1,"c":"d"},"a":7,"b":["x","y"]}"#
        )
        #expect(Fixture.entries(document, schema) == ["o.c=d", "a=7", "b=x", "b=y"])
    }

    @Test func stampsAreWrittenAndOverwritten() throws {
        let schema = try Fixture.schema(
            """
            {"fields":{"c":{"type":"datetime","stamp":"created","index":true},
            "u":{"type":"datetime","stamp":"updated","index":true}}}
            """
        )
        var document = try Fixture.prepare(#"{"u":5,"k":"v"}"#, schema, now: 1_000)
        let expected = #"{"u":"1970-01-01T00:00:01.000Z","k":"v","c":"1970-01-01T00:00:01.000Z"}"#
        #expect(String(decoding: document.bytes, as: UTF8.self) == expected)
        #expect(document.needsCreatedStamp)
        for field in document.createdStampFields { document.setCreated(field, milliseconds: 500) }
        #expect(
            String(decoding: document.bytes, as: UTF8.self)
                == #"{"u":"1970-01-01T00:00:01.000Z","k":"v","c":"1970-01-01T00:00:00.500Z"}"#
        )
        #expect(Fixture.entries(document, schema) == ["u=1000", "c=500"])
    }

    @Test func vectorsAreTakenOut() throws {
        let schema = try Fixture.products()
        func stored(_ text: String) throws -> PreparedDocument {
            try Fixture.prepare(text, schema)
        }
        let vector = #""v":[1,2.5,-3]"#
        for text in [
            #"{V,"sku":"x","name":"n","stock":1}"#, #"{"sku":"x",V,"name":"n","stock":1}"#,
            #"{"sku":"x","name":"n","stock":1,V}"#,
        ] {
            let document = try stored(text.replacing("V", with: vector))
            #expect(
                String(decoding: document.bytes, as: UTF8.self)
                    == #"{"sku":"x","name":"n","stock":1}"#
            )
            #expect(document.vectors.map(\.values) == [[1, 2.5, -3]])
            #expect(Fixture.entries(document, schema) == ["sku=x", "name=n", "stock=1"])
        }
        // 1, 2, 3 as little-endian f32.
        let base64 = try stored(#"{"sku":"x","name":"n","v":"AACAPwAAAEAAAEBA"}"#)
        #expect(base64.vectors.map(\.values) == [[1, 2, 3]])
    }

    @Test func unknownMembersAreDroppedOrRefused() throws {
        let drop = try Fixture.products(unknown: "drop")
        let document = try Fixture.prepare(
            #"{"z":1,"y":2,"sku":"x","w":3,"name":"n","address":{"q":1,"state":"NY","r":2},"stock":1,"e":[]}"#,
            drop
        )
        #expect(
            String(decoding: document.bytes, as: UTF8.self)
                == #"{"sku":"x","name":"n","address":{"state":"NY"},"stock":1}"#
        )
        let refuse = try Fixture.products(unknown: "refuse")
        #expect(
            throws: ValidationError(path: "address.q", rule: "is a declared field", value: "1")
        ) {
            try Fixture.prepare(#"{"sku":"x","name":"n","address":{"state":"NY","q":1}}"#, refuse)
        }
    }

    @Test(arguments: [
        (#"{"name":"n"}"#, "sku", "required", ""),
        (#"{"sku":null,"name":"n"}"#, "sku", "required", "null"),
        (#"{"sku":1,"name":"n"}"#, "sku", "type keyword", "1"),
        (#"{"sku":"x","name":"n","price":-1}"#, "price", "min 0", "-1"),
        (#"{"sku":"x","name":"n","price":1000.01}"#, "price", "max 1000", "1000.01"),
        (#"{"sku":"x","name":"n","price":1.005}"#, "price", "type decimal", "1.005"),
        (#"{"sku":"x","name":"n","stock":1.5}"#, "stock", "type int", "1.5"),
        (
            #"{"sku":"x","name":"n","stock":9223372036854775808}"#, "stock", "type int",
            "9223372036854775808"
        ),
        (#"{"sku":"x","name":"n","rating":1e999}"#, "rating", "type float", "1e999"),
        (#"{"sku":"x","name":"n","active":1}"#, "active", "type bool", "1"),
        (#"{"sku":"x","name":"n","seen":"yesterday"}"#, "seen", "type datetime", "\"yesterday\""),
        (#"{"sku":"x","name":"n","size":"xl"}"#, "size", #"enum "s", "m", "l""#, "\"xl\""),
        (#"{"sku":"x","name":"n","tags":"a"}"#, "tags", "type array of keyword", "\"a\""),
        (#"{"sku":"x","name":"n","tags":["a",null]}"#, "tags.1", "type keyword", "null"),
        (#"{"sku":"x","name":"n","address":{}}"#, "address.state", "required", ""),
        (#"{"sku":"x","name":"n","items":[{},{"qty":"1"}]}"#, "items.1.qty", "type int", "\"1\""),
        (#"{"sku":"x","name":"n","v":[1,2]}"#, "v", "3 dimensions", "2"),
        (#"{"sku":"x","name":"n","v":[0,0,0]}"#, "v", "is not the zero vector under cosine", ""),
        (#"{"sku":"x","name":"n","v":[0,"a",0]}"#, "v.1", "is a number", "\"a\""),
        (#"{"sku":"x","name":"n","v":[0,1e300,0]}"#, "v.1", "is a finite number", "inf"),
        (#"{"sku":"x","name":"n","at":[181,0]}"#, "at", "longitude is from -180 to 180", "[181,0]"),
        (#"{"sku":"x","name":"n","sku":"y"}"#, "", "keys of an object are unique", "\"sku\""),
        (#"[]"#, "", "a document is an object", "[]"),
    ])
    func brokenRulesNamePathRuleAndValue(
        text: String,
        path: String,
        rule: String,
        value: String
    ) throws {
        let schema = try Fixture.products()
        #expect(throws: ValidationError(path: path, rule: rule, value: value)) {
            try Fixture.prepare(text, schema)
        }
    }

    @Test func shapesAreCheckedForStructure() throws {
        let schema = try Fixture.products()
        func isAllowed(_ shape: String) -> Bool {
            (try? Fixture.prepare(#"{"sku":"x","name":"n","zone":\#(shape)}"#, schema)) != nil
        }
        #expect(isAllowed(#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}"#))
        #expect(!isAllowed(#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}"#))
        #expect(!isAllowed(#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[0,0]]]}"#))
        #expect(!isAllowed(#"{"type":"Polygon","coordinates":[]}"#))
        #expect(isAllowed(#"{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]]]}"#))
        #expect(isAllowed(#"{"type":"MultiPoint","coordinates":[[0,0],[1,2,3]]}"#))
        #expect(!isAllowed(#"{"type":"MultiPoint","coordinates":[]}"#))
        #expect(isAllowed(#"{"type":"Point","coordinates":[0,90]}"#))
        #expect(!isAllowed(#"{"type":"Point","coordinates":[0,90.1]}"#))
        #expect(!isAllowed(#"{"type":"Circle","coordinates":[0,0]}"#))
        #expect(!isAllowed("[0,0]"))
    }

    @Test func openingHoursKeepTheirOwnRules() throws {
        let schema = try Fixture.schema(#"{"fields":{"h":{"type":"hours"}}}"#)
        _ = try Fixture.prepare(#"{"h":{"weekly":{"mon":[["10:00","21:30"]]}}}"#, schema)
        do {
            _ = try Fixture.prepare(#"{"h":{"weekly":{"mon":[["10:00","25:30"]]}}}"#, schema)
            Issue.record("accepted 25:30")
        } catch {
            #expect(error.path.hasPrefix("h.weekly.mon"), "\(error.message)")
        }
    }

    @Test func longStringsAreRefusedWhereIndexed() throws {
        let schema = try Fixture.schema(
            #"{"fields":{"k":{"type":"keyword","index":true},"t":{"type":"text"}}}"#
        )
        let long = String(repeating: "x", count: 8_193)
        _ = try Fixture.prepare(#"{"t":"\#(long)"}"#, schema)
        #expect(throws: ValidationError.self) { try Fixture.prepare(#"{"k":"\#(long)"}"#, schema) }
    }

    @Test func extractionSkipsWhatHasAWrongType() throws {
        let schema = try Fixture.products()
        let parser = JSONParser()
        let root = try parser.parse(
            #"{"sku":1,"price":5,"tags":["a",2,"b"],"items":[{"qty":3}],"v":[1]}"#
        )
        let document = DocumentPreparer().extract(
            from: root,
            minified: parser.minified,
            schema: schema
        )
        #expect(document.hasMismatch)
        #expect(
            Fixture.entries(document, schema) == ["price=500", "tags=a", "tags=b", "items.qty=3"]
        )
    }

    @Test func extractionOfAStoredDocumentGivesTheSameEntries() throws {
        let schema = try Fixture.products()
        let sent =
            #"{"sku":"x","name":"n","tags":["b","a"],"items":[{"qty":3,"sku":"q"},{"sku":"\n"}],"v":[1,2,3]}"#
        let prepared = try Fixture.prepare(sent, schema)
        let parser = JSONParser()
        let root = try parser.parse(prepared.bytes)
        let again = DocumentPreparer().extract(
            from: root,
            minified: parser.minified,
            schema: schema
        )
        #expect(
            Fixture.entries(again, schema).sorted() == Fixture.entries(prepared, schema).sorted()
        )
        #expect(!again.hasMismatch)
    }
}

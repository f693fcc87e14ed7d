import Documents
import Schema
import Testing

@Suite struct SchemaTests {
    @Test func canonicalFormReadsBackEqual() throws {
        let schema = try Fixture.products()
        let again = try Schema(parsing: schema.json)
        #expect(again.json.text == schema.json.text)
        #expect(again.internalJSON.text == schema.internalJSON.text)
        let stored = try Schema(internalJSON: JSON(parsing: schema.internalJSON.text))
        #expect(stored.fields.map(\.number) == schema.fields.map(\.number))
        #expect(stored.nextFieldNumber == schema.nextFieldNumber)
    }

    @Test func pathsAreFlatAndKnowTheirArrays() throws {
        let schema = try Fixture.products()
        #expect(schema.fields.map(\.path).contains("items.qty"))
        let quantity = try #require(schema.field(at: "items.qty"))
        #expect(quantity.isMultiValued && quantity.isInsideArray)
        let tags = try #require(schema.field(at: "tags"))
        #expect(tags.isMultiValued && !tags.isInsideArray)
        let state = try #require(schema.field(at: "address.state"))
        #expect(!state.isMultiValued)
        #expect(schema.field(at: "items.none") == nil)
        #expect(schema.field(numbered: state.number)?.path == "address.state")
    }

    @Test func arrayMayBeWrittenTwoWays() throws {
        let schema = try Fixture.schema(
            """
            {"fields":{"a":{"type":"array","items":{"type":"int"},"index":true},
            "b":{"type":"int","array":true,"index":true}}}
            """
        )
        let (a, b) = (schema.definitions[0], schema.definitions[1])
        #expect(a.isArray && b.isArray && a.isIndexed && a.type == b.type)
    }

    @Test(arguments: [
        (#"{"fields":{"a":{"type":"nope"}}}"#, "a.type"),
        (#"{"fields":{"a":{}}}"#, "a"),
        (#"{"fields":{"a":{"type":"int","unique":true,"array":true}}}"#, "a"),
        (#"{"fields":{"a":{"type":"decimal"}}}"#, "a.scale"),
        (#"{"fields":{"a":{"type":"decimal","scale":10}}}"#, "a.scale"),
        (#"{"fields":{"a":{"type":"int","default":"x"}}}"#, "a.default"),
        (#"{"fields":{"a":{"type":"int","default":5,"max":4}}}"#, "a.default"),
        (#"{"fields":{"a":{"type":"int","min":2,"max":1}}}"#, "a.min"),
        (#"{"fields":{"a":{"type":"int","min":1.5}}}"#, "a.min"),
        (#"{"fields":{"a":{"type":"vector","dimensions":5000}}}"#, "a.dimensions"),
        (#"{"fields":{"a":{"type":"vector","dimensions":5,"array":true}}}"#, "a"),
        (#"{"fields":{"a":{"type":"vector","dimensions":5,"index":{"kind":"x"}}}}"#, "a.kind"),
        (#"{"fields":{"a":{"type":"text","facet":true}}}"#, "a.facet"),
        (#"{"fields":{"a":{"type":"json","index":true}}}"#, "a.index"),
        (#"{"fields":{"a":{"type":"int","colour":"red"}}}"#, "a.colour"),
        (#"{"fields":{"a":{"type":"int","required":1}}}"#, "a.required"),
        (#"{"fields":{"a":{"type":"keyword","enum":[1]}}}"#, "a.enum"),
        (#"{"fields":{"a":{"type":"keyword","stamp":"created"}}}"#, "a.stamp"),
        (#"{"fields":{"a":{"type":"datetime","stamp":"now"}}}"#, "a.stamp"),
        (#"{"fields":{"_id":{"type":"int"}}}"#, "_id"),
        (#"{"fields":{"a.b":{"type":"int"}}}"#, "a.b"),
        (#"{"fields":{"1a":{"type":"int"}}}"#, "1a"),
        (#"{"fields":{},"unknown":"maybe"}"#, "unknown"),
        (#"{"fields":{},"other":1}"#, "other"),
        (#"{"fields":{"a":{"type":"int"}},"indexes":{"x":["a","b"]}}"#, "indexes.x"),
        (#"{"fields":[]}"#, "fields"),
        (#"[]"#, "schema"),
    ])
    func badSchemasAreRefusedWithTheirPath(text: String, path: String) throws {
        do {
            _ = try Fixture.schema(text)
            Issue.record("accepted \(text)")
        } catch let error as SchemaError {
            guard case .invalid(let found, _, _) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(found == path, "\(error.message)")
        }
    }

    @Test func compoundIndexesAreKeptAndShown() throws {
        let schema = try Fixture.schema(
            """
            {"fields":{"a":{"type":"int"},"b":{"type":"int"}},"indexes":{"ab":["a","-b"]},
            "unknown":"drop"}
            """
        )
        #expect(schema.compounds.map(\.name) == ["ab"])
        #expect(schema.compounds[0].parts.map(\.isDescending) == [false, true])
        #expect(
            schema.json.text
                == #"{"fields":{"a":{"type":"int"},"b":{"type":"int"}},"indexes":{"ab":["a","-b"]},"unknown":"drop"}"#
        )
    }

    @Test func jsonSchemaNamesTypesAndRules() throws {
        let text = try Fixture.products(unknown: "refuse").jsonSchema(title: "products").text
        #expect(text.contains(#""required":["sku","name"]"#))
        #expect(text.contains(#""additionalProperties":false"#))
        #expect(text.contains(#""price":{"type":["number","string"]"#))
    }

    @Test func doublesKeepTheirOrderAsKeys() {
        let values = [-Double.infinity, -1e300, -1, -1e-300, 0, 1e-300, 0.5, 1, 1e300, .infinity]
        let keys = values.map(OrderedKey.key)
        #expect(keys == keys.sorted())
        #expect(keys.map(OrderedKey.double) == values)
        #expect(OrderedKey.key(-0.0) == OrderedKey.key(0.0))
    }
}

@Suite struct SchemaChangeTests {
    private func change(_ text: String, _ schema: Schema) throws -> SchemaChange.Result {
        try SchemaChange(parsing: JSON(parsing: text)).applied(to: schema)
    }

    @Test func numbersOfDroppedFieldsAreNotReused() throws {
        let old = try Fixture.products()
        let dropped = try change(#"{"drop":["stock"]}"#, old).schema
        let again = try change(#"{"add":{"stock":{"type":"int","index":true}}}"#, dropped)
        #expect(dropped.field(at: "stock") == nil)
        #expect(again.schema.field(at: "stock")?.number == old.nextFieldNumber)
        #expect(again.columnsToBuild == [old.nextFieldNumber])
        #expect(again.schema.field(at: "sku")?.number == old.field(at: "sku")?.number)
        let stored = try Schema(internalJSON: dropped.internalJSON)
        #expect(stored.nextFieldNumber == dropped.nextFieldNumber)
    }

    @Test func indexesComeAndGo() throws {
        let old = try Fixture.products()
        let number = try #require(old.field(at: "rating")?.number)
        let off = try change(#"{"set":{"rating":{"index":false}}}"#, old)
        #expect(off.columnsToDrop == [number])
        #expect(!off.needsValidation)
        let on = try change(#"{"set":{"rating":{"index":true}}}"#, off.schema)
        #expect(on.columnsToBuild == [number])
    }

    @Test func sayingWhatHoldsAlreadyIsNoChange() throws {
        let old = try Fixture.products()
        for (path, changes) in [
            ("price", #"{"type":"decimal","scale":2}"#), ("rating", #"{"type":"float"}"#),
            ("rating", #"{"array":false}"#),
        ] {
            let number = try #require(old.field(at: path)?.number)
            let same = try change("{\"set\":{\"\(path)\":\(changes)}}", old)
            #expect(same.schema.field(at: path)?.number == number, "\(path) \(changes)")
            #expect(same.columnsToBuild.isEmpty && !same.needsValidation)
        }
    }

    @Test func vectorsAreCheckedWhereTheyMayNotFit() throws {
        let text = #"{"fields":{"v":{"type":"vector","dimensions":3,"metric":"l2","index":INDEX}}}"#
        func plan(_ index: String, _ changes: String) throws -> SchemaChange.Result {
            let old = try Schema(parsing: JSON(parsing: text.replacing("INDEX", with: index)))
            return try change("{\"set\":{\"v\":\(changes)}}", old)
        }
        let f32 = #"{"storage":"f32","originals":"f32"}"#
        // Index, changes, whether vectors are looked at, whether an index is built.
        for (index, changes, isChecked, isBuilt) in [
            ("true", #"{"dimensions":3,"type":"vector"}"#, false, false),
            ("true", #"{"dimensions":4}"#, true, true),
            ("true", #"{"metric":"cosine"}"#, true, true),
            ("true", #"{"metric":"ip"}"#, false, true),
            (f32, #"{"index":true}"#, true, true), ("true", "{\"index\":\(f32)}", false, true),
            ("false", #"{"index":true}"#, true, true), ("true", #"{"index":false}"#, false, false),
            (#"{"m":4}"#, #"{"index":{"m":4,"efSearch":50}}"#, false, false),
            (#"{"kind":"ivf"}"#, #"{"index":{"kind":"ivf","nProbes":5}}"#, false, false),
        ] {
            let result = try plan(index, changes)
            #expect(result.strictVectors.isEmpty != isChecked, "\(index) \(changes)")
            #expect(!isChecked || result.needsValidation, "\(index) \(changes)")
            #expect(result.vectorsToBuild.isEmpty != isBuilt, "\(index) \(changes)")
        }
    }

    @Test func storedSchemasMayHaveOptionsThatAreRefusedToday() throws {
        let text =
            #"{"fields":{"v":{"type":"vector","dimensions":3,"index":{"kind":"flat","m":9}}}}"#
        #expect(throws: SchemaError.self) { try Schema(parsing: JSON(parsing: text)) }
        let stored = try Schema(internalJSON: JSON(parsing: text))
        #expect(stored.field(at: "v")?.vectorOptions?.m == 9)
        let changed = try change(#"{"add":{"n":{"type":"int"}}}"#, stored).schema
        #expect(changed.field(at: "v")?.vectorOptions?.m == nil)
    }

    @Test func stricterRulesAskForValidation() throws {
        let old = try Fixture.products()
        let number = try #require(old.field(at: "price")?.number)
        #expect(try change(#"{"set":{"price":{"min":1}}}"#, old).fieldsToValidate == [number])
        #expect(try change(#"{"set":{"price":{"min":-1}}}"#, old).fieldsToValidate.isEmpty)
        #expect(try change(#"{"set":{"price":{"min":null}}}"#, old).fieldsToValidate.isEmpty)
        #expect(try change(#"{"unknown":"refuse"}"#, old).mustValidateAll)
    }

    @Test func uniqueKeysAreBuiltAndDropped() throws {
        let old = try Fixture.products()
        let number = try #require(old.field(at: "sku")?.number)
        let off = try change(#"{"set":{"sku":{"unique":false}}}"#, old)
        #expect(off.uniqueToDrop == [number] && off.columnsToDrop == [number])
        let on = try change(#"{"set":{"sku":{"unique":true}}}"#, off.schema)
        #expect(on.uniqueToBuild == [number])
    }

    @Test func nestedFieldsCanBeAddedAndDropped() throws {
        let old = try Fixture.products()
        let new = try change(
            #"{"add":{"address.city":{"type":"keyword"}},"drop":["items.qty"]}"#,
            old
        )
        #expect(new.schema.field(at: "address.city") != nil)
        #expect(new.schema.field(at: "items.qty") == nil)
        #expect(new.schema.field(at: "items.sku") != nil)
    }

    @Test(arguments: [
        #"{"drop":["none"]}"#, #"{"set":{"none":{"index":true}}}"#,
        #"{"add":{"sku":{"type":"int"}}}"#, #"{"add":{"x.y":{"type":"int"}}}"#,
        #"{"set":{"sku":{"type":"int","scale":1}}}"#, #"{"else":1}"#, #"{"add":[]}"#, "[]",
    ])
    func badChangesAreRefused(text: String) throws {
        let schema = try Fixture.products()
        #expect(throws: SchemaError.self) { try change(text, schema) }
    }
}

import Documents
import GeoIndex
import GeoJSON
import Schema
import Testing

@Suite struct PlaceTests {
    private static let stores = """
        {"fields":{"at":{"type":"geopoint","index":true,"earth":"wgs84","radius":"radius_km"},
        "spots":{"type":"geopoint","array":true,"index":true},"plan":{"type":"2d","index":true},
        "zone":{"type":"geoshape","index":true},"note":{"type":"geopoint"},
        "radius_km":{"type":"decimal","scale":1},"hours":{"type":"hours"},
        "in":{"type":"object","fields":{"at":{"type":"geopoint","index":true}}}}}
        """

    private func error(_ fields: String, _ more: String = "") -> String {
        do {
            _ = try Fixture.schema(#"{"fields":{"# + fields + "}" + more + "}")
            return ""
        } catch let error as SchemaError {
            return error.message
        } catch {
            return "\(error)"
        }
    }

    @Test func documentsHandOverTheirPlaces() throws {
        let schema = try Fixture.schema(Self.stores)
        let text = """
            {"at":[1,2],"spots":[[3,4],{"type":"Point","coordinates":[5,6]}],"plan":[7,170],
            "zone":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]},"note":[1,1],
            "radius_km":"12.5","in":{"at":[8,9]},
            "hours":{"weekly":{"mon":[["10:00","21:30"]]}}}
            """
        func check(_ document: PreparedDocument) {
            let places = document.places.map { place in
                let path = schema.field(numbered: place.field)?.path ?? "?"
                let radius = place.radiusMeters.map { " \($0)" } ?? ""
                switch place.place {
                case .point(let p): return "\(path) \(p.longitude) \(p.latitude)" + radius
                case .flat(let p): return "\(path) \(p.x) \(p.y)" + radius
                case .shape(let shape): return "\(path) \(shape.typeName)" + radius
                }
            }
            #expect(
                places == [
                    "at 1.0 2.0 12500.0", "spots 3.0 4.0", "spots 5.0 6.0", "plan 7.0 170.0",
                    "zone Polygon", "in.at 8.0 9.0",
                ])
            #expect(document.hours.map(\.hours.weekly[0].count) == [1])
        }
        let prepared = try Fixture.prepare(text, schema)
        check(prepared)
        // As they are read again when indexes are rebuilt.
        let parser = JSONParser()
        let root = try parser.parse(prepared.bytes)
        check(DocumentPreparer().extract(from: root, minified: parser.minified, schema: schema))
        let without = DocumentPreparer().extract(
            from: root, minified: parser.minified, schema: schema, takingPlaces: false)
        #expect(without.places.isEmpty && without.hours.isEmpty)
    }

    @Test func absentPlacesAndRadiiHandOverNothing() throws {
        let schema = try Fixture.schema(Self.stores)
        #expect(try Fixture.prepare(#"{"at":null,"radius_km":3}"#, schema).places.isEmpty)
        let document = try Fixture.prepare(#"{"at":[1,2],"radius_km":null}"#, schema)
        #expect(document.places.map(\.radiusMeters) == [nil])
    }

    @Test func aRadiusMayBeADefault() throws {
        let schema = try Fixture.schema(
            """
            {"fields":{"at":{"type":"geopoint","index":true,"radius":"r.km"},
            "r":{"type":"object","fields":{"km":{"type":"float","default":2.5}}}}}
            """)
        #expect(
            try Fixture.prepare(#"{"at":[1,2],"r":{}}"#, schema).places.map(\.radiusMeters)
                == [2_500])
        #expect(
            try Fixture.prepare(#"{"at":[1,2],"r":{"km":7}}"#, schema).places.map(\.radiusMeters)
                == [7_000])
    }

    @Test func wrongPlacesAreRefusedWithTheirPath() throws {
        let schema = try Fixture.schema(Self.stores)
        for (text, message) in [
            (
                #"{"at":[47.6,-122.3]}"#,
                "at: latitude is from -90 to 90; looks swapped: longitude comes first, "
                    + "got [47.6,-122.3]"
            ),
            (
                #"{"spots":[[1,2],[3]]}"#,
                "spots.1: a position is [longitude, latitude] and perhaps an altitude, "
                    + "not 1 numbers, got [3]"
            ),
            (#"{"plan":[1,181]}"#, "plan: a coordinate is from -180 to 180, got [1,181]"),
            (
                #"{"zone":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}}"#,
                "zone.coordinates.0: a ring ends where it begins"
            ),
            (
                #"{"hours":{"timezone":"America/Nowhere","weekly":{}}}"#,
                "hours.timezone: names a time zone of the system's tzdata, got \"America/Nowhere\""
            ),
            (
                #"{"at":[1,2],"radius_km":-1}"#,
                "radius_km: a radius is from 0 to 20015 kilometres, got -1"
            ),
            (
                #"{"radius_km":30000,"at":[1,2]}"#,
                "radius_km: a radius is from 0 to 20015 kilometres, got 30000"
            ),
        ] {
            #expect {
                _ = try Fixture.prepare(text, schema)
            } throws: {
                ($0 as? ValidationError)?.message == message
            }
        }
    }

    @Test func hoursAreNoArray() throws {
        let rule = "is not for hours: one value holds every span of every day"
        #expect(error(#""h":{"type":"hours","array":true}"#).contains("h.array: \(rule)"))
        #expect(error(#""h":{"type":"array","items":{"type":"hours"}}"#).contains(rule))
        // Within an array of objects each has its own.
        #expect(
            error(
                #""d":{"type":"array","items":{"type":"object","fields":{"h":{"type":"hours"}}}}"#)
                == "")
        // A schema that was accepted before is read as it is.
        let stored = #"{"fields":{"h":{"type":"hours","array":true}},"numbers":{"h":0}}"#
        #expect(try Schema(internalJSON: JSON(parsing: stored)).field(at: "h") != nil)
    }

    @Test func linesAreRefusedWhereZonesBelong() throws {
        let schema = try Fixture.schema(Self.stores)
        let text = #"{"zone":{"type":"LineString","coordinates":[[0,0],[1,1]]}}"#
        #expect {
            _ = try Fixture.prepare(text, schema)
        } throws: { thrown in
            guard let error = thrown as? ValidationError else { return false }
            return error.message.hasPrefix("zone.type: is Point, MultiPoint, Polygon or Multi")
                && error.message.contains("type json")
        }
        // What is in the log already is read.
        let parser = JSONParser()
        let root = try parser.parse(text)
        let read = DocumentPreparer().extract(
            from: root, minified: parser.minified, schema: schema)
        #expect(read.places.count == 1)
    }

    @Test func attributesOfPlacesAreShownAsTheyWereRead() throws {
        let schema = try Fixture.schema(Self.stores)
        let text = schema.json.text
        #expect(
            text.contains(
                #""at":{"type":"geopoint","index":true,"earth":"wgs84","radius":"radius_km"}"#))
        #expect(text.contains(#""plan":{"type":"2d","index":true}"#))
        #expect(try Schema(parsing: schema.json).json.text == text)
        #expect(try Schema(internalJSON: schema.internalJSON).json.text == text)
        let shown = schema.jsonSchema(title: "stores").text
        #expect(shown.contains(#""x-type":"2d""#))
        #expect(shown.contains(#""x-earth":"wgs84","x-radius":"radius_km""#))
        for name in ["2d", "2dsphere"] {
            let schema = try Fixture.schema(
                #"{"fields":{"p":{"type":"geopoint","index":"\#(name)"}}}"#)
            let field = try #require(schema.field(at: "p"))
            #expect(field.hasPlaceIndex)
            #expect(field.definition.place.isFlat == (name == "2d"))
        }
    }

    @Test func wrongAttributesOfPlacesAreNamed() {
        let cases = [
            (#""p":{"type":"2d","earth":"sphere"}"#, "p.earth: is no attribute of type 2d"),
            (#""p":{"type":"2d","index":"2dsphere"}"#, "p.index: is 2d where the type is"),
            (#""p":{"type":"geopoint","index":"3d"}"#, "p.index: is true, false, 2d or 2dsphere"),
            (#""p":{"type":"geopoint","earth":"flat"}"#, "p.earth: is one of sphere, wgs84"),
            (#""p":{"type":"geoshape","earth":"sphere"}"#, "p.earth: is no attribute of type"),
            (#""p":{"type":"geopoint","radius":5}"#, "p.radius: is the path of a number"),
            (#""p":{"type":"geopoint","radius":"q"}"#, "p.radius: is the path of an int"),
            (
                #""p":{"type":"geopoint","radius":"q"},"q":{"type":"keyword"}"#,
                "p.radius: is the path of an int"
            ),
            (
                #""p":{"type":"geopoint","radius":"q"},"q":{"type":"int","array":true}"#,
                "p.radius: is the path of an int"
            ),
            (
                #""o":{"type":"object","array":true,"fields":{"p":{"type":"geopoint","radius":"q"}}},"#
                    + #""q":{"type":"int"}"#, "o.p.radius: is for a point outside arrays"
            ),
            (#""p":{"type":"geoshape","index":"2d"}"#, "p.index: is true or false"),
        ]
        for (fields, message) in cases {
            #expect(error(fields).hasPrefix(message), "\(error(fields))")
        }
    }

    @Test func stockNamesFieldsThatFit() throws {
        let fields =
            #""store_id":{"type":"keyword"},"sku":{"type":"keyword"},"qty":{"type":"int"},"#
            + #""tags":{"type":"keyword","array":true}"#
        let good = #","stock_of":{"store":"store_id","sku":"sku","quantity":"qty"}"#
        let schema = try Fixture.schema(#"{"fields":{"# + fields + "}" + good + "}")
        #expect(schema.json.text.contains(#""stock_of":{"store":"store_id""#))
        #expect(try Schema(internalJSON: schema.internalJSON).stockOf == schema.stockOf)
        for (given, message) in [
            ("5", "stock_of: is an object"),
            (#"{"store":"store_id","sku":"sku"}"#, "stock_of: names store, sku and quantity"),
            (#"{"shop":"store_id"}"#, "stock_of.shop: is store, sku or quantity"),
            (#"{"store":"nowhere"}"#, "stock_of.store: is the path of a declared field"),
            (
                #"{"store":"qty","sku":"sku","quantity":"qty"}"#,
                "stock_of.store: is the path of a keyword"
            ),
            (
                #"{"store":"store_id","sku":"tags","quantity":"qty"}"#,
                "stock_of.sku: is the path of a keyword"
            ),
            (
                #"{"store":"store_id","sku":"sku","quantity":"sku"}"#,
                "stock_of.quantity: is the path of an int"
            ),
        ] {
            let text = error(fields, #","stock_of":"# + given)
            #expect(text.hasPrefix(message), "\(text)")
        }
    }

    @Test func changesOfPlacesSayWhatToBuild() throws {
        let old = try Fixture.schema(Self.stores)
        func change(_ text: String) throws -> SchemaChange.Result {
            try SchemaChange(parsing: JSON(parsing: text)).applied(to: old)
        }
        let at = try #require(old.field(at: "at")?.number)
        let zone = try #require(old.field(at: "zone")?.number)
        let hours = try #require(old.field(at: "hours")?.number)
        #expect(try change(#"{"set":{"at":{"radius":null}}}"#).placesToBuild == [at])
        #expect(try change(#"{"set":{"at":{"earth":"sphere"}}}"#).placesToBuild == [at])
        #expect(try change(#"{"set":{"note":{"index":true}}}"#).placesToBuild.count == 1)
        #expect(try change(#"{"set":{"zone":{"index":false}}}"#).placesToDrop == [zone])
        let dropped = try change(#"{"drop":["zone","hours"]}"#)
        #expect(dropped.placesToDrop == [zone] && dropped.hoursToDrop == [hours])
        let added = try change(#"{"add":{"h2":{"type":"hours"},"p2":{"type":"2d","index":true}}}"#)
        #expect(added.hoursToBuild.count == 1 && added.placesToBuild.count == 1)
        // What a zone's radius or a stock list needs cannot go.
        #expect(throws: SchemaError.self) { try change(#"{"drop":["radius_km"]}"#) }
        let flat = try change(#"{"set":{"at":{"index":"2d","earth":null,"radius":null}}}"#)
        #expect(flat.placesToBuild == [at] && flat.fieldsToValidate == [at])
    }
}

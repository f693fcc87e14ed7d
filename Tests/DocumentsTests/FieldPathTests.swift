import Testing

@testable import Documents

@Suite struct FieldPathTests {
    @Test(arguments: [
        ("", FieldPathError.empty), (".", .emptyStep(path: ".")), ("a.", .emptyStep(path: "a.")),
        (".a", .emptyStep(path: ".a")), ("a..b", .emptyStep(path: "a..b")),
        ("$a", .dollar(path: "$a")), ("a.$b", .dollar(path: "a.$b")),
    ])
    func badPathsAreRefused(_ text: String, _ expected: FieldPathError) {
        #expect(throws: expected) { try FieldPath(text) }
    }

    @Test func stepsAreBounded() throws {
        let fine = Array(repeating: "a", count: 64).joined(separator: ".")
        #expect(try FieldPath(fine).count == 64)
        let deep = fine + ".a"
        #expect(throws: FieldPathError.tooDeep(path: deep, maximum: 64)) { try FieldPath(deep) }
    }

    /// Document, path, values found, whether a branch is missing.
    @Test(arguments: [
        (#"{"a":1}"#, "a", "[1]", false), (#"{"a":1}"#, "b", "[]", true),
        (#"{"a":{"b":2}}"#, "a.b", "[2]", false), (#"{"a":5}"#, "a.b", "[]", true),
        (#"{"a":null}"#, "a.b", "[]", true), (#"{"a":null}"#, "a", "[null]", false),
        (#"{"a":[1,2]}"#, "a", "[[1,2]]", false), (#"{"a":[]}"#, "a.b", "[]", false),
        (#"{"a":[1,"x"]}"#, "a.b", "[]", false), (#"{"a":[[]]}"#, "a.b", "[]", false),
        (#"{"a":[{"b":1},{"c":2},5,{"b":[3]}]}"#, "a.b", "[1,[3]]", true),
        (#"{"a":[{"b":1},{"b":2}]}"#, "a.b", "[1,2]", false),
        (#"{"a":[[{"b":1}]]}"#, "a.b", "[]", false),
        (#"{"a":[[{"b":1}]]}"#, "a.0.b", "[1]", false),
        (#"{"a":[10,20]}"#, "a.1", "[20]", false), (#"{"a":[10]}"#, "a.1", "[]", false),
        (#"{"a":{"1":7}}"#, "a.1", "[7]", false),
        (#"{"a":[{"b":1},{"b":2}]}"#, "a.1.b", "[2]", false),
        (#"{"a":[{"0":9}]}"#, "a.0", #"[{"0":9},9]"#, false),
        (#"{"a":[10]}"#, "a.00", "[]", false), (#"{"a":[5]}"#, "a.0.b", "[]", true),
        (#"{"a":[{"b":[{"c":1},{"c":2}]},{"b":{"c":3}}]}"#, "a.b.c", "[1,2,3]", false),
        ("[1]", "a", "[]", false), ("5", "a", "[]", true),
    ])
    func lookupsFollowMongoDB(
        _ document: String,
        _ path: String,
        _ values: String,
        _ isMissing: Bool
    ) throws {
        let parser = JSONParser()
        let root = try parser.parse(document)
        var matches = FieldPath.Matches()
        try FieldPath(path).lookup(in: root, into: &matches)
        #expect(JSON.array(matches.values.map(\.json)).text == values)
        #expect(matches.isMissing == isMissing)
    }

    @Test func matchesAreReusable() throws {
        let parser = JSONParser()
        var matches = FieldPath.Matches()
        try FieldPath("b").lookup(in: parser.parse(#"{"a":1}"#), into: &matches)
        #expect(matches.isMissing)
        try FieldPath("a").lookup(in: parser.parse(#"{"a":1}"#), into: &matches)
        #expect(!matches.isMissing && matches.values.count == 1)
    }

    @Test func singleStopsAtArrays() throws {
        let parser = JSONParser()
        let root = try parser.parse(#"{"a":{"b":[{"c":1}]}}"#)
        #expect(try FieldPath("a.b").single(in: root)?.kind == .array)
        #expect(try FieldPath("a.b.c").single(in: root) == nil)
        #expect(try FieldPath("x").single(in: root) == nil)
    }

    @Test(arguments: [
        ("a", "a", true), ("a", "a.b", true), ("a.b", "a", true), ("a.b", "a.c", false),
        ("ab", "a", false), ("a.0", "a.1", false),
    ])
    func pathsConflictWhenOneLeadsThroughTheOther(_ a: String, _ b: String, _ expected: Bool) throws
    {
        #expect(try FieldPath(a).conflicts(with: FieldPath(b)) == expected)
        #expect(try FieldPath("a.10.b").arrayIndex(at: 1) == 10)
        #expect(try FieldPath("a.01.b").arrayIndex(at: 1) == nil)
        #expect(try FieldPath("a.10.b").keys == ["a", "10", "b"])
    }
}

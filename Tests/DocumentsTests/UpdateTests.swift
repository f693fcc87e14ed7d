import Testing

@testable import Documents

@Suite struct UpdateTests {
    private let now: Int64 = 1_767_323_045_678

    private func apply(_ document: String, _ update: String) throws -> String {
        try Update(json(update)).apply(to: json(document), now: now).text
    }

    @Test(arguments: [
        // $set
        (#"{}"#, #"{"$set":{"a":1}}"#, #"{"a":1}"#),
        (#"{"a":1,"b":2}"#, #"{"$set":{"a":[3]}}"#, #"{"a":[3],"b":2}"#),
        (#"{}"#, #"{"$set":{"a.b.c":1}}"#, #"{"a":{"b":{"c":1}}}"#),
        (#"{}"#, #"{"$set":{"a.0.b":1}}"#, #"{"a":{"0":{"b":1}}}"#),
        (#"{"a":[1,2]}"#, #"{"$set":{"a.1":9}}"#, #"{"a":[1,9]}"#),
        (#"{"a":[1]}"#, #"{"$set":{"a.3":9}}"#, #"{"a":[1,null,null,9]}"#),
        (#"{"a":[{"b":1}]}"#, #"{"$set":{"a.0.b":2,"a.0.c":3}}"#, #"{"a":[{"b":2,"c":3}]}"#),
        (#"{"a":[]}"#, #"{"$set":{"a.0.b":2}}"#, #"{"a":[{"b":2}]}"#),
        (#"{"a":1}"#, #"{"$set":{}}"#, #"{"a":1}"#),
        // $unset
        (#"{"a":1,"b":2}"#, #"{"$unset":{"a":""}}"#, #"{"b":2}"#),
        (#"{"a":{"b":1,"c":2}}"#, #"{"$unset":{"a.b":1}}"#, #"{"a":{"c":2}}"#),
        (#"{"a":[1,2,3]}"#, #"{"$unset":{"a.1":1}}"#, #"{"a":[1,null,3]}"#),
        (#"{"a":1}"#, #"{"$unset":{"x.y":1,"a.b":1,"a.0":1}}"#, #"{"a":1}"#),
        (#"{"a":[1]}"#, #"{"$unset":{"a.5":1,"a.b":1}}"#, #"{"a":[1]}"#),
        // $inc and $mul
        (#"{"a":1}"#, #"{"$inc":{"a":2}}"#, #"{"a":3}"#),
        (#"{}"#, #"{"$inc":{"a":2.50}}"#, #"{"a":2.50}"#),
        (#"{"a":0.1}"#, #"{"$inc":{"a":0.2}}"#, #"{"a":0.3}"#),
        (#"{"a":{"b":5}}"#, #"{"$inc":{"a.b":-7,"a.c":1}}"#, #"{"a":{"b":-2,"c":1}}"#),
        (#"{"a":3}"#, #"{"$mul":{"a":4}}"#, #"{"a":12}"#),
        (#"{"a":19.99}"#, #"{"$mul":{"a":1.1}}"#, #"{"a":21.989}"#),
        (#"{}"#, #"{"$mul":{"a":4,"b":1.5}}"#, #"{"a":0,"b":0.0}"#),
        // $min and $max
        (#"{"a":5}"#, #"{"$min":{"a":3}}"#, #"{"a":3}"#),
        (#"{"a":5}"#, #"{"$min":{"a":7,"b":1}}"#, #"{"a":5,"b":1}"#),
        (#"{"a":5}"#, #"{"$max":{"a":5.0}}"#, #"{"a":5}"#),
        (#"{"a":5}"#, #"{"$max":{"a":"x"}}"#, #"{"a":"x"}"#),
        (#"{"a":null}"#, #"{"$max":{"a":-1}}"#, #"{"a":-1}"#),
        // $push
        (#"{}"#, #"{"$push":{"a":1}}"#, #"{"a":[1]}"#),
        (#"{"a":[1]}"#, #"{"$push":{"a":[2]}}"#, #"{"a":[1,[2]]}"#),
        (#"{"a":[1]}"#, #"{"$push":{"a":{"x":1}}}"#, #"{"a":[1,{"x":1}]}"#),
        (#"{"a":[1]}"#, #"{"$push":{"a":{"$each":[2,3]}}}"#, #"{"a":[1,2,3]}"#),
        (#"{"a":[1]}"#, #"{"$push":{"a":{"$each":[2,3],"$position":0}}}"#, #"{"a":[2,3,1]}"#),
        (#"{"a":[1,2]}"#, #"{"$push":{"a":{"$each":[3],"$position":-1}}}"#, #"{"a":[1,3,2]}"#),
        (
            #"{"a":[1]}"#, #"{"$push":{"a":{"$each":[2],"$position":-9223372036854775808}}}"#,
            #"{"a":[2,1]}"#
        ),
        (#"{"a":[1]}"#, #"{"$push":{"a":{"$each":[2],"$position":99}}}"#, #"{"a":[1,2]}"#),
        (#"{"a":[1,2]}"#, #"{"$push":{"a":{"$each":[3],"$slice":2}}}"#, #"{"a":[1,2]}"#),
        (#"{"a":[1,2]}"#, #"{"$push":{"a":{"$each":[3],"$slice":-2}}}"#, #"{"a":[2,3]}"#),
        (
            #"{"a":[1]}"#, #"{"$push":{"a":{"$each":[3],"$slice":-9223372036854775808}}}"#,
            #"{"a":[1,3]}"#
        ),
        (#"{"a":[1,2]}"#, #"{"$push":{"a":{"$each":[],"$slice":0}}}"#, #"{"a":[]}"#),
        (#"{"a":[3,1]}"#, #"{"$push":{"a":{"$each":[2],"$sort":1}}}"#, #"{"a":[1,2,3]}"#),
        (#"{"a":[3,1]}"#, #"{"$push":{"a":{"$each":[2],"$sort":-1,"$slice":2}}}"#, #"{"a":[3,2]}"#),
        (
            #"{"a":[{"q":2,"n":1},{"q":1}]}"#,
            #"{"$push":{"a":{"$each":[{"q":2,"n":0}],"$sort":{"q":-1,"n":1}}}}"#,
            #"{"a":[{"q":2,"n":0},{"q":2,"n":1},{"q":1}]}"#
        ),
        // $addToSet
        (#"{"a":[1]}"#, #"{"$addToSet":{"a":1.0}}"#, #"{"a":[1]}"#),
        (#"{"a":[1]}"#, #"{"$addToSet":{"a":{"$each":[2,2,1]}}}"#, #"{"a":[1,2]}"#),
        (#"{}"#, #"{"$addToSet":{"a.b":"x"}}"#, #"{"a":{"b":["x"]}}"#),
        (#"{"a":[{"x":1}]}"#, #"{"$addToSet":{"a":{"x":1}}}"#, #"{"a":[{"x":1}]}"#),
        // $pull
        (#"{"a":[1,2,1.0]}"#, #"{"$pull":{"a":1}}"#, #"{"a":[2]}"#),
        (#"{"a":[{"x":1},{"x":2}]}"#, #"{"$pull":{"a":{"x":1}}}"#, #"{"a":[{"x":2}]}"#),
        (#"{"b":1}"#, #"{"$pull":{"a":1,"b.c":1}}"#, #"{"b":1}"#),
        // $currentDate
        (#"{}"#, #"{"$currentDate":{"a":true}}"#, #"{"a":"2026-01-02T03:04:05.678Z"}"#),
        (#"{}"#, #"{"$currentDate":{"a":{"$type":"date"}}}"#, #"{"a":"2026-01-02T03:04:05.678Z"}"#),
        (#"{}"#, #"{"$currentDate":{"a":{"$type":"timestamp"}}}"#, #"{"a":1767323045678}"#),
        // Several operators, one document
        (
            #"{"n":1,"t":["a"]}"#, #"{"$inc":{"n":1},"$push":{"t":"b"},"$set":{"x.y":null}}"#,
            #"{"n":2,"t":["a","b"],"x":{"y":null}}"#
        ),
    ])
    func operatorsFollowMongoDB(_ document: String, _ update: String, _ expected: String) throws {
        #expect(try apply(document, update) == expected)
    }

    /// The cases of RFC 7396, appendix A, whose target and patch are objects.
    @Test(arguments: [
        (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#),
        (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
        (#"{"a":"b"}"#, #"{"a":null}"#, "{}"),
        (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
        (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#),
        (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
        (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
        (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#),
        (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#),
        ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
        (#"{"a":1}"#, "{}", #"{"a":1}"#),
    ])
    func mergePatchesFollowTheRFC(_ document: String, _ patch: String, _ expected: String) throws {
        #expect(try apply(document, patch) == expected)
    }

    @Test(arguments: [
        ("[]", UpdateError.notAnObject), ("1", .notAnObject),
        (#"{"$set":{"a":1},"b":2}"#, .mixed(key: "b")), (#"{"b":2,"$set":{}}"#, .mixed(key: "b")),
        (#"{"$foo":{}}"#, .unknownOperator("$foo")),
        (#"{"$setOnInsert":{"a":1}}"#, .unknownOperator("$setOnInsert")),
        (#"{"$set":1}"#, .operandNotObject(operator: "$set")),
        (#"{"$set":{"a..b":1}}"#, .badPath(operator: "$set", .emptyStep(path: "a..b"))),
        (#"{"$set":{"a.$":1}}"#, .badPath(operator: "$set", .dollar(path: "a.$"))),
        (#"{"$set":{"":1}}"#, .badPath(operator: "$set", .empty)),
        (#"{"$set":{"_id":1}}"#, .idIsImmutable(path: "_id")),
        (#"{"$unset":{"_id.x":1}}"#, .idIsImmutable(path: "_id.x")),
        (#"{"_id":null}"#, .idIsImmutable(path: "_id")),
        (#"{"$set":{"a":1},"$inc":{"a":1}}"#, .conflict(path: "a", other: "a")),
        (#"{"$set":{"a.b":1,"ab":1},"$inc":{"a":1}}"#, .conflict(path: "a.b", other: "a")),
        (
            #"{"$inc":{"a":"1"}}"#,
            .badOperand(path: "a", operator: "$inc", rule: "a number")
        ),
        (
            #"{"$mul":{"a":null}}"#,
            .badOperand(path: "a", operator: "$mul", rule: "a number")
        ),
        (
            #"{"$push":{"a":{"$slice":1}}}"#,
            .badOperand(path: "a", operator: "$push", rule: "$each is an array")
        ),
        (
            #"{"$push":{"a":{"$each":[],"$slice":1.5}}}"#,
            .badOperand(path: "a", operator: "$push", rule: "$slice is an integer")
        ),
        (
            #"{"$push":{"a":{"$each":[],"x":1}}}"#,
            .badOperand(
                path: "a",
                operator: "$push",
                rule: "modifiers are $each, $position, $slice and $sort"
            )
        ),
        (
            #"{"$push":{"a":{"$each":[],"$sort":2}}}"#,
            .badOperand(
                path: "a",
                operator: "$push",
                rule: "$sort is 1, -1 or an object of them"
            )
        ),
        (
            #"{"$push":{"a":{"$each":[],"$sort":{}}}}"#,
            .badOperand(
                path: "a",
                operator: "$push",
                rule: "$sort is 1, -1 or an object of them"
            )
        ),
        (
            #"{"$push":{"a":{"$each":[],"$sort":{"x.":1}}}}"#,
            .badPath(operator: "$sort", .emptyStep(path: "x."))
        ),
        (
            #"{"$addToSet":{"a":{"$each":1}}}"#,
            .badOperand(path: "a", operator: "$addToSet", rule: #"a value or {"$each":[…]}"#)
        ),
        (
            #"{"$currentDate":{"a":1}}"#,
            .badOperand(
                path: "a",
                operator: "$currentDate",
                rule: #"true, {"$type":"date"} or {"$type":"timestamp"}"#
            )
        ),
    ])
    func badUpdatesAreRefused(_ update: String, _ expected: UpdateError) {
        #expect(throws: expected) { try Update(json(update)) }
    }

    @Test(arguments: [
        ("[1]", #"{"$set":{"a":1}}"#, UpdateError.documentNotObject),
        (#"{"a":5}"#, #"{"$set":{"a.b":1}}"#, .cannotCreate(path: "a.b", at: "a")),
        (#"{"a":null}"#, #"{"$inc":{"a.b":1}}"#, .cannotCreate(path: "a.b", at: "a")),
        (#"{"a":[1]}"#, #"{"$set":{"a.b":1}}"#, .cannotCreate(path: "a.b", at: "a")),
        (#"{"x":{"a":[1]}}"#, #"{"$set":{"x.a.01":1}}"#, .cannotCreate(path: "x.a.01", at: "x.a")),
        (#"{"a":[1]}"#, #"{"$set":{"a.1002":1}}"#, .indexTooLarge(path: "a.1002", maximum: 1_001)),
        (
            #"{"a":"1"}"#, #"{"$inc":{"a":1}}"#,
            .wrongKind(path: "a", operator: "$inc", kind: .string)
        ),
        (
            #"{"a":null}"#, #"{"$mul":{"a":1}}"#,
            .wrongKind(path: "a", operator: "$mul", kind: .null)
        ),
        (
            #"{"a":null}"#, #"{"$push":{"a":1}}"#,
            .wrongKind(path: "a", operator: "$push", kind: .null)
        ),
        (
            #"{"a":{}}"#, #"{"$addToSet":{"a":1}}"#,
            .wrongKind(path: "a", operator: "$addToSet", kind: .object)
        ),
        (
            #"{"a":1}"#, #"{"$pull":{"a":1}}"#,
            .wrongKind(path: "a", operator: "$pull", kind: .number)
        ),
        (#"{"a":9223372036854775807}"#, #"{"$inc":{"a":1}}"#, .arithmetic(path: "a", .overflow)),
        (#"{"a":1e100}"#, #"{"$inc":{"a":1}}"#, .arithmetic(path: "a", .tooPrecise(maximum: 64))),
    ])
    func updatesThatDoNotFitTheDocumentAreRefused(
        _ document: String,
        _ update: String,
        _ expected: UpdateError
    ) throws {
        let update = try Update(json(update))
        #expect(throws: expected) { try update.apply(to: json(document), now: 0) }
    }

    @Test func sizesAreBounded() throws {
        var paths = JSONObject()
        for index in 0..<1_000 { paths["a\(index)"] = .null }
        let full = JSON.object(JSONObject([(key: "$set", value: .object(paths))]))
        #expect(try Update(full).apply(to: json("{}"), now: 0).object?.count == 1_000)
        paths["more"] = .null
        let over = JSON.object(JSONObject([(key: "$set", value: .object(paths))]))
        #expect(throws: UpdateError.tooManyOperations(maximum: 1_000)) { try Update(over) }
        let deep = try Update(json(#"{"$set":{"a.b.c":[]}}"#))
        #expect(try deep.apply(to: json("{}"), now: 0, depthMax: 4).depth == 4)
        #expect(throws: UpdateError.tooDeep(maximum: 3)) {
            try deep.apply(to: json("{}"), now: 0, depthMax: 3)
        }
    }

    @Test func pullAsksTheMatcherOnlyForObjects() throws {
        let update = try Update(json(#"{"$pull":{"a":{"$gte":2},"b":"x"}}"#))
        #expect(update.pullConditions == [json(#"{"$gte":2}"#), .string("x")])
        let document = json(#"{"a":[1,2,3],"b":["x","y"]}"#)
        let result = try update.apply(to: document, now: 0) { condition, element in
            ValueOrder.compare(element, condition["$gte"] ?? .null) >= 0
        }
        #expect(result.text == #"{"a":[1],"b":["y"]}"#)
        let refusal = UpdateError.badCondition(path: "a", reason: "no")
        #expect(throws: refusal) {
            try update.apply(to: document, now: 0) {
                (_: JSON, _: JSON) throws(UpdateError) -> Bool in throw refusal
            }
        }
    }

    @Test func setThenUnsetRestoresRandomDocuments() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = RandomJSON(random: SeededRandom(seed: seed))
        for _ in 0..<1_000 {
            let document = JSON.object(JSONObject([(key: "d", value: generator.value(depth: 3))]))
            let value = generator.value(depth: 2)
            let operand = JSON.object(JSONObject([(key: "new.path", value: value)]))
            let set = try Update(.object(JSONObject([(key: "$set", value: operand)])))
            let changed = try set.apply(to: document, now: 0)
            #expect(changed["new"]?["path"] == value, "seed \(seed)")
            let unset = try Update(json(#"{"$unset":{"new":1}}"#))
            #expect(try unset.apply(to: changed, now: 0).text == document.text, "seed \(seed)")
        }
    }
}

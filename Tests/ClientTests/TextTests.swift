import Client
import Testing

@Test func wordsAreSplitAsInRedisCLI() {
    let cases: [(String, [String])] = [
        ("", []),
        ("  PING  ", ["PING"]),
        ("FIND p '{\"a\": 1}' LIMIT 3", ["FIND", "p", "{\"a\": 1}", "LIMIT", "3"]),
        ("PUT c 1 {\"a\":1}", ["PUT", "c", "1", "{\"a\":1}"]),
        ("ECHO \"a\\n\\x41\\\"\"", ["ECHO", "a\nA\""]),
        ("ECHO 'it\\'s \\n'", ["ECHO", "it's \\n"]),
        ("ECHO ''", ["ECHO", ""]),
    ]
    for (line, words) in cases { #expect(CommandWords.split(line) == .success(words)) }
    #expect(CommandWords.split("A 'b") == .failure(.openQuote(offset: 2)))
}

@Test func completionKnowsCommandsAndTheirOptions() {
    let commands = [
        CommandWords.Command(name: "FETCH", summary: "", syntax: "FETCH c id [FIELDS a] [META]"),
        CommandWords.Command(name: "FIND", summary: "", syntax: "FIND c f [SORT s] [SKIP n]"),
    ]
    #expect(CommandWords.completions(of: "f", commands: commands) == ["FETCH", "FIND"])
    #expect(CommandWords.completions(of: "FIN", commands: commands) == ["FIND"])
    #expect(CommandWords.completions(of: "find c {} s", commands: commands).count == 2)
    #expect(CommandWords.completions(of: "fetch c 1 me", commands: commands) == ["fetch c 1 META"])
    #expect(CommandWords.completions(of: "zzz ", commands: commands) == [])
}

@Test func completionKnowsCollectionsAndFields() {
    let commands = [
        CommandWords.Command(name: "FIND", summary: "", syntax: "FIND c f [SORT s] [SKIP n]"),
        CommandWords.Command(name: "ALIAS", summary: "", syntax: "ALIAS name c"),
    ]
    func complete(_ line: String) -> [String] {
        CommandWords.completions(
            of: line,
            commands: commands,
            collections: ["products", "stores"],
            fields: { $0 == "products" ? ["price", "popularity", "name"] : [] }
        )
    }
    #expect(complete("FIND pr") == ["FIND products"])
    #expect(complete("explain find ").count == 2)
    #expect(complete("ALIAS x s") == ["ALIAS x stores"])
    #expect(complete("FIND products {} SORT p").count == 2)
    #expect(
        complete("FIND products '{\"a\": 1}' SORT price:-1,n")
            == ["FIND products '{\"a\": 1}' SORT price:-1,name"]
    )
    #expect(complete("FIND products '{\"a\": ") == [])
    #expect(complete("FIND products {} ") == [])
}

@Test func repliesAreShownWithTheirKeys() {
    let document =
        "{\"id\":\"p-1\",\"name\":\"A name that is long enough for lines\",\"tags\":[\"a\"]}"
    let reply = Reply.map([
        .init(key: .simple("total"), value: .integer(1)),
        .init(
            key: .simple("hits"),
            value: .array([
                .map([
                    .init(key: .simple("id"), value: .bulk(Array("p-1".utf8))),
                    .init(key: .simple("doc"), value: .bulk(Array(document.utf8))),
                ])
            ])
        ),
    ])
    let expected = """
        total: 1
        hits:
          1) id: p-1
             doc:
               {
                 "id": "p-1",
                 "name": "A name that is long enough for lines",
                 "tags": ["a"]
               }
        """
    #expect(ReplyText.render(reply) == expected)
}

@Test func aStoredTextCannotSteerTheTerminal() {
    let reply = Reply.bulk([0x1B, 0x5B, 0x32, 0x4A])
    #expect(ReplyText.render(reply) == "\\x1b[2J")
}

@Test func shortListsInsideOthersStayOnOneLine() {
    let reply = Reply.map([
        .init(
            key: .simple("facets"),
            value: .map([
                .init(
                    key: .simple("brand"),
                    value: .array([
                        .array([.bulk(Array("Acme".utf8)), .integer(3)]),
                        .array([
                            .null, .map([.init(key: .simple("count"), value: .integer(1))]),
                        ]),
                    ])
                )
            ])
        )
    ])
    let expected = """
        facets:
          brand: [[Acme, 3], [null, {count: 1}]]
        """
    #expect(ReplyText.render(reply) == expected)
}

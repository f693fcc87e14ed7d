extension CommandTable {
    private static let shaping: [CommandSpec.Option] = [
        .init("FIELDS a,b.c | -a,-b", "only these fields, or all but these"),
        .init("AT version", "as of an earlier version, within the retention window"),
        .init("META", "with the version and, for single documents, the expiry"),
    ]
    private static let limits: [CommandSpec.Option] = [
        .init("TIMEOUT 50ms", "stop after this long with TIMEOUT; 5s by default"),
        .init("PARTIAL", "answer with what was found when the time is over"),
        .init("PARAMS {json}", "values for $name in the filter"),
        .init("BLOB name bytes", "a binary value for $name"),
    ]
    private static let key = CommandSpec.Option(
        "KEY k",
        "the same k within 10 minutes returns the first reply and writes nothing"
    )
    private static let conditions: [CommandSpec.Option] = [
        .init("IF f", "only when the stored document matches the filter"),
        .init("VERSION n", "only when the stored version is n"),
        .init("TTL 5m", "remove the document after this long"),
        .init("RETURN old|new", "also answer with the document before or after"),
    ]

    /// The verbs that the command handler carries out.
    static var dataCommands: [CommandSpec] {
        collectionCommands + documentCommands + lookupCommands + nearnessCommands + placeCommands
            + operationCommands
    }

    private static var collectionCommands: [CommandSpec] {
        [
            CommandSpec(
                .create,
                arity: -3,
                [.write, .dangerous],
                .first,
                group: "collections",
                "Creates a collection from a schema.",
                syntax: "CREATE c {schema}",
                complexity: "O(fields)",
                options: [key],
                example: (#"CREATE notes {"fields":{"title":{"type":"text"}}}"#, "OK")
            ),
            CommandSpec(
                .alter,
                arity: -3,
                [.write, .dangerous],
                .first,
                group: "collections",
                "Changes a schema online; answers with a job id at once.",
                syntax: "ALTER c {change}",
                complexity: "O(documents), in the background",
                options: [key],
                example: (#"ALTER notes {"drop":["draft"]}"#, "1")
            ),
            CommandSpec(
                .drop,
                arity: -2,
                [.write, .dangerous],
                .first,
                group: "collections",
                "Removes a collection and its documents.",
                syntax: "DROP c",
                complexity: "O(documents), in the background",
                options: [key],
                example: ("DROP notes", "OK")
            ),
            CommandSpec(
                .describe,
                arity: 2,
                [.read],
                .first,
                group: "collections",
                "Shows a schema, also as JSON Schema, and the state and size of each index.",
                syntax: "DESCRIBE c",
                complexity: "O(fields)",
                example: (
                    "DESCRIBE notes",
                    #"1) name 2) notes 3) documents 4) 1 … json_schema …"#
                        + #" 1) field 2) title 3) kind 4) keyword 5) state 6) ready …"#
                )
            ),
            CommandSpec(
                .collections,
                arity: 1,
                [.read],
                group: "collections",
                "Lists the collections and aliases that the user may read.",
                syntax: "COLLECTIONS",
                complexity: "O(collections)",
                example: ("COLLECTIONS", "1) 1) name 2) notes 3) documents 4) 1")
            ),
            CommandSpec(
                .alias,
                arity: -3,
                [.write, .dangerous],
                .firstTwo,
                group: "collections",
                "Points a name to a collection; switching it is atomic.",
                syntax: "ALIAS name c",
                options: [key],
                example: ("ALIAS live notes", "OK")
            ),
        ]
    }

    private static var documentCommands: [CommandSpec] {
        [
            CommandSpec(
                .put,
                arity: -4,
                [.write, .queued, .fast],
                .first,
                group: "documents",
                "Stores a document, durably, in place of any with the same id.",
                syntax: "PUT c id {doc} [IF f | ABSENT | PRESENT | VERSION n] [VEC field bytes].. "
                    + "[TTL 5m] [RETURN old|new] [KEY k]",
                complexity: "O(document)",
                options: conditions + [
                    .init("ABSENT", "only when there is none"),
                    .init("PRESENT", "only when there is one"),
                    .init("VEC field bytes", "a vector as little-endian 32-bit floats"), key,
                ],
                example: (#"PUT notes 1 {"title":"Tea"}"#, "1) id 2) 1 3) version 4) 7")
            ),
            CommandSpec(
                .patch,
                arity: -4,
                [.write, .queued, .fast],
                .first,
                group: "documents",
                "Changes parts of a document: $set $unset $inc $mul $min $max $push $addToSet "
                    + "$pull $currentDate, or a merge patch.",
                syntax: "PATCH c id {update} [IF f | VERSION n] [RETURN old|new] [UPSERT] "
                    + "[TTL 5m | PERSIST] [KEY k]",
                complexity: "O(document)",
                options: conditions + [
                    .init("UPSERT", "start from an empty document when there is none"),
                    .init("PERSIST", "no longer expire"), key,
                ],
                example: (#"PATCH notes 1 {"$set":{"title":"Chai"}}"#, "1) id 2) 1 3) version 4) 8")
            ),
            CommandSpec(
                .fetch,
                arity: -3,
                [.read, .queued, .fast],
                .first,
                group: "documents",
                "Returns a document as JSON, null if there is none.",
                syntax: "FETCH c id [FIELDS a,b.c] [AT version] [META]",
                complexity: "O(document)",
                options: shaping,
                example: ("FETCH notes 1", #"{"title":"Chai"}"#)
            ),
            CommandSpec(
                .mfetch,
                arity: -3,
                [.read, .queued, .fast],
                .first,
                group: "documents",
                "Returns many documents in the order asked, null for each that is absent.",
                syntax: "MFETCH c id.. | IDS [json array] [FIELDS ..] [META]",
                complexity: "O(documents asked for)",
                options: shaping + [.init("IDS [json]", "the ids as one JSON array")],
                example: ("MFETCH notes 1 2", #"1) {"title":"Chai"} 2) (nil)"#)
            ),
            CommandSpec(
                .remove,
                arity: -3,
                [.write, .queued],
                .first,
                group: "documents",
                "Removes documents by id or by filter; answers how many.",
                syntax: "REMOVE c id.. | REMOVE c WHERE f [LIMIT n]",
                complexity: "O(removed), plus the lookup with WHERE",
                options: [
                    .init("WHERE f", "those that match, in batches; not atomic"),
                    .init("LIMIT n", "at most n of them"), key,
                ],
                example: ("REMOVE notes 1 2", "1")
            ),
            CommandSpec(
                .export,
                arity: -2,
                [.read],
                .first,
                group: "documents",
                "Streams the documents of one version in chunks, continued with MORE.",
                syntax: "EXPORT c [WHERE f] [AS jsonl|csv] [BATCH n]",
                complexity: "O(batch) per chunk",
                options: [
                    .init("WHERE f", "only those that match"),
                    .init("AS jsonl|csv", "the chunks' format"),
                    .init("BATCH n", "documents per chunk; 1000 by default"),
                    .init("AT version", "as of an earlier version"),
                ],
                example: ("EXPORT notes BATCH 1", #"1) chunk 2) {"title":"…"}… 3) cursor 4) …"#)
            ),
        ]
    }

    private static var lookupCommands: [CommandSpec] {
        [
            CommandSpec(
                .find,
                arity: -3,
                [.read],
                .first,
                group: "lookups",
                "Finds documents by filter, sorted and paged, with facets and statistics.",
                syntax: "FIND c f [SORT price:-1,name:1] [LIMIT n] [SKIP n | AFTER cursor] "
                    + "[FIELDS ..] [FACET a,b:20,price:[0,50,100]] [STATS a,b [BY c]] [DISTINCT a]",
                complexity: "O(matches) over columns, O(hits) documents",
                options: [
                    .init("SORT a:-1,b:1", "order of the hits; ties by id"),
                    .init("LIMIT n", "hits of the reply; 10 by default"),
                    .init("SKIP n", "hits to leave out first"),
                    .init("AFTER cursor", "continue behind an earlier page"),
                    .init("FACET a,b:20", "counts of the most frequent values among the matches"),
                    .init("STATS a [BY c]", "count, min, max, sum and avg among the matches"),
                    .init("DISTINCT a", "the values of the field among the matches, in order"),
                ] + shaping + limits,
                example: (
                    #"FIND notes {"title":"Chai"} LIMIT 1"#,
                    "1) total 2) 1 3) exact 4) 1 5) hits 6) 1) 1) id 2) 1 3) doc "
                        + #"4) {"title":"Chai"} 7) version 8) 7 9) took_us 10) 84"#
                )
            ),
            CommandSpec(
                .count,
                arity: -3,
                [.read],
                .first,
                group: "lookups",
                "Counts the documents that match a filter.",
                syntax: "COUNT c f",
                complexity: "O(matches) over columns",
                options: [.init("AT version", "as of an earlier version")] + limits,
                example: ("COUNT notes {}", "1")
            ),
            CommandSpec(
                .explain,
                arity: -3,
                [.read],
                .nested,
                group: "lookups",
                "Runs a lookup and shows its plan, its estimates, what happened and the time of "
                    + "each stage.",
                syntax: "EXPLAIN [AS geojson|svg] <any lookup>",
                complexity: "O(the lookup)",
                options: [
                    .init(
                        "AS geojson|svg",
                        "draw a lookup by place: its region, the cells that cover it, its hits"
                    )
                ],
                example: (
                    #"EXPLAIN COUNT notes {"title":"Chai"}"#,
                    "1) plan 2) filter (title: keyword postings) 3) estimate 4) 1 "
                        + "5) total 6) 1 …"
                )
            ),
            CommandSpec(
                .more,
                arity: -2,
                [.read],
                group: "lookups",
                "Continues what EXPORT began.",
                syntax: "MORE cursor [n]",
                complexity: "O(batch)",
                example: ("MORE 1-a2f0", #"1) chunk 2) {"title":"…"}…"#)
            ),
        ]
    }

    private static var operationCommands: [CommandSpec] {
        [
            CommandSpec(
                .multi,
                arity: 1,
                [.fast, .inMulti],
                group: "transactions",
                "Begins a transaction: PUT PATCH REMOVE FETCH MFETCH PING ECHO are queued.",
                syntax: "MULTI",
                example: ("MULTI", "OK")
            ),
            CommandSpec(
                .exec,
                arity: 1,
                [.write, .inMulti],
                group: "transactions",
                "Carries out the queued commands as one commit: all or none.",
                syntax: "EXEC",
                complexity: "O(queued commands)",
                example: (
                    "EXEC",
                    #"1) 1) id 2) 2 3) version 4) 8 2) {"title":"Mate"}"#
                )
            ),
            CommandSpec(
                .discard,
                arity: 1,
                [.fast, .inMulti],
                group: "transactions",
                "Forgets the queued commands.",
                syntax: "DISCARD",
                example: ("DISCARD", "OK")
            ),
            CommandSpec(
                .health,
                arity: 1,
                [.read, .loading, .fast],
                group: "operations",
                "Says whether the server takes reads and writes, and why not.",
                syntax: "HEALTH",
                example: (
                    "HEALTH", "1) state 2) ok 3) live 4) 1 5) ready 6) 1 7) writes 8) accepted …"
                )
            ),
            CommandSpec(
                .stats,
                arity: 2,
                [.read],
                .first,
                group: "operations",
                "Shows a collection's counts and bytes, by index and by partition.",
                syntax: "STATS c",
                complexity: "O(fields × partitions)",
                example: ("STATS notes", "1) documents 2) 1 3) index_bytes 4) …")
            ),
            CommandSpec(
                .jobs,
                arity: -1,
                [.admin],
                group: "operations",
                "Lists background jobs, or steers one.",
                syntax: "JOBS [CANCEL|PAUSE|RESUME id]",
                complexity: "O(jobs)",
                example: ("JOBS", "1) 1) id 2) 1 3) kind 4) RESHARD … state …")
            ),
            CommandSpec(
                .reshard,
                arity: 2,
                [.admin, .write, .dangerous],
                group: "operations",
                "Rebuilds the indexes with another number of partitions, in the background.",
                syntax: "RESHARD n",
                complexity: "O(documents), in the background",
                example: ("RESHARD 4", "1")
            ),
            CommandSpec(
                .compact,
                arity: 1,
                [.admin, .write, .dangerous],
                group: "operations",
                "Trims the log so that the file's pages are used again, in the background.",
                syntax: "COMPACT",
                complexity: "O(log), in the background",
                example: ("COMPACT", "1")
            ),
            CommandSpec(
                .snapshot,
                arity: -2,
                [.admin, .write, .dangerous],
                group: "operations",
                "Takes, lists, checks, drops and restores snapshots of all collections.",
                syntax: "SNAPSHOT <subcommand>",
                complexity: "O(data), in the background",
                options: [
                    .init(
                        "CREATE [name]",
                        """
                        take one of all collections, under a name made of the time where none is \
                        given; answers the number of a job, as VERIFY, DROP and RESTORE do
                        """),
                    .init(
                        "LIST",
                        """
                        newest first, for each: name; version, the newest that it holds; created; \
                        bytes of the file; documents, yes if it holds the log and can stand alone, \
                        no if only indexes for the next start; state: ok, damaged, \
                        not a snapshot, unreadable, of a later format
                        """),
                    .init("VERIFY name", "read every byte and compare all checksums"),
                    .init("DROP name", "remove it"),
                    .init(
                        "RESTORE name",
                        """
                        bring all its collections and aliases back in place of those that there \
                        are; writes are READONLY until the job has ended, open cursors are gone
                        """),
                    .init(
                        "AT version|time",
                        """
                        RESTORE as of a moment: a version, 2026-11-21T20:00:00Z, or milliseconds \
                        since 1970 (a number from 100,000,000,000 on, or any with ms behind it); \
                        GAP where its log does not go so far back, also across an earlier RESTORE \
                        or DROP
                        """),
                    .init("AS c2", "RESTORE one collection beside all others, under this name"),
                    .init("ONLY c", "which one; may be left out where the snapshot has but one"),
                ],
                subcommands: [
                    "CREATE [name] [INCREMENTAL]", "LIST", "VERIFY name", "DROP name",
                    "RESTORE name [AT version|time] [AS c2 [ONLY c]]",
                ],
                example: ("SNAPSHOT CREATE before-sale", "1")
            ),
        ]
    }
}

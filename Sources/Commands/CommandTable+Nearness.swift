extension CommandTable {
    private static let nearness: [CommandSpec.Option] = [
        .init("FIELD name", "the vector field, where a collection has several"),
        .init("K n", "hits at most; 10 by default"),
        .init("MIN s", "only hits with at least this score"),
        .init("WHERE f", "only documents that match; K hits whenever K match"),
        .init("NOT id,id", "never these"),
        .init("EF n", "how many candidates the search keeps: more find more, and take longer"),
        .init("EXACT", "compare every match"),
        .init("DIVERSE 0.3", "0 to 1: how much being like earlier hits counts against a hit"),
        .init("FIELDS a,b.c | -a,-b", "only these fields, or all but these"),
        .init("META", "with each hit's version"),
        .init("TIMEOUT 50ms", "stop after this long with TIMEOUT; 5s by default"),
        .init("PARTIAL", "answer with what was found when the time is over"),
        .init("PARAMS {json}", "values for $name in the filter"),
        .init("BLOB name bytes", "a binary value for $name, such as a vector"),
    ]

    /// Lookups by nearness of vectors.
    static var nearnessCommands: [CommandSpec] {
        [
            CommandSpec(
                .similar,
                arity: -4,
                [.read],
                .first,
                group: "lookups",
                "Finds the documents whose vectors are nearest to a document's or a given one, "
                    + "best score first.",
                syntax: "SIMILAR c ID x | VEC v [FIELD name] [K n] [MIN s] [WHERE f] [NOT id,id] "
                    + "[EF n | EXACT] [DIVERSE 0.3] [FIELDS ..]",
                complexity: "O(EF × log(documents)) comparisons; O(matches) with EXACT",
                options: [
                    .init("ID x", "near to this document, which is no hit itself"),
                    .init("VEC v", "near to this vector: f32 bytes, base64, a JSON array, $name"),
                ] + nearness,
                example: (
                    "SIMILAR teas ID 1 K 1 FIELDS _id",
                    "1) total 2) 3 3) exact 4) 1 5) hits 6) 1) 1) id 2) 2 3) score "
                        + "4) 0.99… 5) doc 6) {} 7) version 8) 9 9) took_us 10) 41"
                )
            ),
            CommandSpec(
                .recommend,
                arity: -4,
                [.read],
                .firstAndFrom,
                group: "lookups",
                "Finds documents near to what somebody liked, given as ids or read from another "
                    + "collection; what was liked is no hit.",
                syntax: "RECOMMEND c LIKE id,id [UNLIKE id,id] | FROM c2 f PATH items.product_id "
                    + "[SIMILAR's options]",
                complexity: "O(SIMILAR), plus the documents read with FROM",
                options: [
                    .init("LIKE id,id", "documents that were liked"),
                    .init("UNLIKE id,id", "documents to keep away from"),
                    .init("FROM c2 f", "documents of c2 that say what was liked"),
                    .init("PATH p", "where they hold the ids"),
                ] + nearness,
                example: (
                    "RECOMMEND teas LIKE 1 K 1 FIELDS _id",
                    "1) total 2) 3 3) exact 4) 1 5) hits 6) 1) 1) id 2) 2 3) score 4) 0.99… "
                        + "5) doc 6) {} 7) based_on 8) 1) 1 …"
                )
            ),
            CommandSpec(
                .recall,
                arity: -3,
                [.read],
                .first,
                group: "operations",
                "Measures how many of the true neighbours lookups find, on recent ones, by the "
                    + "share of documents that their filters let through.",
                syntax: "RECALL c field [SAMPLE n]",
                complexity: "O(n × documents), in slices",
                options: [
                    .init("SAMPLE n", "lookups to repeat; 100 by default"),
                    .init("TIMEOUT 5s", "stop after this long; 60s by default"),
                ],
                example: (
                    "RECALL teas taste SAMPLE 10",
                    "1) recall 2) 1 3) lookups 4) 3 5) recent 6) 0 7) sampled 8) 3 "
                        + "9) bands 10) 1) 1) band 2) all 3) lookups 4) 3 …"
                )
            ),
        ]
    }
}

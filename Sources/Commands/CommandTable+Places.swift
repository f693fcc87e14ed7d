extension CommandTable {
    private static let lookup: [CommandSpec.Option] = [
        .init("WHERE f", "only documents that match"),
        .init("LIMIT n", "hits at most; 10 by default"),
        .init("FIELDS a,b.c | -a,-b", "only these fields, or all but these"),
        .init("FIELD name", "the field of places, where a collection has several"),
        .init("AFTER cursor", "the page behind the one that gave this cursor"),
        .init("META", "with each hit's version"),
        .init("TIMEOUT 50ms", "stop after this long with TIMEOUT; 5s by default"),
        .init("PARTIAL", "answer with what was found when the time is over"),
        .init("PARAMS {json}", "values for $name in the filter"),
        .init("BLOB name bytes", "a binary value for $name"),
    ]

    /// Lookups by place.
    static var placeCommands: [CommandSpec] {
        [
            CommandSpec(
                .nearby,
                arity: -4,
                [.read],
                .first,
                group: "lookups",
                "Finds the documents whose places are nearest to a place, nearest first.",
                syntax: "NEARBY c lon lat [RADIUS 25km] [WHERE f] [LIMIT n] [AFTER cursor] "
                    + "[FIELDS ..]",
                complexity: "O(log(documents) + LIMIT), and the matches within RADIUS counted",
                options: [
                    .init("RADIUS 25km", "only this far, in m, km or mi; total counts them all")
                ] + lookup,
                example: (
                    "NEARBY cafes -122.33 47.61 RADIUS 5km LIMIT 1 FIELDS _id",
                    "1) total 2) 2 3) exact 4) 1 5) hits 6) 1) 1) id 2) 2 3) distance_m "
                        + "4) 240.8… 5) doc 6) {} 7) cursor 8) … 9) version 10) 9 "
                        + "11) took_us 12) 41"
                )
            )
        ]
    }
}

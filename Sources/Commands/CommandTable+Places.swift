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

    private static let region: [CommandSpec.Option] =
        lookup + [
            .init("SORT price:-1,name:1", "the order of the hits; ties by id"),
            .init("SKIP n", "leave out this many hits"),
            .init("FACET a,b:20", "counts by value of these fields over all matches"),
            .init("STATS a,b [BY c]", "count, min, max, sum and avg over all matches"),
            .init("DISTINCT a", "the different values of a field"),
        ]

    /// Lookups by place.
    static var placeCommands: [CommandSpec] {
        [
            CommandSpec(
                .nearby,
                arity: -4,
                [.read],
                .firstAndIn,
                group: "lookups",
                "Finds the documents whose places are nearest to a place, nearest first.",
                syntax: "NEARBY c lon lat [RADIUS 25km] [WHERE f] [OPEN now|time] "
                    + "[STOCK sku qty IN c2] [LIMIT n] [AFTER cursor] [FIELDS ..]",
                complexity: "O(log(documents) + LIMIT), and the matches within RADIUS counted",
                options: [
                    .init("RADIUS 25km", "only this far, in m, km or mi; total counts them all"),
                    .init("OPEN now|time", "only what is open at a moment, by its field of hours"),
                    .init("HOURS name", "the field of hours, where a collection has several"),
                    .init("STOCK sku qty IN c2", "only what has so much of it, as c2 says"),
                ] + lookup,
                example: (
                    "NEARBY cafes -122.33 47.61 RADIUS 5km LIMIT 1 FIELDS _id",
                    "1) total 2) 2 3) exact 4) 1 5) hits 6) 1) 1) id 2) 2 3) distance_m "
                        + "4) 239.… 5) doc 6) {} 7) cursor 8) … 9) version 10) 9 "
                        + "11) took_us 12) 41"
                )
            ),
            CommandSpec(
                .within,
                arity: -3,
                [.read],
                .first,
                group: "lookups",
                "Finds the documents whose places lie in a polygon, a box or a circle; of shapes "
                    + "those that have a place in common with it.",
                syntax: "WITHIN c {geojson} | BOX w s e n | CIRCLE lon lat 5km [WHERE f] "
                    + "[SORT ..] [LIMIT n] [FIELDS ..]",
                complexity: "O(log(documents) + places near the border + matches)",
                options: region,
                example: (
                    "WITHIN cafes CIRCLE -122.33 47.61 1km FIELDS _id",
                    "1) total 2) 1 3) exact 4) 1 5) hits 6) 1) 1) id 2) 2 3) doc 4) {} "
                        + "7) version 8) 9 9) took_us 10) 41"
                )
            ),
            CommandSpec(
                .cover,
                arity: -4,
                [.read],
                .first,
                group: "lookups",
                "Finds the documents whose zones hold a place: shapes, or points with a radius.",
                syntax: "COVER c lon lat [WHERE f] [SORT ..] [LIMIT n] [FIELDS ..]",
                complexity: "O(log(documents) + zones near the place)",
                options: region,
                example: (
                    "COVER cafes -122.33 47.61 FIELDS _id",
                    "1) total 2) 1 3) exact 4) 1 5) hits 6) 1) 1) id 2) 2 3) doc 4) {} "
                        + "7) version 8) 9 9) took_us 10) 41"
                )
            ),
            CommandSpec(
                .delivers,
                arity: -5,
                [.read, .fast],
                .first,
                group: "lookups",
                "Says whether a document's own zone holds a place, how far it is, and if not why.",
                syntax: "DELIVERS c id lon lat [FIELD name] [META]",
                complexity: "O(1), O(vertices) for a shape",
                options: [
                    .init("FIELD name", "the field of zones, where a collection has several"),
                    .init("META", "with the document's version"),
                    .init("TIMEOUT 50ms", "answer TIMEOUT where it took longer; 5s by default"),
                    .init("PARTIAL", "as for every lookup; one document has no part of an answer"),
                    .init("PARAMS {json}", "values for $name in place of a number"),
                    .init("BLOB name bytes", "a binary value for $name"),
                ],
                example: (
                    "DELIVERS cafes 1 -122.33 47.61",
                    "1) can_deliver 2) 0 3) distance_m 4) 2223.9… 5) radius_m 6) 2000 7) reason "
                        + "8) too far: 2.224 km, it delivers within 2 km"
                )
            ),
        ]
    }
}

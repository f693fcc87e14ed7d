package import Client

/// What `aisle load` is told.
package struct LoadOptions: Sendable {
    /// How the input is written.
    package enum Format: String, Sendable, CaseIterable {
        case jsonl, csv
    }

    /// A field's vectors.
    package struct Vectors: Sendable, Equatable {
        /// The vector field's name.
        package var field: String
        /// The `.npy` file.
        package var path: String
        /// Names the file's rows, one id on each line; nil when rows go with the input's rows.
        package var idsPath: String?

        package init(field: String, path: String, idsPath: String? = nil) {
            self.field = field
            self.path = path
            self.idsPath = idsPath
        }
    }

    package var collection: String
    /// A file's path, or `-` for standard input.
    package var input: String
    /// A schema file: the collection is made with it when there is none.
    package var schemaPath: String?
    /// The field that holds the id; nil means `id`, or else `_id`, which is then taken out.
    package var idField: String?
    package var vectors: [Vectors] = []
    /// Nil means: told from the name, JSON Lines otherwise.
    package var format: Format?
    /// The time zone of opening hours that come as text and whose row names none.
    package var timezone: String?
    /// Requests under way on each connection.
    package var batch = 1_000
    package var connections = 4
    /// Begin after the last row that an earlier, interrupted load had acknowledged.
    package var resume = false
    package var client = ClientConfiguration()
    /// How long a server that went away is waited for.
    package var reconnectTimeout: Duration = .seconds(60)

    package init(collection: String, input: String) {
        self.collection = collection
        self.input = input
    }

    /// The format given, or told from the file's name.
    package var effectiveFormat: Format {
        if let format { return format }
        var name = input.lowercased()
        for suffix in [".gz", ".zst", ".zstd"] where name.hasSuffix(suffix) {
            name.removeLast(suffix.count)
        }
        return name.hasSuffix(".csv") ? .csv : .jsonl
    }

    /// Where rejected rows go.
    package var rejectsPath: String {
        input == "-" ? "stdin.rejects.jsonl" : input + ".rejects.jsonl"
    }

    /// Where the place to resume from is kept; nil for standard input, which has none.
    package var statePath: String? { input == "-" ? nil : input + ".aisle-resume" }
}

/// What a load did.
package struct LoadSummary: Sendable, Equatable {
    /// Rows read, those skipped by a resume not counted.
    package var rowCount = 0
    /// Rows that the server acknowledged.
    package var loadedCount = 0
    /// Rows that are in the rejects file.
    package var rejectedCount = 0
    /// Rows before the place of resumption.
    package var skippedCount = 0
    /// Rows sent again because the server was busy.
    package var retriedCount = 0
    /// Bytes of documents acknowledged.
    package var documentByteCount = 0
    /// What became of texts in fields of type `hours`; nil where the collection has no such field.
    package var hours: HoursConverter.Counts?
    /// Wall-clock time.
    package var elapsed: Duration = .zero

    package init() {}

    /// Rows acknowledged per second.
    package var rate: Double {
        let seconds = elapsed.seconds
        return seconds > 0 ? Double(loadedCount) / seconds : 0
    }
}

extension Duration {
    /// Seconds with their fraction.
    package var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}

/// A JSON value as a tree of plain values: for filters, updates, schemas and replies.
///
/// Documents on the hot path are never made into trees: see the tape. Objects keep the order of
/// their keys; numbers keep their source text.
package enum JSON: Sendable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSON])
    case object(JSONObject)
}

/// The members of a JSON object in their order. Keys are unique.
package struct JSONObject: Sendable {
    package var members: [(key: String, value: JSON)]

    package init(_ members: [(key: String, value: JSON)] = []) { self.members = members }
}

/// A JSON number: its source text, read on demand as Int64, Double or exact decimal.
package struct JSONNumber: Sendable {
    /// Matches the JSON grammar of numbers.
    package let text: String

    package init(validText text: String) { self.text = text }
}

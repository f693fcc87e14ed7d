package import Documents
import Primitives
import Schema

/// Answers `$pull`: whether an array's element meets a condition.
///
/// A condition of operators is asked of the element itself; an object is a filter for elements that
/// are objects; anything else is compared. One per thread: it keeps a parser and the last
/// condition.
package final class PullMatching {
    private let parser = JSONParser()
    private var condition: JSON?
    private var compiled: CompiledFilter?

    /// An empty matcher.
    package init() {}

    /// Checks a condition before a write is accepted. Throws ``QueryError`` as filters do.
    package static func validate(_ condition: JSON) throws(QueryError) {
        _ = try compile(condition)
    }

    /// Whether `element` meets `condition`. A condition that is no filter meets nothing.
    ///
    /// Complexity: O(element), and O(condition) when it differs from the last one.
    package func matches(_ condition: JSON, _ element: JSON) -> Bool {
        guard case .object = condition else { return condition == element }
        if self.condition != condition {
            self.condition = condition
            compiled = try? PullMatching.compile(condition)
        }
        guard let compiled,
            let root = try? parser.parse(
                JSON.object(JSONObject([(key: "e", value: .array([element]))])).text,
                depthMax: 256
            )
        else { return false }
        return compiled.matches(root, id: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    private static func compile(_ condition: JSON) throws(QueryError) -> CompiledFilter {
        let asked = JSON.object(JSONObject([(key: "$elemMatch", value: condition)]))
        guard case .object = condition else { return try compiled(.all) }
        return try compiled(
            try Filter(parsing: .object(JSONObject([(key: "e", value: asked)])))
        )
    }

    private static func compiled(_ filter: Filter) throws(QueryError) -> CompiledFilter {
        try CompiledFilter(filter, schema: .empty, nowMilliseconds: 0)
    }
}

import Documents
import Engine
import Primitives
import RESP

/// The engine's values as replies.
extension ReplyWriter {
    mutating func error(_ error: EngineError) { self.error(error.line) }

    mutating func version(_ version: Version) { integer(Int64(version.rawValue)) }

    mutating func value(_ value: FacetValue) {
        switch value {
        case .int(let int): integer(int)
        case .decimal(let key, let scale): bulk(ScaledDecimal.format(key, scale: scale))
        case .double(let value): double(value)
        case .bool(let value): bool(value)
        case .string(let bytes): bulk(bytes)
        case .null: null()
        case .datetime(let milliseconds): bulk(DateTime.format(milliseconds))
        }
    }

    mutating func sum(_ sum: StatsSum) {
        switch sum {
        case .none: null()
        case .text(let text): bulk(text)
        case .double(let value): double(value)
        case .int(let value): integer(value)
        }
    }

    mutating func figures(_ figures: StatsFigures) {
        let parts = 1 + (figures.count > 0 ? 4 : 0)
        map(parts)
        bulk("count")
        integer(figures.count)
        guard figures.count > 0 else { return }
        bulk("min")
        value(figures.min ?? .null)
        bulk("max")
        value(figures.max ?? .null)
        bulk("sum")
        sum(figures.sum)
        bulk("avg")
        sum(figures.average)
    }

    /// A JSON value in the protocol's own types.
    mutating func json(_ json: JSON) {
        switch json {
        case .null: null()
        case .bool(let value): bool(value)
        case .number(let number):
            if let int = number.int64 { integer(int) } else { bulk(number.text) }
        case .string(let text): bulk(text)
        case .array(let items):
            array(items.count)
            for item in items { self.json(item) }
        case .object(let object):
            map(object.members.count)
            for member in object.members {
                bulk(member.key)
                self.json(member.value)
            }
        }
    }
}

import Documents

/// Reads values of the scalar types: from JSON on the tape to a column's key.
enum ScalarReader {
    /// The key of a value of a numeric type, nil when the value has another type or does not fit.
    @inline(__always)
    static func key(of value: TapeValue, type: FieldType) -> Int64? {
        switch type {
        case .int: int(value)
        case .float: float(value)
        case .decimal(let scale): decimal(value, scale: scale)
        case .bool: value.kind == .bool ? (value.bool ? 1 : 0) : nil
        case .datetime: datetime(value)
        case .keyword, .text, .geopoint, .geoshape, .vector, .hours, .object, .json: nil
        }
    }

    /// An integer, also one written as `5.0` or `1e3`.
    @inline(__always)
    static func int(_ value: TapeValue) -> Int64? {
        if let small = value.int64 { return small }
        guard value.kind == .number else { return nil }
        return try? ScaledDecimal.parse(value.numberText, scale: 0)
    }

    /// The ordered key of a finite double.
    static func float(_ value: TapeValue) -> Int64? {
        guard value.kind == .number else { return nil }
        let double = value.double
        return double.isFinite ? OrderedKey.key(double) : nil
    }

    /// A number or a string that holds one, scaled exactly.
    @inline(__always)
    static func decimal(_ value: TapeValue, scale: Int) -> Int64? {
        switch value.kind {
        case .number: try? ScaledDecimal.parse(value.numberText, scale: scale)
        case .string: try? ScaledDecimal.parse(value.stringBytes, scale: scale)
        case .null, .bool, .array, .object: nil
        }
    }

    /// Milliseconds since 1970 from an integer, a date or an RFC 3339 time.
    @inline(__always)
    static func datetime(_ value: TapeValue) -> Int64? {
        try? DateTime.parse(value)
    }
}

import Documents

/// Reads vectors as they arrive: JSON arrays, base64 of little-endian f32, or those bytes.
enum VectorReader {
    static func read(
        _ value: TapeValue,
        options: VectorOptions
    ) throws(ValidationError) -> [Float] {
        switch value.kind {
        case .array:
            guard value.count == options.dimensions else {
                throw error("\(options.dimensions) dimensions", "\(value.count)")
            }
            var values: [Float] = []
            values.reserveCapacity(value.count)
            var children = value.children
            while let child = children.next() {
                guard child.value.kind == .number else {
                    throw ValidationError(
                        path: "\(values.count)",
                        rule: "is a number",
                        value: describe(child.value)
                    )
                }
                values.append(Float(child.value.double))
            }
            return try checked(values, options)
        case .string:
            guard let bytes = Base64.decode(value.stringBytes) else {
                throw error("is base64 of little-endian f32", describe(value))
            }
            let result = bytes.withUnsafeBytes { buffer in
                Result { () throws(ValidationError) in
                    try read(littleEndian: buffer, options: options)
                }
            }
            return try result.get()
        case .null, .bool, .number, .object:
            throw error("type vector", describe(value))
        }
    }

    static func read(
        littleEndian bytes: UnsafeRawBufferPointer,
        options: VectorOptions
    ) throws(ValidationError) -> [Float] {
        guard bytes.count == options.dimensions * 4 else {
            throw error("\(options.dimensions) dimensions", "\(bytes.count) bytes")
        }
        let values = (0..<options.dimensions).map { index in
            let bits = bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)
            return Float(bitPattern: UInt32(littleEndian: bits))
        }
        return try checked(values, options)
    }

    /// Checks components: as many as the field has dimensions, and what its metric and its index
    /// can take.
    static func check(_ values: [Float], _ options: VectorOptions) throws(ValidationError) {
        guard values.count == options.dimensions else {
            throw error("\(options.dimensions) dimensions", "\(values.count)")
        }
        _ = try checked(values, options)
    }

    private static func checked(
        _ values: [Float],
        _ options: VectorOptions
    ) throws(ValidationError) -> [Float] {
        if let index = values.firstIndex(where: { !$0.isFinite }) {
            throw ValidationError(
                path: "\(index)",
                rule: "is a finite number",
                value: "\(values[index])"
            )
        }
        guard options.metric != .cosine else {
            if values.allSatisfy({ $0 == 0 }) {
                throw error("is not the zero vector under cosine", "")
            }
            return values
        }
        let bound = options.magnitudeMax
        if let index = values.firstIndex(where: { abs($0) > bound }) {
            throw ValidationError(
                path: "\(index)",
                rule: "is at most \(bound) in magnitude",
                value: "\(values[index])"
            )
        }
        return values
    }

    private static func error(_ rule: String, _ value: String) -> ValidationError {
        ValidationError(path: "", rule: rule, value: value)
    }
}

/// RFC 4648 base64, padding optional, no line breaks.
enum Base64 {
    static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        var end = text.count
        while end > 0 && text.count - end < 2 && text[end - 1] == UInt8(ascii: "=") { end -= 1 }
        guard end % 4 != 1 else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(end / 4 * 3 + 2)
        var bits: UInt32 = 0
        var bitCount = 0
        for index in 0..<end {
            guard let digit = value(of: text[index]) else { return nil }
            bits = bits << 6 | digit
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                out.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
            }
        }
        return out
    }

    private static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character) + 4
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
    }
}

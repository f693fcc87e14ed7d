extension FieldEntry {
    /// The UTF-8 of a `.string` entry within its document's two buffers.
    package func stringBytes(
        bytes: UnsafeRawBufferPointer,
        strings: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer {
        precondition(kind == .string, "an entry that holds a string")
        let source = payload & FieldEntry.inStrings != 0 ? strings : bytes
        let start = Int(payload & ~FieldEntry.inStrings)
        return UnsafeRawBufferPointer(rebasing: source[start..<start + Int(length)])
    }
}

extension Schema {
    /// Whether any declared field holds vectors.
    package var hasVectorFields: Bool {
        fields.contains { if case .vector = $0.type { true } else { false } }
    }
}

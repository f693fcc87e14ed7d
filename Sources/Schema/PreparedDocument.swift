package import Documents
package import GeoIndex
package import GeoJSON

/// One value of one field, ready for its column: 16 bytes, no references.
package struct FieldEntry: Sendable, Equatable {
    /// What the payload holds.
    package enum Kind: UInt8, Sendable {
        case null, emptyArray
        /// Int64 bits: ints, bools as 0 and 1, decimals scaled, datetimes in milliseconds.
        case int
        /// The bits of a finite Double.
        case double
        /// An offset and, in `length`, a byte count: see ``PreparedDocument/withString(_:_:)``.
        case string
    }

    package let field: FieldNumber
    package let kind: Kind
    package let length: UInt32
    package let payload: UInt64

    /// Set in the payload of a string that lies in `strings` and not in `bytes`.
    static let inStrings: UInt64 = 1 << 63

    init(field: FieldNumber, kind: Kind, length: UInt32 = 0, payload: UInt64 = 0) {
        self.field = field
        self.kind = kind
        self.length = length
        self.payload = payload
    }

    /// The order-preserving key of an `.int` or `.double` entry; 0 for the others.
    @inlinable package var key: Int64 {
        switch kind {
        case .int: Int64(bitPattern: payload)
        case .double: OrderedKey.key(Double(bitPattern: payload))
        case .null, .emptyArray, .string: 0
        }
    }
}

/// A document that passed its schema: what is stored, and what the indexes take from it.
package struct PreparedDocument: Sendable {
    /// A place of one field.
    package struct PlaceValue: Sendable {
        /// What kind of place.
        package enum Place: Sendable {
            /// Of a geopoint.
            case point(LatLng)
            /// Of a 2d field.
            case flat(FlatPoint)
            /// Of a geoshape.
            case shape(Geometry)
        }

        package let field: FieldNumber
        package let place: Place
        /// The radius of the zone around a point; nil where the field or the document has none.
        package internal(set) var radiusMeters: Double?
    }

    /// Opening hours of one field.
    package struct HoursValue: Sendable, Equatable {
        package let field: FieldNumber
        package let hours: OpeningHours
    }

    /// Minified JSON without vectors, with defaults and stamps.
    package var bytes: [UInt8]
    /// Strings of entries that do not occur literally in `bytes`.
    package var strings: [UInt8] = []
    /// One entry per value of each field for which ``Field/hasEntries`` holds. Absent fields have
    /// none; an array gives one per element; all entries of a field are consecutive.
    package var entries: [FieldEntry] = []
    /// Vectors taken out of the document; after an extraction, those that stand in its text.
    package var vectors: [VectorValue] = []
    /// Vectors that stay in the text, because their field is being declared: they are indexed only.
    package var vectorsInText: [VectorValue] = []
    /// Places of each field for which ``Field/hasPlaceIndex`` holds, in the order of the text.
    package var places: [PlaceValue] = []
    /// Opening hours of each field for which ``Field/hasHours`` holds.
    package var hours: [HoursValue] = []
    /// `created` stamps that were written as of now.
    var createdStamps: [CreatedStamp] = []
    /// An entry was left out because its value has another type. Only after an extraction.
    package var hasMismatch = false

    /// A vector of one field.
    package struct VectorValue: Sendable, Equatable {
        package let field: FieldNumber
        package let values: [Float]

        /// `values` for the field with this number.
        package init(field: FieldNumber, values: [Float]) {
            self.field = field
            self.values = values
        }
    }

    struct CreatedStamp: Sendable {
        let field: FieldNumber
        /// Where the 24 characters of the time lie in `bytes`.
        var offset: Int
    }

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// Whether a replacement must take over the old document's `created` stamps.
    package var needsCreatedStamp: Bool { !createdStamps.isEmpty }

    /// The fields that hold such a stamp.
    package var createdStampFields: [FieldNumber] { createdStamps.map(\.field) }

    /// Runs `body` with the UTF-8 of a `.string` entry, with nothing for the others.
    package func withString<R>(_ entry: FieldEntry, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        guard entry.kind == .string else {
            return body(UnsafeRawBufferPointer(start: nil, count: 0))
        }
        let source = entry.payload & FieldEntry.inStrings != 0 ? strings : bytes
        let start = Int(entry.payload & ~FieldEntry.inStrings)
        return source.withUnsafeBytes { all in
            body(UnsafeRawBufferPointer(rebasing: all[start..<start + Int(entry.length)]))
        }
    }

    /// Overwrites a `created` stamp, in the bytes and in its entry, with an older moment.
    ///
    /// Used by the writer when the document turns out to replace another. Does nothing for a field
    /// without such a stamp. Complexity: O(entries).
    package mutating func setCreated(_ field: FieldNumber, milliseconds: Int64) {
        guard let stamp = createdStamps.first(where: { $0.field == field }) else { return }
        let text = StampText.bytes(milliseconds)
        precondition(text.count == StampText.count, "stamps have one length")
        for (index, byte) in text.enumerated() { bytes[stamp.offset + index] = byte }
        if let place = entries.firstIndex(where: { $0.field == field }) {
            entries[place] = FieldEntry(
                field: field,
                kind: .int,
                payload: UInt64(bitPattern: milliseconds)
            )
        }
    }
}

import Documents
import Primitives

/// What happens to members of a document that the schema does not declare.
package enum UnknownFields: String, Sendable {
    /// Stored, not indexed.
    case keep
    /// Left out of the stored document.
    case drop
    /// The write is refused.
    case refuse
}

/// A collection's declared fields and rules: an immutable value, shared by all threads.
///
/// Read from JSON by ``init(parsing:limits:)``, changed by ``SchemaChange``. Every declared field
/// has a stable number; numbers of dropped fields are never given again.
package struct Schema: Sendable {
    /// Top-level definitions in their order.
    package let definitions: [FieldDefinition]
    /// All fields, also those inside objects, parents before children.
    package let fields: [Field]
    package let unknown: UnknownFields
    /// Compound indexes: name and parts in their order.
    package let compounds: [CompoundIndex]
    /// The names that make this collection a stock list of stores.
    package let stockOf: StockNames?
    /// The number that the next new field gets.
    package let nextFieldNumber: FieldNumber
    /// Whether documents are to be read through ``DocumentPreparer/filled(_:schema:parser:)``.
    package let fillsReads: Bool
    let plan: SchemaPlan
    private let indexByPath: [String: Int]
    private let indexByNumber: [FieldNumber: Int]

    /// An index over several fields in order.
    package struct CompoundIndex: Sendable, Equatable {
        package let name: String
        package let parts: [Part]

        /// One field of it.
        package struct Part: Sendable, Equatable {
            package let path: String
            package let isDescending: Bool
        }
    }

    /// Which fields hold store, article and quantity.
    package struct StockNames: Sendable, Equatable {
        package let store: String
        package let sku: String
        package let quantity: String
    }

    /// A collection that declares nothing and keeps everything.
    package static let empty = Schema(
        definitions: [],
        unknown: .keep,
        compounds: [],
        stockOf: nil,
        nextFieldNumber: 0
    )

    init(
        definitions: [FieldDefinition],
        unknown: UnknownFields,
        compounds: [CompoundIndex],
        stockOf: StockNames?,
        nextFieldNumber: FieldNumber
    ) {
        self.definitions = definitions
        self.unknown = unknown
        self.compounds = compounds
        self.stockOf = stockOf
        self.nextFieldNumber = nextFieldNumber
        var fields: [Field] = []
        Schema.flatten(
            definitions,
            prefix: "",
            isMultiValued: false,
            isInsideArray: false,
            into: &fields
        )
        self.fields = fields
        fillsReads = fields.contains { $0.definition.fillsReads }
        var byPath: [String: Int] = [:]
        var byNumber: [FieldNumber: Int] = [:]
        for (index, field) in fields.enumerated() {
            byPath[field.path] = index
            byNumber[field.number] = index
        }
        indexByPath = byPath
        indexByNumber = byNumber
        plan = SchemaPlan(definitions: definitions, fields: fields, unknown: unknown)
    }

    private static func flatten(
        _ definitions: [FieldDefinition],
        prefix: String,
        isMultiValued: Bool,
        isInsideArray: Bool,
        into fields: inout [Field]
    ) {
        for definition in definitions {
            let path = prefix + definition.name
            let many = isMultiValued || definition.isArray
            fields.append(
                Field(
                    path: path,
                    definition: definition,
                    isMultiValued: many,
                    isInsideArray: isInsideArray
                )
            )
            flatten(
                definition.children,
                prefix: path + ".",
                isMultiValued: many,
                isInsideArray: isInsideArray || definition.isArray,
                into: &fields
            )
        }
    }

    /// The same schema, in which just these fields fill reads with their defaults.
    func filling(_ numbers: Set<FieldNumber>) -> Schema {
        func marked(_ definitions: [FieldDefinition]) -> [FieldDefinition] {
            definitions.map { definition in
                var copy = definition
                copy.fillsReads = numbers.contains(definition.number)
                copy.children = marked(definition.children)
                return copy
            }
        }
        return Schema(
            definitions: marked(definitions),
            unknown: unknown,
            compounds: compounds,
            stockOf: stockOf,
            nextFieldNumber: nextFieldNumber
        )
    }

    /// The field declared at a dotted path. Complexity: O(1).
    package func field(at path: String) -> Field? {
        indexByPath[path].map { fields[$0] }
    }

    /// The field with this number. Complexity: O(1).
    package func field(numbered number: FieldNumber) -> Field? {
        indexByNumber[number].map { fields[$0] }
    }

    /// Whether `name` may be declared: `[A-Za-z_][A-Za-z0-9_-]{0,63}`. Also the rule of
    /// collections.
    package static func isValidName(_ name: String) -> Bool {
        let bytes = name.utf8
        guard let first = bytes.first, bytes.count <= 64 else { return false }
        func isLetter(_ c: UInt8) -> Bool { (c | 32) >= 97 && (c | 32) <= 122 || c == 95 }
        return isLetter(first)
            && bytes.allSatisfy { isLetter($0) || ($0 >= 48 && $0 <= 57) || $0 == 45 }
    }
}

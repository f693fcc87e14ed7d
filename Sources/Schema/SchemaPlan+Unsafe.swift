import Glibc

/// The schema as the document walk reads it: fixed-size records without references.
///
/// ```
/// nodes   [ root | top-level fields | fields of the first object | … ]   children are contiguous
/// names   the fields' names, one after the other
/// table   per object an open-addressed hash of its children: child index + 1, 0 is free
/// ```
/// Immutable once built.
// SAFETY: pointers and defaults are written only in init, so threads may share it.
final class SchemaPlan: @unchecked Sendable {
    let nodes: UnsafeMutablePointer<PlanNode>
    let nodeCount: Int
    private let names: UnsafeMutablePointer<UInt8>
    private let table: UnsafeMutablePointer<UInt16>
    /// Definitions by node index (the root has none), for rules that are not in the record.
    let definitions: [FieldDefinition?]
    /// Defaults by node index; empty where there is none. Set once, at the end of init.
    private(set) var defaults: [DefaultValue] = []
    /// Where documents have the radii of zones around their points.
    let radii: [RadiusPath]

    init(definitions: [FieldDefinition], fields: [Field], unknown: UnknownFields) {
        var builder = PlanBuilder(unknown: unknown)
        builder.hasEntries = Set(fields.filter(\.hasEntries).map(\.number))
        builder.isTaken = Set(fields.filter { $0.hasPlaceIndex || $0.hasHours }.map(\.number))
        builder.build(definitions)
        nodeCount = builder.nodes.count
        nodes = .allocate(capacity: max(1, builder.nodes.count))
        nodes.initialize(from: builder.nodes, count: builder.nodes.count)
        names = .allocate(capacity: max(1, builder.names.count))
        names.initialize(from: builder.names, count: builder.names.count)
        table = .allocate(capacity: max(1, builder.table.count))
        table.initialize(from: builder.table, count: builder.table.count)
        self.definitions = builder.definitions
        radii = fields.compactMap { field in
            guard field.hasPlaceIndex, let path = field.definition.place.radiusPath else {
                return nil
            }
            let fallback = fields.first { $0.path == path }?.definition.defaultValue
            return RadiusPath(field: field.number, path: path, fallback: fallback)
        }
        if builder.definitions.contains(where: { $0?.defaultValue != nil }) {
            defaults = makeDefaults()
        }
    }

    deinit {
        nodes.deallocate()
        names.deallocate()
        table.deallocate()
    }

    /// The child of `parent` that has this name, nil if none is declared. Complexity: O(name).
    @inline(__always)
    func child(of parent: Int, named key: UnsafeRawBufferPointer, guess: Int) -> Int? {
        let node = nodes[parent]
        let first = Int(node.firstChild)
        // Documents of one collection mostly have their members in one order.
        if guess < Int(node.childCount), isName(of: first + guess, key) { return first + guess }
        guard node.childCount > 0 else { return nil }
        let mask = Int(node.tableMask)
        var place = Int(PlanBuilder.hash(key)) & mask
        while true {
            let entry = table[Int(node.tableStart) + place]
            if entry == 0 { return nil }
            let candidate = first + Int(entry) - 1
            if isName(of: candidate, key) { return candidate }
            place = (place + 1) & mask
        }
    }

    @inline(__always)
    private func isName(of index: Int, _ key: UnsafeRawBufferPointer) -> Bool {
        let count = Int(nodes[index].nameLength)
        guard count == key.count, let base = key.baseAddress else { return false }
        return memcmp(base, names + Int(nodes[index].nameStart), count) == 0
    }

    /// The name of a field as bytes.
    func name(of index: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(
            start: names + Int(nodes[index].nameStart),
            count: Int(nodes[index].nameLength)
        )
    }
}

/// One field, or the root, of a plan.
struct PlanNode {
    var nameStart: UInt32 = 0
    var firstChild: UInt32 = 0
    var tableStart: UInt32 = 0
    var tableMask: UInt32 = 0
    var childCount: UInt16 = 0
    var number: UInt16 = 0
    var flags: Flags = []
    var nameLength: UInt8 = 0
    var kind: PlanKind = .object
    var scale: UInt8 = 0
    /// The place of this field in its object's set of members that must be there or be added;
    /// 255 for a field that may be missing.
    var checkOrdinal: UInt8 = 255
    /// How many children have such a place.
    var checkCount: UInt16 = 0
    /// Keys of the bounds.
    var minimum = Int64.min
    var maximum = Int64.max

    struct Flags: OptionSet {
        let rawValue: UInt16
        static let array = Flags(rawValue: 1)
        static let required = Flags(rawValue: 2)
        static let entries = Flags(rawValue: 4)
        static let bounded = Flags(rawValue: 8)
        static let allowed = Flags(rawValue: 16)
        static let createdStamp = Flags(rawValue: 32)
        static let updatedStamp = Flags(rawValue: 64)
        static let hasDefault = Flags(rawValue: 128)
        static let dropUnknown = Flags(rawValue: 256)
        static let refuseUnknown = Flags(rawValue: 512)
        static let fillsReads = Flags(rawValue: 1024)
        /// Places or hours that documents hand over.
        static let taken = Flags(rawValue: 2048)
        static let flat = Flags(rawValue: 4096)
        static let stamped: Flags = [.createdStamp, .updatedStamp]
    }
}

/// A field's type without its parameters.
enum PlanKind: UInt8 {
    case string, int, float, decimal, bool, datetime, geopoint, geoshape, vector, hours, object,
        json
}

/// Lays out a plan's records.
struct PlanBuilder {
    let unknown: UnknownFields
    var nodes: [PlanNode] = []
    var names: [UInt8] = []
    var table: [UInt16] = []
    var definitions: [FieldDefinition?] = []
    /// Fields with entries, and fields whose places or hours documents hand over.
    var hasEntries: Set<FieldNumber> = []
    var isTaken: Set<FieldNumber> = []

    init(unknown: UnknownFields) { self.unknown = unknown }

    mutating func build(_ top: [FieldDefinition]) {
        nodes.append(PlanNode())
        definitions.append(nil)
        fill(0, with: top)
    }

    private mutating func fill(_ parent: Int, with children: [FieldDefinition]) {
        let first = nodes.count
        var checks: UInt8 = 0
        for child in children {
            var node = record(of: child)
            node.nameStart = UInt32(names.count)
            node.nameLength = UInt8(child.name.utf8.count)
            names.append(contentsOf: child.name.utf8)
            let mustBeLookedFor = !node.flags.isDisjoint(
                with: [.required, .hasDefault, .createdStamp, .updatedStamp])
            if mustBeLookedFor && checks < 64 {
                node.checkOrdinal = checks
                checks += 1
            } else if mustBeLookedFor {
                // Beyond the set's size: looked for by name. See ``DocumentWalk``.
                node.checkOrdinal = 254
            }
            nodes.append(node)
            definitions.append(child)
        }
        nodes[parent].firstChild = UInt32(first)
        nodes[parent].childCount = UInt16(children.count)
        nodes[parent].checkCount =
            children.isEmpty
            ? 0 : nodes[first...].reduce(0) { $0 + ($1.checkOrdinal == 255 ? 0 : 1) }
        // An object that declares no members holds any.
        if parent == 0 || !children.isEmpty {
            if unknown == .drop { nodes[parent].flags.insert(.dropUnknown) }
            if unknown == .refuse { nodes[parent].flags.insert(.refuseUnknown) }
        }
        addTable(to: parent, of: children)
        for (index, child) in children.enumerated() where !child.children.isEmpty {
            fill(first + index, with: child.children)
        }
    }

    private mutating func addTable(to parent: Int, of children: [FieldDefinition]) {
        guard !children.isEmpty else { return }
        var size = 4
        while size < children.count * 2 { size *= 2 }
        var slots = [UInt16](repeating: 0, count: size)
        for (index, child) in children.enumerated() {
            var place = Array(child.name.utf8).withUnsafeBytes {
                Int(PlanBuilder.hash($0)) & (size - 1)
            }
            while slots[place] != 0 { place = (place + 1) & (size - 1) }
            slots[place] = UInt16(index + 1)
        }
        nodes[parent].tableStart = UInt32(table.count)
        nodes[parent].tableMask = UInt32(size - 1)
        table.append(contentsOf: slots)
    }

    private func record(of d: FieldDefinition) -> PlanNode {
        var node = PlanNode()
        node.number = d.number
        switch d.type {
        case .keyword, .text: node.kind = .string
        case .int: node.kind = .int
        case .float: node.kind = .float
        case .decimal(let scale): (node.kind, node.scale) = (.decimal, UInt8(scale))
        case .bool: node.kind = .bool
        case .datetime: node.kind = .datetime
        case .geopoint: node.kind = .geopoint
        case .geoshape: node.kind = .geoshape
        case .vector: node.kind = .vector
        case .hours: node.kind = .hours
        case .object: node.kind = .object
        case .json: node.kind = .json
        }
        if d.isArray { node.flags.insert(.array) }
        if d.isRequired { node.flags.insert(.required) }
        if hasEntries.contains(d.number) { node.flags.insert(.entries) }
        if isTaken.contains(d.number) { node.flags.insert(.taken) }
        if d.place.isFlat { node.flags.insert(.flat) }
        if d.stamp == .created { node.flags.insert(.createdStamp) }
        if d.stamp == .updated { node.flags.insert(.updatedStamp) }
        if d.defaultValue != nil { node.flags.insert(.hasDefault) }
        if d.fillsReads { node.flags.insert(.fillsReads) }
        if d.allowed != nil { node.flags.insert(.allowed) }
        if d.minimum != nil || d.maximum != nil {
            node.flags.insert(.bounded)
            node.minimum = d.minimum?.key ?? .min
            node.maximum = d.maximum?.key ?? .max
        }
        return node
    }

    /// A quick hash of a name: length and up to eight bytes of each end.
    @inline(__always)
    static func hash(_ key: UnsafeRawBufferPointer) -> UInt32 {
        let count = key.count
        guard count > 0 else { return 0 }
        var head: UInt64 = 0
        var tail: UInt64 = 0
        if count >= 8 {
            head = key.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
            tail = key.loadUnaligned(fromByteOffset: count - 8, as: UInt64.self)
        } else {
            for index in 0..<count { head = head << 8 | UInt64(key[index]) }
        }
        let mixed =
            (head ^ (tail &* 0x9E37_79B9_7F4A_7C15) ^ UInt64(count)) &* 0xD6E8_FEB8_6659_FD93
        return UInt32(truncatingIfNeeded: mixed >> 32)
    }
}

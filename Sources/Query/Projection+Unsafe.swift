package import Documents

/// Which members of documents a reply holds: `FIELDS a,b.c` or `FIELDS -a,-b`.
///
/// As in MongoDB, a path leads through arrays of objects; an included path drops scalars from the
/// arrays that it passes, an excluded one keeps them. `_id` is accepted and names nothing inside a
/// document.
package struct Projection: Sendable, Equatable {
    package let isExclusion: Bool
    /// The paths as given.
    package let paths: [String]
    private let root: Node

    private struct Node: Sendable, Equatable {
        var name: [UInt8] = []
        /// The path ends here.
        var isLeaf = false
        var children: [Node] = []
    }

    /// Reads a list. Throws ``QueryError``: `syntax` when inclusion and exclusion are mixed.
    package init(parsing text: String) throws(QueryError) {
        var paths: [String] = []
        var excludedCount = 0
        for name in try ListText.strings(text, option: "FIELDS") {
            let isExcluded = name.hasPrefix("-")
            if isExcluded { excludedCount += 1 }
            paths.append(
                try ListText.path(isExcluded ? String(name.dropFirst()) : name, option: "FIELDS")
            )
        }
        guard excludedCount == 0 || excludedCount == paths.count else {
            throw .syntax(option: "FIELDS", rule: "either includes or excludes")
        }
        isExclusion = excludedCount > 0
        self.paths = paths
        var root = Node()
        for path in paths where path != "_id" {
            Projection.insert(path.split(separator: ".").map { Array($0.utf8) }[...], into: &root)
        }
        self.root = root
    }

    private static func insert(_ steps: ArraySlice<[UInt8]>, into node: inout Node) {
        guard let step = steps.first else {
            node.isLeaf = true
            return
        }
        let place: Int
        if let known = node.children.firstIndex(where: { $0.name == step }) {
            place = known
        } else {
            place = node.children.count
            node.children.append(Node(name: step))
        }
        insert(steps.dropFirst(), into: &node.children[place])
    }

    /// Whether nothing of a document is wanted, because `_id` is all that is named.
    package var namesOnlyID: Bool { !isExclusion && root.children.isEmpty }

    /// Whether the list names this path itself, to be included. Vectors come only when named.
    package func names(_ path: String) -> Bool { !isExclusion && paths.contains(path) }

    /// Appends the projected document as JSON. A document that is no object comes out as it is.
    ///
    /// Complexity: O(members × names on each level); copies runs of bytes, parses nothing.
    package func apply(to document: TapeValue, into out: inout [UInt8]) {
        guard document.kind == .object else {
            out.append(contentsOf: document.rawText)
            return
        }
        if isExclusion {
            exclude(document, root, into: &out)
        } else {
            include(document, root, into: &out)
        }
    }

    /// The members of an object with their text, `"name":value`.
    // SAFETY: a member's text lies inside its object's: behind the bracket or the comma before it.
    private static func forEachMember(
        of object: TapeValue,
        _ body: (TapeValue.Child, _ keyText: UnsafeRawBufferPointer) -> Void
    ) {
        guard let base = object.rawText.baseAddress else { return }
        let origin = object.textRange.lowerBound
        var start = 1
        var children = object.children
        while let child = children.next() {
            let range = child.value.textRange
            let keyEnd = range.lowerBound - origin
            body(child, UnsafeRawBufferPointer(start: base + start, count: keyEnd - start))
            start = range.upperBound - origin + 1
        }
    }

    private func child(_ node: Node, _ key: UnsafeRawBufferPointer) -> Node? {
        for index in node.children.indices where node.children[index].name.count == key.count {
            let isSame = node.children[index].name.withUnsafeBytes { bytesEqual($0, key) }
            if isSame { return node.children[index] }
        }
        return nil
    }

    private func include(_ object: TapeValue, _ node: Node, into out: inout [UInt8]) {
        out.append(UInt8(ascii: "{"))
        var isFirst = true
        Projection.forEachMember(of: object) { member, keyText in
            guard let next = child(node, member.key) else { return }
            let kind = member.value.kind
            guard next.isLeaf || kind == .object || kind == .array else { return }
            if !isFirst { out.append(UInt8(ascii: ",")) }
            isFirst = false
            out.append(contentsOf: keyText)
            if next.isLeaf {
                out.append(contentsOf: member.value.rawText)
            } else if kind == .object {
                include(member.value, next, into: &out)
            } else {
                includeElements(member.value, next, into: &out)
            }
        }
        out.append(UInt8(ascii: "}"))
    }

    private func includeElements(_ array: TapeValue, _ node: Node, into out: inout [UInt8]) {
        out.append(UInt8(ascii: "["))
        var isFirst = true
        var children = array.children
        while let child = children.next() {
            let kind = child.value.kind
            guard kind == .object || kind == .array else { continue }
            if !isFirst { out.append(UInt8(ascii: ",")) }
            isFirst = false
            if kind == .object {
                include(child.value, node, into: &out)
            } else {
                includeElements(child.value, node, into: &out)
            }
        }
        out.append(UInt8(ascii: "]"))
    }

    private func exclude(_ value: TapeValue, _ node: Node, into out: inout [UInt8]) {
        switch value.kind {
        case .object:
            out.append(UInt8(ascii: "{"))
            var isFirst = true
            Projection.forEachMember(of: value) { member, keyText in
                let next = child(node, member.key)
                if next?.isLeaf == true { return }
                if !isFirst { out.append(UInt8(ascii: ",")) }
                isFirst = false
                out.append(contentsOf: keyText)
                if let next {
                    exclude(member.value, next, into: &out)
                } else {
                    out.append(contentsOf: member.value.rawText)
                }
            }
            out.append(UInt8(ascii: "}"))
        case .array:
            out.append(UInt8(ascii: "["))
            var isFirst = true
            var children = value.children
            while let child = children.next() {
                if !isFirst { out.append(UInt8(ascii: ",")) }
                isFirst = false
                exclude(child.value, node, into: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .null, .bool, .number, .string: out.append(contentsOf: value.rawText)
        }
    }
}

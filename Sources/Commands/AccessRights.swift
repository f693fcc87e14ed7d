/// What one user may do: immutable, computed once when the user changes, so that the check of a
/// request is one bit and, for most users, nothing else.
package final class AccessRights: Sendable {
    /// A pattern over collection names and the kinds of access that it gives.
    package struct Pattern: Equatable, Sendable {
        package let glob: [UInt8]
        package let canRead: Bool
        package let canWrite: Bool

        /// A pattern: `glob` is matched against a collection's whole name.
        package init(glob: [UInt8], canRead: Bool, canWrite: Bool) {
            self.glob = glob
            self.canRead = canRead
            self.canWrite = canWrite
        }
    }

    /// A set of commands, by index.
    package struct CommandBits: Equatable, Sendable {
        private var low: UInt64 = 0
        private var high: UInt64 = 0

        /// No command.
        package init() {}

        /// Whether command `index` is in the set.
        package subscript(_ index: Int) -> Bool {
            get {
                precondition(index >= 0 && index < 128, "the table has at most 128 commands")
                return (index < 64 ? low >> UInt64(index) : high >> UInt64(index - 64)) & 1 != 0
            }
            set {
                precondition(index >= 0 && index < 128, "the table has at most 128 commands")
                let bit = UInt64(1) << UInt64(index & 63)
                if index < 64 {
                    low = newValue ? low | bit : low & ~bit
                } else {
                    high = newValue ? high | bit : high & ~bit
                }
            }
        }
    }

    /// The user's name.
    package let userName: String
    /// Commands that the user may run.
    package let commands: CommandBits
    /// Whether some pattern is `~*`.
    package let allowsAllCollections: Bool
    /// The patterns; any that matches and gives the access is enough.
    package let patterns: [Pattern]

    /// A user's rights.
    package init(userName: String, commands: CommandBits, patterns: [Pattern]) {
        self.userName = userName
        self.commands = commands
        self.patterns = patterns
        allowsAllCollections = patterns.contains {
            $0.glob == [0x2A] && $0.canRead && $0.canWrite
        }
    }

    /// Nobody's: before authentication.
    package static let none = AccessRights(
        userName: "default",
        commands: CommandBits(),
        patterns: []
    )

    /// Everything.
    package static let full: AccessRights = {
        var bits = CommandBits()
        for index in 0..<128 { bits[index] = true }
        return AccessRights(
            userName: "default",
            commands: bits,
            patterns: [Pattern(glob: [0x2A], canRead: true, canWrite: true)]
        )
    }()

    /// Whether the user may run command `index`.
    @inline(__always) package func allows(command index: Int) -> Bool { commands[index] }

    /// Whether the user may read (`write` false) or change the collection called `name`, which must
    /// be a collection's own name, not an alias.
    /// - Complexity: O(1) for users of all collections, else O(patterns × name).
    package func allows(collection name: UnsafeRawBufferPointer, write: Bool) -> Bool {
        if allowsAllCollections { return true }
        return patterns.contains {
            (write ? $0.canWrite : $0.canRead)
                && $0.glob.withUnsafeBytes { glob in Glob.matches(glob, name) }
        }
    }

    /// As above, for a name held as text.
    package func allows(collection name: String, write: Bool) -> Bool {
        var name = name
        return name.withUTF8 { allows(collection: UnsafeRawBufferPointer($0), write: write) }
    }
}

/// Redis's glob patterns: `*`, `?`, `[a-z]`, `[^a]`, `\` before a literal byte.
package enum Glob {
    /// Whether the whole of `text` matches `pattern`.
    /// - Complexity: O(pattern × text): one remembered `*` is enough, there is no recursion.
    package static func matches(
        _ pattern: UnsafeRawBufferPointer,
        _ text: UnsafeRawBufferPointer,
        ignoringCase: Bool = false
    ) -> Bool {
        var p = 0
        var t = 0
        var starPattern = -1
        var starText = 0
        while t < text.count {
            if p < pattern.count, pattern[p] == 0x2A {
                starPattern = p
                starText = t
                p += 1
                continue
            }
            if p < pattern.count, let next = step(pattern, p, text[t], ignoringCase) {
                p = next
                t += 1
                continue
            }
            guard starPattern >= 0 else { return false }
            p = starPattern + 1
            starText += 1
            t = starText
        }
        while p < pattern.count, pattern[p] == 0x2A { p += 1 }
        return p == pattern.count
    }

    /// As above, for text.
    package static func matches(_ pattern: String, _ text: String, ignoringCase: Bool = false)
        -> Bool
    {
        Array(pattern.utf8).withUnsafeBytes { pattern in
            Array(text.utf8).withUnsafeBytes { matches(pattern, $0, ignoringCase: ignoringCase) }
        }
    }

    /// Matches one byte against the element at `p`; the offset behind it, or `nil`.
    private static func step(
        _ pattern: UnsafeRawBufferPointer,
        _ p: Int,
        _ byte: UInt8,
        _ ignoringCase: Bool
    ) -> Int? {
        func same(_ a: UInt8, _ b: UInt8) -> Bool {
            a == b || (ignoringCase && lowercased(a) == lowercased(b))
        }
        switch pattern[p] {
        case 0x3F: return p + 1
        case 0x5C where p + 1 < pattern.count: return same(pattern[p + 1], byte) ? p + 2 : nil
        case 0x5B:
            var index = p + 1
            let negated = index < pattern.count && pattern[index] == 0x5E
            if negated { index += 1 }
            var found = false
            while index < pattern.count, pattern[index] != 0x5D {
                if pattern[index] == 0x5C, index + 1 < pattern.count {
                    index += 1
                    if same(pattern[index], byte) { found = true }
                } else if index + 2 < pattern.count, pattern[index + 1] == 0x2D {
                    let low = min(pattern[index], pattern[index + 2])
                    let high = max(pattern[index], pattern[index + 2])
                    if byte >= low && byte <= high { found = true }
                    index += 2
                } else if same(pattern[index], byte) {
                    found = true
                }
                index += 1
            }
            return found != negated ? min(index + 1, pattern.count) : nil
        case let literal: return same(literal, byte) ? p + 1 : nil
        }
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }
}

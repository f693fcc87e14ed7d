package import Client

/// Makes realistic synthetic documents: the same bytes for the same kind, seed and index,
/// whatever the machine, the count, or the order in which they are asked for.
///
/// About a microsecond for a product of 900 bytes: words are copied from tables, numbers are made
/// of integers.
package struct Generator: Sendable {
    /// What is made.
    package enum Kind: String, Sendable, CaseIterable {
        case products, stores, orders, events
    }

    /// What is made.
    package let kind: Kind
    /// Everything follows from it.
    package let seed: UInt64
    /// Products that exist: stores, orders and events name products below this number.
    package let productCount: Int

    /// A generator; `productCount` bounds the products that other documents refer to.
    package init(kind: Kind, seed: UInt64, productCount: Int = 100_000) {
        precondition(productCount > 0, "there must be a product to refer to")
        self.kind = kind
        self.seed = seed
        self.productCount = productCount
    }

    /// Adds document `index`, counted from 0, to `output`, without a line's end.
    ///
    /// - Complexity: O(1).
    package func append(_ index: Int, to output: ByteQueue) {
        precondition(index >= 0, "documents are counted from 0")
        var random = GeneratorRandom(seed: seed &+ salt, index: UInt64(index))
        switch kind {
        case .products: Self.appendProduct(index, &random, to: output)
        case .stores: appendStore(index, &random, to: output)
        case .orders: appendOrder(index, &random, to: output)
        case .events: appendEvent(index, &random, to: output)
        }
    }

    private var salt: UInt64 {
        switch kind {
        case .products: 0
        case .stores: 1 << 40
        case .orders: 2 << 40
        case .events: 3 << 40
        }
    }

    // MARK: Pieces

    /// An id: a letter, a dash, nine digits, counted from 1.
    static func appendID(_ letter: StaticString, _ index: Int, to output: ByteQueue) {
        output.append(letter)
        output.append(decimal: index + 1, width: 9)
    }

    /// Cents as an amount with two digits after the point.
    static func appendMoney(_ cents: Int, to output: ByteQueue) {
        output.append(decimal: cents / 100)
        output.append(byte: 0x2E)
        output.append(decimal: cents % 100, width: 2)
    }

    /// Ten-thousandths as a number with four digits after the point.
    static func appendDegrees(_ value: Int, to output: ByteQueue) {
        if value < 0 { output.append(byte: 0x2D) }
        output.append(decimal: abs(value) / 10_000)
        output.append(byte: 0x2E)
        output.append(decimal: abs(value) % 10_000, width: 4)
    }

    /// A date of the years 2020 to 2025.
    static func appendDate(_ days: Int, to output: ByteQueue) {
        let date = Calendar.civil(days: days)
        output.append(decimal: date.year, width: 4)
        output.append(byte: 0x2D)
        output.append(decimal: date.month, width: 2)
        output.append(byte: 0x2D)
        output.append(decimal: date.day, width: 2)
    }

    /// A date and a time of that day in UTC.
    static func appendTime(days: Int, seconds: Int, to output: ByteQueue) {
        appendDate(days, to: output)
        output.append(byte: 0x54)
        output.append(decimal: seconds / 3_600, width: 2)
        output.append(byte: 0x3A)
        output.append(decimal: seconds / 60 % 60, width: 2)
        output.append(byte: 0x3A)
        output.append(decimal: seconds % 60, width: 2)
        output.append(byte: 0x5A)
    }

    /// Days since 1970 of 2020-01-01, and how many days follow that documents may be dated to.
    static let firstDay = 18_262
    static let dayCount = 2_190
}

extension GeneratorRandom {
    /// One of the words.
    mutating func pick(_ words: [StaticString]) -> StaticString { words[below(words.count)] }
}

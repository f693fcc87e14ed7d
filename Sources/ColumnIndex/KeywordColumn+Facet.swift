internal import CKernels
package import Primitives

/// How often a term occurs among some rows.
package struct TermCount: Equatable, Sendable {
    package var code: UInt32
    package var count: Int
}

extension KeywordColumn {
    /// For each term that occurs in `match`, the rows of `match` with it, by rising code.
    ///
    /// Two ways, by estimated cost: counting the codes of the matching rows, or intersecting every
    /// term's rows with the match.
    /// - Complexity: O(matching rows × terms of a row + terms), or less.
    package func facetCounts(_ match: Bitmap) -> [TermCount] {
        let matching = match.countFast()
        guard matching > 0, terms.count > 0 else { return [] }
        // Nanoseconds, measured by the package's micro-benchmark.
        let totals = terms.totals
        let byTerm = terms.count * 8 + totals.bitmapCount * 350 + totals.listedCount * 7 / 10
        let rows = max(slotCount, 1)
        let several = Double(severalCount) / Double(rows)
        let byRow = matching + Int(Double(matching) * several * 4) + codeLimit / 2
        return byTerm < byRow ? facetByTerm(match) : facetByRow(match)
    }

    func facetByTerm(_ match: Bitmap) -> [TermCount] {
        var result: [TermCount] = []
        for code in TermTable.firstCode..<terms.codeLimit {
            let posting = terms.posting(code)
            guard posting.count > 0 else { continue }
            let count = posting.countIntersection(match)
            if count > 0 { result.append(TermCount(code: code, count: count)) }
        }
        return result
    }

    func facetByRow(_ match: Bitmap) -> [TermCount] {
        let counts = Scratch<UInt32>(codeLimit)
        counts.base.initialize(repeating: 0, count: codeLimit)
        let blocks = min(blockCount, match.wordCapacity)
        ck_histogram(codes.base, Int32(codes.width), blocks, match.words, counts.base)
        if severalCount > 0 { countSeveral(match, counts.base) }
        var result: [TermCount] = []
        for code in Int(TermTable.firstCode)..<codeLimit where counts.base[code] > 0 {
            result.append(TermCount(code: UInt32(code), count: Int(counts.base[code])))
        }
        return result
    }

    /// Adds the terms of the rows of several.
    private func countSeveral(_ match: Bitmap, _ counts: UnsafeMutablePointer<UInt32>) {
        let several = Bitmap(capacity: slotCount)
        fillCode(3, into: several)
        let handles = lists.cells(UInt32.self)
        let blocks = min(blockCount, match.wordCapacity)
        for index in 0..<blocks {
            var word = several.words[index] & match.words[index]
            while word != 0 {
                let row = index &* 64 &+ word.trailingZeroBitCount
                let list = arena.list(handles[row])
                for i in 0..<list.count { counts[Int(list[i])] &+= 1 }
                word &= word &- 1
            }
        }
    }

    /// The codes of the terms that occur in `match`, rising; at most `limit`.
    ///
    /// - Complexity: as ``facetCounts(_:)``.
    package func distinct(_ match: Bitmap, limit: Int) -> [UInt32] {
        facetCounts(match).prefix(max(limit, 0)).map(\.code)
    }
}

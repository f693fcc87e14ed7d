import Primitives
import TestSupport
import Testing

@testable import Partition

/// Goal: ids are found exactly as a dictionary finds them, however their hashes collide.
@Suite struct HeadsTests {
    private func insert(_ heads: Heads, _ id: String, hash: UInt64, key: UInt64) -> UInt32 {
        let number = Array(id.utf8).withUnsafeBytes { heads.insert(hash: hash, id: $0) }
        heads.update(number, key: LogKey(rawValue: key), slot: 1)
        return number
    }

    private func find(_ heads: Heads, _ id: String, hash: UInt64) -> UInt32? {
        Array(id.utf8).withUnsafeBytes { heads.number(hash: hash, id: $0) }
    }

    @Test func emptyHeadsHoldNothing() {
        let heads = Heads()
        #expect(find(heads, "a", hash: 1) == nil)
        #expect(heads.count == 0)
    }

    @Test func idsOfOneHashAreToldApart() {
        let heads = Heads()
        let a = insert(heads, "a", hash: 5, key: 1)
        let b = insert(heads, "b", hash: 5, key: 2)
        #expect(find(heads, "a", hash: 5) == a)
        #expect(find(heads, "b", hash: 5) == b)
        heads.remove(a)
        #expect(find(heads, "a", hash: 5) == nil)
        #expect(find(heads, "b", hash: 5) == b)
    }

    @Test func removalClosesAProbeChainAroundTheEnd() {
        let heads = Heads()
        // Homes 15, 15, 15, 0, 1 of 16: the chain runs over the end of the table.
        let numbers = [15, 15, 15, 0, 1].enumerated().map { index, home in
            insert(heads, "id\(index)", hash: UInt64(home) | UInt64(index) << 32, key: 1)
        }
        heads.remove(numbers[1])
        for index in [0, 2, 3, 4] {
            let home = UInt64([15, 15, 15, 0, 1][index])
            #expect(find(heads, "id\(index)", hash: home | UInt64(index) << 32) == numbers[index])
        }
    }

    @Test func randomHistoriesAgreeWithADictionary() {
        for _ in 0..<20 {
            var random = TestRandom()
            let heads = Heads()
            var model: [String: (number: UInt32, key: UInt64)] = [:]
            // Few distinct hashes, so that chains are long.
            let spread = UInt64(random.pick([3, 40, 100_000]))
            func hash(_ id: String) -> UInt64 {
                Array(id.utf8).withUnsafeBytes { Hash64.hash($0, seed: 1) } % spread
            }
            for step in 1...3_000 {
                let id = "key\(random.below(300))"
                if let known = model[id] {
                    if random.one(in: 2) {
                        heads.remove(known.number)
                        model[id] = nil
                    } else {
                        heads.update(known.number, key: LogKey(rawValue: UInt64(step)), slot: 2)
                        model[id]?.key = UInt64(step)
                    }
                } else {
                    let number = insert(heads, id, hash: hash(id), key: UInt64(step))
                    model[id] = (number, UInt64(step))
                }
            }
            #expect(heads.count == model.count)
            for index in 0..<300 {
                let id = "key\(index)"
                let number = find(heads, id, hash: hash(id))
                #expect(number == model[id]?.number, "\(id), seed \(random.seed)")
                guard let number, let expected = model[id] else { continue }
                #expect(heads.key(number).rawValue == expected.key)
                #expect([UInt8](heads.id(number)) == Array(id.utf8), "seed \(random.seed)")
            }
        }
    }
}

import Primitives
import TestSupport
import Testing

@testable import Partition

/// Goal: every version sees exactly the rows that were alive at it, whatever was freed since.
/// Method: random births, deaths and reclaims beside a list of all lives.
@Suite struct RowTableTests {
    private struct Life {
        var slot: Slot
        var number: UInt32
        var born: UInt64
        var died: UInt64?
        var isFreed = false

        func isSeen(_ version: UInt64) -> Bool {
            born <= version && (died.map { $0 > version } ?? true)
        }
    }

    private func key(_ version: UInt64, _ index: Int = 0) -> LogKey {
        LogKey(version: Version(version), index: index)
    }

    private func visible(_ rows: RowTable, _ version: UInt64) -> Set<Slot> {
        let bitmap = Bitmap(capacity: 64)
        rows.fillVisible(at: Version(version), into: bitmap)
        var found: Set<Slot> = []
        bitmap.forEach { found.insert($0) }
        return found
    }

    @Test func rowBornAndDeadInOneVersionIsNeverSeen() {
        let rows = RowTable()
        let slot = rows.insert(key: key(5, 0), number: 0)
        rows.kill(slot, key: key(5, 1))
        #expect(visible(rows, 4).isEmpty)
        #expect(visible(rows, 5).isEmpty)
        #expect(visible(rows, 6).isEmpty)
        #expect(!rows.isVisible(slot, at: Version(5)))
    }

    @Test func freedSlotIsUsedAgain() {
        let rows = RowTable()
        let first = rows.insert(key: key(1), number: 0)
        rows.kill(first, key: key(2))
        #expect(rows.reclaim(horizon: Version(1), limit: 9) { _ in } == 0)
        #expect(rows.reclaim(horizon: Version(2), limit: 9) { _ in } == 1)
        #expect(rows.insert(key: key(3), number: 1) == first)
        #expect(visible(rows, 2).isEmpty)
        #expect(visible(rows, 3) == [first])
    }

    @Test func randomHistoriesAreVisibleAsTheirModelSays() {
        for _ in 0..<12 {
            var random = TestRandom()
            let rows = RowTable()
            var lives: [Life] = []
            var newest: [UInt32: Int] = [:]
            var horizon: UInt64 = 0
            let versions = UInt64(random.pick([60, 400, 6_000]))
            for version in 1...versions {
                for index in 0..<(1 + random.below(3)) {
                    let number = UInt32(random.below(40))
                    if let life = newest[number] {
                        rows.kill(lives[life].slot, key: key(version, index))
                        lives[life].died = version
                        newest[number] = nil
                        if random.one(in: 4) { continue }
                    }
                    let slot = rows.insert(key: key(version, index), number: number)
                    newest[number] = lives.count
                    lives.append(Life(slot: slot, number: number, born: version))
                }
                if random.one(in: 3) {
                    horizon = max(horizon, UInt64(random.below(Int(version) + 1)))
                    var freed: Set<Slot> = []
                    _ = rows.reclaim(horizon: Version(horizon), limit: random.below(6)) {
                        freed.insert($0)
                    }
                    for index in lives.indices where freed.contains(lives[index].slot) {
                        if let died = lives[index].died, !lives[index].isFreed {
                            #expect(died <= horizon, "seed \(random.seed)")
                            lives[index].isFreed = true
                        }
                    }
                }
                guard version % (versions / 30) == 0 else { continue }
                check(rows, lives, from: horizon, through: version, random.seed, &random)
            }
        }
    }

    private func check(
        _ rows: RowTable, _ lives: [Life], from horizon: UInt64, through version: UInt64,
        _ seed: UInt64, _ random: inout TestRandom
    ) {
        for _ in 0..<4 {
            let at = UInt64.random(in: horizon...version, using: &random)
            let alive = lives.filter { $0.isSeen(at) }
            #expect(visible(rows, at) == Set(alive.map(\.slot)), "version \(at), seed \(seed)")
            for life in alive {
                #expect(rows.isVisible(life.slot, at: Version(at)), "seed \(seed)")
                if life.died != nil {
                    #expect(
                        rows.deadSlot(of: life.number, at: Version(at)) == life.slot,
                        "seed \(seed)")
                }
            }
        }
        #expect(rows.liveCount == lives.filter { $0.died == nil }.count)
        #expect(rows.isCurrent(at: Version(version)))
    }
}

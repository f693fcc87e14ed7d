internal import Glibc

/// Which node is in which list, for one set of centres.
///
///     lists   [members, count, room] per list    members: node ids, in no order
///     places  (list, position) per node          `nowhere` if it is in none
///
/// Invariant: `places[lists[l].members[p]] == (l, p)` for every list l and every p below its count.
///
/// Threads: as the index that owns it; one that is being built belongs to its builder alone.
final class IVFLists {
    /// One list.
    private struct List: BitwiseCopyable {
        var members: UnsafeMutablePointer<UInt32>?
        var count: UInt32 = 0
        var room: UInt32 = 0
    }

    /// Where a node is.
    struct Place: BitwiseCopyable, Equatable {
        /// 1 + the list, so that zeroed memory says `nowhere`.
        var listPlusOne: UInt32
        var position: UInt32

        static var nowhere: Place { Place(listPlusOne: 0, position: 0) }
    }

    /// nil: one list that is not near anything, scanned by every search.
    let centroids: IVFCentroids?
    private let lists: IVFBlock<List>
    private var placeRows: ReservedArray<Place>
    /// The places' fixed address, so that reads need no access to the owning array.
    private let places: UnsafeMutablePointer<Place>
    /// Nodes in all lists.
    private(set) var memberCount = 0
    /// One more than the highest node that ever was a member.
    private var memberEnd = 0
    private var roomByteCount = 0

    /// Empty lists, one per centre.
    ///
    /// - Throws: `outOfMemory`.
    init(centroids: IVFCentroids?, nodeCountMax: Int) throws(VectorIndexError) {
        self.centroids = centroids
        lists = IVFBlock(centroids?.count ?? 1, filledWith: List())
        placeRows = try ReservedArray(capacity: nodeCountMax)
        places = placeRows.base
    }

    deinit { for index in 0..<lists.count { Glibc.free(lists[index].members) } }

    /// How many lists there are.
    var count: Int { lists.count }

    /// Makes room for nodes `0..<nodeCount`.
    ///
    /// - Throws: `outOfMemory`; nothing has changed then.
    func reserve(nodeCount: Int) throws(VectorIndexError) { try placeRows.grow(to: nodeCount) }

    /// The members of a list; valid until it changes.
    @inline(__always) func members(_ list: Int) -> UnsafeBufferPointer<UInt32> {
        let one = lists[list]
        return UnsafeBufferPointer(start: one.members, count: Int(one.count))
    }

    /// Adds a node, for which ``reserve(nodeCount:)`` made room, to a list.
    ///
    /// - Complexity: O(1) amortised. Traps when there is no memory.
    func insert(_ node: UInt32, into list: Int) {
        precondition(places[Int(node)] == .nowhere, "a node is in one list")
        var one = lists[list]
        if one.count == one.room {
            let room = max(one.room + one.room / 2, 16)
            guard let grown = realloc(one.members, Int(room) * 4) else {
                fatalError("out of memory: \(Int(room) * 4) bytes")
            }
            // SAFETY: the block holds `room` ids, the first `count` of them initialised.
            one.members = grown.assumingMemoryBound(to: UInt32.self)
            roomByteCount += Int(room - one.room) * 4
            one.room = room
        }
        one.members?[Int(one.count)] = node
        places[Int(node)] = Place(listPlusOne: UInt32(list) + 1, position: one.count)
        one.count += 1
        lists[list] = one
        memberCount += 1
        memberEnd = max(memberEnd, Int(node) + 1)
    }

    /// Takes a node out of its list; the list's last member takes its place.
    ///
    /// - Complexity: O(1).
    func remove(_ node: UInt32) {
        let place = places[Int(node)]
        precondition(place != .nowhere, "a node that is removed is in a list")
        let list = Int(place.listPlusOne) - 1
        var one = lists[list]
        guard let members = one.members else { preconditionFailure("a list has memory") }
        one.count -= 1
        let last = members[Int(one.count)]
        members[Int(place.position)] = last
        places[Int(last)] = place
        places[Int(node)] = .nowhere
        lists[list] = one
        memberCount -= 1
    }

    /// All members, ascending.
    ///
    /// - Complexity: O(nodes).
    func allMembers() -> [UInt32] {
        var all: [UInt32] = []
        all.reserveCapacity(memberCount)
        for node in 0..<memberEnd where places[node] != .nowhere { all.append(UInt32(node)) }
        return all
    }

    /// The largest list's members.
    ///
    /// - Complexity: O(lists).
    var memberCountMax: Int {
        var most: UInt32 = 0
        for index in 0..<lists.count { most = max(most, lists[index].count) }
        return Int(most)
    }

    /// Bytes of memory, with places for `nodeCount` nodes.
    func byteCount(nodeCount: Int) -> Int {
        lists.byteCount + roomByteCount + placeRows.byteCount(of: nodeCount)
            + (centroids?.byteCount ?? 0)
    }

    /// Traps if lists and places disagree. - Complexity: O(nodes + lists).
    func checkInvariants() {
        var seen = 0
        for list in 0..<count {
            for (position, node) in members(list).enumerated() {
                let place = places[Int(node)]
                precondition(Int(place.listPlusOne) == list + 1, "a member knows its list")
                precondition(Int(place.position) == position, "a member knows its position")
                seen += 1
            }
        }
        precondition(seen == memberCount, "members are counted")
    }
}

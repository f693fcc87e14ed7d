// On which side of an edge a place lies, and whether edges cross: decisions that are never wrong
// and never contradict each other, after the published scheme of S2 and of Shewchuk's adaptive
// predicates ("Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates").
//
// 1. The determinant in doubles, with a bound of its error.
// 2. Below the bound, the same determinant exactly, as a sum of doubles (ExactSum).
// 3. If it is exactly zero, the three lie on one great circle. Then they are thought of as moved by
//    infinitely small amounts that depend on the places alone (Edelsbrunner and Mücke, "Simulation
//    of Simplicity"), so every predicate about different places has an answer other than zero.
//
// A polygon holds a place if the way from a place whose side is known crosses its edges an odd
// number of times. Where the way ends at a vertex, the edges there count by their order around the
// vertex from a fixed direction: so of the polygons around a vertex exactly one holds it.

enum Predicates {
    /// Above the error of the determinant of three vectors whose length is 1 within 4e-16: at most
    /// five roundings in each of six products, whose absolute values sum to at most 1.16.
    private static let errorMax = 1e-15

    /// 1 if a, b, c go counterclockwise around their triangle, -1 if clockwise, 0 only if two of
    /// them are the same place.
    ///
    /// It is the same for (b, c, a) and the opposite for (c, b, a).
    ///
    /// - Complexity: O(1); about 3 ns, and below a microsecond where the three are nearly on one
    ///   great circle.
    @inline(__always)
    static func sign(_ a: SpherePoint, _ b: SpherePoint, _ c: SpherePoint) -> Int {
        let determinant = a.cross(b).dot(c)
        if determinant > errorMax { return 1 }
        if determinant < -errorMax { return -1 }
        return exactSign(a, b, c)
    }

    /// Whether b comes no later than c on the way counterclockwise around o that starts at a.
    ///
    /// True where b is a or c; for a == c only then, unless b is c. The places differ from o.
    static func ordered(
        _ a: SpherePoint, _ b: SpherePoint, _ c: SpherePoint, around o: SpherePoint
    ) -> Bool {
        var agreeing = 0
        if sign(b, o, a) >= 0 { agreeing += 1 }
        if sign(c, o, b) >= 0 { agreeing += 1 }
        if sign(a, o, c) > 0 { agreeing += 1 }
        return agreeing >= 2
    }

    /// 1 if edges ab and cd cross at a place inside of both, 0 if they share a vertex, else -1.
    @inline(__always)
    static func crossing(
        _ a: SpherePoint, _ b: SpherePoint, _ c: SpherePoint, _ d: SpherePoint
    ) -> Int {
        let abc = sign(a, b, c)
        let abd = sign(a, b, d)
        if abc == abd && abc != 0 { return -1 }
        return crossingSlow(a, b, c, d, abc, abd)
    }

    private static func crossingSlow(
        _ a: SpherePoint, _ b: SpherePoint, _ c: SpherePoint, _ d: SpherePoint, _ abc: Int,
        _ abd: Int
    ) -> Int {
        if a == c || a == d || b == c || b == d { return 0 }
        if abc == 0 || abd == 0 { return -1 }
        return sign(c, d, a) == abd && sign(c, d, b) == abc ? 1 : -1
    }

    /// Whether the way from a to b counts as crossing edge cd: inside of both, or at a vertex by
    /// the rule for vertices.
    @inline(__always)
    static func crosses(
        _ a: SpherePoint, _ b: SpherePoint, _ c: SpherePoint, _ d: SpherePoint
    ) -> Bool {
        let kind = crossing(a, b, c, d)
        if kind != 0 { return kind > 0 }
        return crossesAtVertex(a, b, c, d)
    }

    private static func crossesAtVertex(
        _ a: SpherePoint, _ b: SpherePoint, _ c: SpherePoint, _ d: SpherePoint
    ) -> Bool {
        if a == b || c == d { return false }
        if a == c { return b == d || ordered(reference(a), d, b, around: a) }
        if b == d { return ordered(reference(b), c, a, around: b) }
        if a == d { return b == c || ordered(reference(a), c, b, around: a) }
        return ordered(reference(b), d, a, around: b)
    }

    /// Whether the corner a, b, c of a ring (interior on the left) holds its vertex b.
    static func cornerHolds(_ a: SpherePoint, _ b: SpherePoint, _ c: SpherePoint) -> Bool {
        !ordered(reference(b), c, a, around: b)
    }

    /// The fixed direction at a place from which edges are ordered; the same choice as S2's, so
    /// that the same polygon holds a vertex there and here.
    static func reference(_ a: SpherePoint) -> SpherePoint {
        let (ax, ay, az) = (a.x.magnitude, a.y.magnitude, a.z.magnitude)
        var other = SpherePoint(x: 0.012, y: 0.0053, z: 0.00457)
        let largest = ax > ay ? (ax > az ? 0 : 2) : (ay > az ? 1 : 2)
        switch largest {
        case 0: other.z = 1
        case 1: other.x = 1
        default: other.y = 1
        }
        return a.cross(other).normalized
    }
}

extension Predicates {
    /// ``sign(_:_:_:)`` where doubles do not decide.
    @inline(never)
    static func exactSign(_ a: SpherePoint, _ b: SpherePoint, _ c: SpherePoint) -> Int {
        if a == b || b == c || c == a { return 0 }
        // In ascending order, so that the answer does not depend on the order of the arguments.
        var (p, q, r) = (a, b, c)
        var turn = 1
        if SpherePoint.isBefore(q, p) { (p, q, turn) = (q, p, -turn) }
        if SpherePoint.isBefore(r, q) { (q, r, turn) = (r, q, -turn) }
        if SpherePoint.isBefore(q, p) { (p, q, turn) = (q, p, -turn) }
        let exact = determinantSign(p, q, r)
        return turn * (exact != 0 ? exact : movedSign(p, q, r))
    }

    /// The sign of the determinant, exactly: 0 where all three are on one great circle.
    static func determinantSign(_ p: SpherePoint, _ q: SpherePoint, _ r: SpherePoint) -> Int {
        var sum = ExactSum()
        sum.add(p.x, q.y, r.z)
        sum.add(-p.x, q.z, r.y)
        sum.add(p.y, q.z, r.x)
        sum.add(-p.y, q.x, r.z)
        sum.add(p.z, q.x, r.y)
        sum.add(-p.z, q.y, r.x)
        return sum.sign
    }

    /// The sign of the determinant of p < q < r, which is zero, after each coordinate is moved by a
    /// positive amount: that of p.z far larger than that of p.y, then p.x, q.z, q.y, q.x and r
    /// alike, each far smaller than any product of the ones before it.
    ///
    /// The determinant is a polynomial of the amounts: the first coefficient that is not zero, in
    /// the order of the size of its monomial, decides. Beyond the ones here none can be reached.
    private static func movedSign(_ p: SpherePoint, _ q: SpherePoint, _ r: SpherePoint) -> Int {
        func minor(_ a: Double, _ d: Double, _ b: Double, _ c: Double) -> Int {
            var sum = ExactSum()
            sum.add(a, d, 1)
            sum.add(-b, c, 1)
            return sum.sign
        }
        func sign(_ value: Double) -> Int { value > 0 ? 1 : value < 0 ? -1 : 0 }
        // p.z, p.y, p.x: the components of q × r.
        var result = minor(q.x, r.y, q.y, r.x)
        if result != 0 { return result }
        result = minor(q.z, r.x, q.x, r.z)
        if result != 0 { return result }
        result = minor(q.y, r.z, q.z, r.y)
        if result != 0 { return result }
        // q.z, then q.z with p.y and with p.x.
        result = minor(r.x, p.y, r.y, p.x)
        if result != 0 { return result }
        if r.x != 0 { return sign(r.x) }
        if r.y != 0 { return -sign(r.y) }
        // q.y, then with p.x.
        result = minor(r.z, p.x, r.x, p.z)
        if result != 0 { return result }
        if r.z != 0 { return sign(r.z) }
        // r.z, then with p.y, p.x and q.y.
        result = minor(p.x, q.y, p.y, q.x)
        if result != 0 { return result }
        if q.x != 0 { return -sign(q.x) }
        if q.y != 0 { return sign(q.y) }
        if p.x != 0 { return sign(p.x) }
        return 1
    }
}

/// A sum of products of three doubles, kept exactly as at most 24 doubles that do not overlap.
///
/// Needs products and their parts within the range of doubles: see the invariant of `SpherePoint`.
struct ExactSum {
    private var parts = InlineArray<32, Double>(repeating: 0)
    private var count = 0

    /// Adds a·b·c, which is four doubles.
    mutating func add(_ a: Double, _ b: Double, _ c: Double) {
        let high = a * b
        if high == 0 || c == 0 { return }
        let low = (-high).addingProduct(a, b)
        addProduct(low, c)
        addProduct(high, c)
    }

    private mutating func addProduct(_ a: Double, _ b: Double) {
        let high = a * b
        let low = (-high).addingProduct(a, b)
        addOne(low)
        addOne(high)
    }

    /// Shewchuk's growing of an expansion: two-sums from the least part up.
    private mutating func addOne(_ value: Double) {
        if value == 0 { return }
        var carry = value
        var kept = 0
        for index in 0..<count {
            let part = parts[index]
            let sum = carry + part
            let virtual = sum - carry
            let rest = (carry - (sum - virtual)) + (part - virtual)
            carry = sum
            if rest != 0 {
                parts[kept] = rest
                kept += 1
            }
        }
        if carry != 0 {
            parts[kept] = carry
            kept += 1
        }
        count = kept
    }

    /// -1, 0 or 1: the sign of the largest part.
    var sign: Int {
        guard count > 0 else { return 0 }
        return parts[count - 1] > 0 ? 1 : -1
    }
}

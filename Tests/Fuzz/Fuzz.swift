import Documents
import GeoIndex
import GeoJSON
import Glibc
import Query
import RESP

// One program for all fuzzers: AISLE_FUZZ_TARGET names what is fed. See Tools/dev fuzz.
//
// Each target checks more than that nothing traps: what was accepted must mean the same when it is
// read again. A broken promise ends in `precondition`, which libFuzzer reports with its input.

/// What the bytes are fed to.
private enum Target: String {
    case json, filter, update, resp, geojson, snapshot, section
}

private let target: Target = {
    guard let name = getenv("AISLE_FUZZ_TARGET"),
        let known = Target(rawValue: String(cString: name))
    else { preconditionFailure("AISLE_FUZZ_TARGET must be the name of a target") }
    return known
}()

/// libFuzzer's entry: called over and over on one thread.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: data, count: count))
    switch target {
    case .json: feedJSON(bytes)
    case .filter: feedFilter(bytes)
    case .update: feedUpdate(bytes)
    case .resp: feedRequests(bytes)
    case .geojson: feedGeoJSON(bytes)
    case .snapshot: feedSnapshot(bytes)
    case .section: feedSection(bytes)
    }
    return 0
}

/// Accepted JSON minifies to a fixed point, and its tree says the same as its tape.
private func feedJSON(_ bytes: [UInt8]) {
    let parser = JSONParser()
    guard let tape = try? parser.parse(bytes) else { return }
    let tree = tape.json
    let minified = [UInt8](parser.minified)
    let second = JSONParser()
    guard let again = try? second.parse(minified) else {
        preconditionFailure("minified JSON does not parse")
    }
    precondition([UInt8](second.minified) == minified, "minifying is not a fixed point")
    precondition(again.json == tree, "minifying changed the value")
    guard let written = try? JSON(parsing: tree.text) else {
        preconditionFailure("a tree's text does not parse")
    }
    precondition(written == tree, "a tree's text has another value")
}

/// A filter parses or is refused.
private func feedFilter(_ bytes: [UInt8]) {
    guard let json = try? JSON(parsing: bytes) else { return }
    _ = try? Filter(parsing: json)
}

/// Two JSON texts with a newline between: a document and an update to it.
private func feedUpdate(_ bytes: [UInt8]) {
    let parts = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 1)
    guard parts.count == 2,
        let document = try? JSON(parsing: Array(parts[0])),
        let json = try? JSON(parsing: Array(parts[1])),
        let update = try? Update(json),
        let result = try? update.apply(to: document, now: 0)
    else { return }
    guard let again = try? JSON(parsing: result.text) else {
        preconditionFailure("an updated document does not parse")
    }
    precondition(again == result, "an updated document's text has another value")
}

/// What a decoder made of some input: all requests, and whether it ended in an error.
private struct Decoded: Equatable {
    var requests: [[[UInt8]]] = []
    var isBroken = false
}

/// Decodes input of which `visible` more bytes are seen at each try.
private func decode(_ input: [UInt8], step visible: Int) -> Decoded {
    var decoder = RequestDecoder(frameByteCountMax: 1 << 16, argumentCountMax: 1 << 10)
    let frame = RequestFrame()
    var decoded = Decoded()
    var start = 0
    var end = min(visible, input.count)
    input.withUnsafeBytes { bytes in
        while true {
            let part = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            do {
                let taken = try decoder.decode(part, into: frame)
                precondition(taken >= 0 && taken <= part.count, "took more than there was")
                if taken > 0 {
                    if frame.count > 0 {
                        decoded.requests.append((0..<frame.count).map { frame.array($0) })
                    }
                    start += taken
                    continue
                }
            } catch {
                decoded.isBroken = true
                return
            }
            guard end < input.count else { return }
            end = min(end + visible, input.count)
        }
    }
    return decoded
}

/// Requests are the same however the bytes arrive.
private func feedRequests(_ bytes: [UInt8]) {
    let whole = decode(bytes, step: max(bytes.count, 1))
    precondition(decode(bytes, step: 1) == whole, "dripped bytes decode differently")
    precondition(decode(bytes, step: 7) == whole, "parts of seven decode differently")
}

/// A geometry is refused or answers: its own vertices and their middles are places like any other,
/// its outline stays on the map, and its cells hold what it holds.
private func feedGeoJSON(_ bytes: [UInt8]) {
    let parser = JSONParser()
    guard let tape = try? parser.parse(bytes) else { return }
    _ = try? GeoJSON.point(tape)
    _ = try? GeoJSON.flatPoint(tape)
    guard let geometry = try? GeoJSON.shape(tape, positionCountMax: 2_000) else { return }
    guard let again = try? GeoJSON.shape(tape.json, positionCountMax: 2_000) else {
        preconditionFailure("a tree's geometry is refused")
    }
    precondition(again.typeName == geometry.typeName, "a tree's geometry is another")
    var writer = GeoJSONWriter()
    writer.add(geometry, properties: JSONObject())
    writer.finish()
    precondition((try? JSON(parsing: writer.bytes)) != nil, "a drawing is JSON")
    guard case .polygon(let polygon) = geometry else { return }
    for ring in Outline(polygon).polygons.flatMap(\.self) {
        precondition(ring.allSatisfy(\.isValid), "an outline stays on the map")
    }
    let cells = PolygonCells(polygon)
    for vertex in polygon.ringVertices.flatMap(\.self).flatMap(\.self).prefix(50) {
        let place = SpherePoint(vertex.latLng)
        precondition(cells.contains(place) == polygon.contains(place), "cells hold the same")
    }
}

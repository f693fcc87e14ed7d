import NIOCore
import RESP
import Testing

private func written(resp3: Bool = false, _ body: (inout ReplyWriter) -> Void) -> String {
    var writer = ReplyWriter(buffer: ByteBuffer(), isRESP3: resp3)
    body(&writer)
    return String(buffer: writer.buffer)
}

@Suite struct ReplyWriterTests {
    @Test func integersAreDigits() {
        for value in [0, 7, 10, -1, 99, 100, Int64.max, .min, 1_000_000] {
            #expect(written { $0.integer(value) } == ":\(value)\r\n")
            #expect(
                written { $0.bulkInteger(value) } == "$\("\(value)".utf8.count)\r\n\(value)\r\n"
            )
        }
    }

    @Test func errorsAreOneLine() {
        #expect(written { $0.error("ERR a\r\nb\0c") } == "-ERR a  b c\r\n")
        #expect(written { $0.error(code: "LIMIT", "x") } == "-LIMIT x\r\n")
    }

    @Test func bothProtocolsHaveTheirForms() {
        #expect(written { $0.null() } == "$-1\r\n")
        #expect(written { $0.nullArray() } == "*-1\r\n")
        #expect(written(resp3: true) { $0.null() } == "_\r\n")
        #expect(written { $0.map(2) } == "*4\r\n")
        #expect(written(resp3: true) { $0.map(2) } == "%2\r\n")
        #expect(written { $0.bool(true) } == ":1\r\n")
        #expect(written(resp3: true) { $0.bool(false) } == "#f\r\n")
        #expect(written(resp3: true) { $0.verbatim("ab") } == "=6\r\ntxt:ab\r\n")
        #expect(written { $0.verbatim("ab") } == "$2\r\nab\r\n")
        #expect(written(resp3: true) { $0.push(1) } == ">1\r\n")
    }

    @Test func doublesReadBackEqual() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(state: seed)
        for _ in 0..<10_000 {
            let value = Double(bitPattern: random.next())
            guard value.isFinite else { continue }
            #expect(Double(ReplyWriter.shortest(value)) == value, "seed \(seed)")
        }
        #expect(ReplyWriter.shortest(12.5) == "12.5")
        #expect(ReplyWriter.shortest(3) == "3")
        #expect(ReplyWriter.shortest(-0.0) == "-0")
        #expect(ReplyWriter.shortest(.infinity) == "inf")
    }

    @Test func aMapInOneWriteIsTheSameAsItsParts() {
        let ids = ["", "a", "shop-1234567890", String(repeating: "é", count: 255)]
        for meters in [0, 7, 0.25, 1e-9, 239.123_456_789, 20_015_118.1, -3, 5e9, .infinity, .nan] {
            for (id, isRESP3) in ids.flatMap({ [($0, true), ($0, false)] }) {
                let parts = written(resp3: isRESP3) { writer in
                    writer.map(3)
                    writer.bulk("id")
                    writer.bulk(id)
                    writer.bulk("distance_m")
                    writer.billionths(meters)
                    writer.bulk("doc")
                    writer.bulk("{}")
                }
                let whole = written(resp3: isRESP3) { writer in
                    Array(id.utf8).withUnsafeBytes { bytes in
                        writer.map(
                            of: 3, "$2\r\nid\r\n", bytes, "$10\r\ndistance_m\r\n",
                            billionths: meters,
                            "$3\r\ndoc\r\n$2\r\n{}\r\n")
                    }
                }
                #expect(whole == parts, "\(id) \(meters)")
            }
        }
    }

    @Test func lengthsAreRoundedToNanometres() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(state: seed)
        for _ in 0..<10_000 {
            let bits = random.next()
            let meters = Double(bits >> 11) * 0x1p-53 * (bits & 1 == 0 ? 2e7 : 10)
            let text = written(resp3: true) { $0.billionths(meters) }
            guard text.hasPrefix(","), text.hasSuffix("\r\n"),
                // One character: CR and LF.
                let value = Double(text.dropFirst().dropLast())
            else {
                Issue.record("\(text) is no double, seed \(seed)")
                continue
            }
            #expect(abs(value - meters) <= 5.1e-10 + meters * 2.3e-16, "\(meters), seed \(seed)")
        }
        for (meters, text) in [
            (0, "0"), (1, "1"), (0.5, "0.5"), (1e-9, "0.000000001"), (2e-10, "0"), (-1.25, "-1.25"),
            (1_200.000_000_5, "1200.0000005"), (20_015_118, "20015118"), (5e9, "5000000000"),
        ] {
            #expect(written(resp3: true) { $0.billionths(meters) } == ",\(text)\r\n")
            #expect(written { $0.billionths(meters) } == "$\(text.utf8.count)\r\n\(text)\r\n")
        }
        #expect(written(resp3: true) { $0.billionths(.infinity) } == ",inf\r\n")
    }

    @Test func reservedBulksAreFilledInPlace() {
        #expect(
            written {
                $0.reserveBulk(3) { $0.copyBytes(from: [0x61, 0x62, 0x63]) }
            } == "$3\r\nabc\r\n"
        )
        #expect(written { $0.reserveBulk(0) { _ in } } == "$0\r\n\r\n")
    }

    @Test func bulkArraysCutTheirBytes() {
        let text = written { writer in
            Array("abcd".utf8).withUnsafeBytes { bytes in
                [1, 1, 4].withUnsafeBufferPointer { writer.bulkArray(bytes, ends: $0) }
            }
        }
        #expect(text == "*3\r\n$1\r\na\r\n$0\r\n\r\n$3\r\nbcd\r\n")
    }

    @Test func whatIsWrittenIsParsed() throws {
        for isRESP3 in [false, true] {
            var parser = ReplyParser()
            let text = written(resp3: isRESP3) { writer in
                writer.map(2)
                writer.bulk("total")
                writer.integer(2)
                writer.bulk("score")
                writer.double(0.25)
                writer.error("ERR no")
            }
            // Byte by byte: incomplete replies are no replies.
            var values: [ReplyValue] = []
            for byte in text.utf8 {
                parser.append([byte])
                if let value = try parser.next() { values.append(value) }
            }
            let score: ReplyValue = isRESP3 ? .double(0.25) : .text("0.25")
            let expected: ReplyValue =
                isRESP3
                ? .map([.init(.text("total"), .integer(2)), .init(.text("score"), score)])
                : .array([.text("total"), .integer(2), .text("score"), score])
            #expect(values == [expected, .error("ERR no")])
        }
    }
}

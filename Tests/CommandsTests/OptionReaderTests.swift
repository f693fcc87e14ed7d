import Engine
import NIOCore
import Primitives
import Query
import RESP
import Testing

@testable import Commands

/// Goal: options are read in any order, and everything that is not one is named.
@Suite struct OptionReaderTests {
    private let rules = [
        OptionRule("LIMIT"), OptionRule("SORT"), OptionRule("META", 0), OptionRule("PARAMS"),
        OptionRule("BLOB", 2), OptionRule("VEC", 2), OptionRule("TIMEOUT"), OptionRule("AT"),
    ]

    private func read(_ words: [String]) throws(EngineError) -> Options {
        try Options(RequestFrame(["FIND", "c", "{}"] + words), from: 3, rules)
    }

    private func failure(_ body: () throws -> Void) -> EngineError? {
        do {
            try body()
            return nil
        } catch {
            return error as? EngineError
        }
    }

    @Test func optionsComeInAnyOrderAndCase() throws {
        for words in [["limit", "5", "Meta", "SORT", "a"], ["SORT", "a", "META", "LIMIT", "5"]] {
            let options = try read(words)
            #expect(options.has("META"))
            #expect(try options.text("SORT") == "a")
            #expect(try options.integer("LIMIT", 0...10) == 5)
            #expect(!options.has("AT"))
        }
    }

    @Test func wordThatIsNoOptionIsNamed() {
        let error = failure { _ = try read(["LIMITS", "5"]) }
        #expect(error?.code == .syntax)
        #expect(error?.path == "LIMITS")
    }

    @Test func optionGivenTwiceIsASyntaxError() {
        #expect(failure { _ = try read(["LIMIT", "5", "limit", "6"]) }?.code == .syntax)
        #expect(failure { _ = try read(["META", "META"]) }?.code == .syntax)
    }

    @Test func missingValueIsASyntaxError() {
        #expect(failure { _ = try read(["LIMIT"]) }?.code == .syntax)
        #expect(failure { _ = try read(["BLOB", "a"]) }?.code == .syntax)
    }

    @Test func vectorsAndBlobsRepeat() throws {
        let options = try read(["VEC", "a", "1234", "VEC", "b", "5678", "BLOB", "x", "12"])
        #expect(try options.vectors().map(\.field) == ["a", "b"])
        #expect(try options.vectors().map(\.bytes) == [Array("1234".utf8), Array("5678".utf8)])
    }

    @Test func valuesThatBeginWithADollarAreParameters() throws {
        let options = try read(["SORT", "$s", "LIMIT", "$n", "PARAMS", #"{"s":"price:-1","n":7}"#])
        #expect(try options.text("SORT") == "price:-1")
        #expect(try options.integer("LIMIT", 0...10) == 7)
    }

    @Test func parameterThatIsNotGivenIsInvalid() {
        let error = failure {
            _ = try read(["SORT", "$s", "PARAMS", "{}"]).text("SORT")
        }
        #expect(error?.code == .invalid)
    }

    @Test func integersOutOfBoundsAreToldApart() {
        #expect(
            failure { _ = try read(["LIMIT", "11"]).integer("LIMIT", 1...10) }?.code == .limit)
        #expect(
            failure { _ = try read(["LIMIT", "0"]).integer("LIMIT", 1...10) }?.code == .invalid)
        #expect(
            failure { _ = try read(["LIMIT", "x"]).integer("LIMIT", 1...10) }?.code == .invalid)
        let huge = "99999999999999999999"
        #expect(
            failure { _ = try read(["LIMIT", huge]).integer("LIMIT", 1...10) }?.code == .invalid)
    }

    @Test func versionsAndDurationsRefuseWhatTheyCannotHold() throws {
        #expect(try read(["AT", "17"]).version("AT") == Version(17))
        #expect(failure { _ = try read(["AT", "281474976710656"]).version("AT") } != nil)
        #expect(try read(["TIMEOUT", "2s"]).milliseconds("TIMEOUT") == 2000)
        #expect(failure { _ = try read(["TIMEOUT", "0ms"]).milliseconds("TIMEOUT") } != nil)
        // Added to the time now, nothing may overflow.
        let long = "106751991167d"
        #expect(
            failure { _ = try read(["TIMEOUT", long]).milliseconds("TIMEOUT") }?.code == .limit)
        #expect(failure { _ = try read(["TIMEOUT", "-5s"]).milliseconds("TIMEOUT") } != nil)
    }

    @Test func queuedRepliesTakeTheirResultsBack() {
        let results: [WriteResult] = [.removed(1), .removed(0), .removed(1), .value([65])]
        func text(_ reply: QueuedReply) -> String {
            var writer = ReplyWriter(buffer: ByteBuffer())
            reply.write(results, &writer)
            return String(decoding: writer.buffer.readableBytesView, as: UTF8.self)
        }
        #expect(text(.sum(0..<3)) == ":2\r\n")
        #expect(text(.one(3)) == "$1\r\nA\r\n")
        #expect(text(.pong) == "+PONG\r\n")
        #expect(text(.bulk([66])) == "$1\r\nB\r\n")
        #expect(text(.list(3..<4)) == "*1\r\n$1\r\nA\r\n")
        #expect(text(.list(0..<0)) == "*0\r\n")
    }
}

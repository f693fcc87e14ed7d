import Testing

@testable import Documents

@Test func emptyIsRefused() {
    #expect(throws: JSONError(code: .empty, offset: 0)) { try JSONParser().parse("") }
}

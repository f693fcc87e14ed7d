import Commands
import RESP
import Server
import Testing

@Suite struct CommandTableTests {
    @Test func everyNameIsFoundInAnyCase() {
        for spec in CommandTable.shared.specs {
            for name in [spec.title, spec.title.uppercased()] {
                let index = Array(name.utf8).withUnsafeBytes { CommandTable.shared.index(of: $0) }
                #expect(index == spec.name.rawValue)
            }
            #expect(!spec.summary.isEmpty && !spec.syntax.isEmpty)
        }
        for name in ["", "pin", "pingg", "a name of more than 16 bytes"] {
            #expect(CommandTable.shared.spec(named: name) == nil)
        }
    }
}

@Suite struct GlobTests {
    @Test(arguments: [
        ("*", "", true), ("a*c", "abbc", true), ("a*c", "abb", false), ("a?c", "abc", true),
        ("[a-c]x", "bx", true), ("[^a]x", "ax", false), ("\\*", "*", true), ("\\*", "a", false),
        ("*a*b*", "xxaxxbxx", true), ("", "a", false), ("[", "a", false), ("a**", "a", true),
    ])
    func patternsMatchAsInRedis(pattern: String, text: String, matches: Bool) {
        #expect(Glob.matches(pattern, text) == matches)
    }
}

@Suite struct SHA256Tests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func publishedVectorsHold(text: String, digest: String) {
        #expect(SHA256.hex(text.utf8) == digest)
    }
}

@Suite struct AccessStoreTests {
    @Test func savedUsersComeBackTheSame() throws {
        let store = AccessStore(password: "x")
        let bytes = store.encoded()
        let other = AccessStore()
        try other.decode(bytes)
        #expect(other.encoded() == bytes)
        #expect(throws: AccessStore.RuleError.line(1)) { try other.decode(Array("nonsense".utf8)) }
        #expect(other.encoded() == bytes)
    }
}

@Suite struct ConfigurationTests {
    @Test func flagsWinOverEnvironmentOverFile() throws {
        let loaded = try ServerConfiguration.load(
            flags: [("config", "f"), ("port", "3")],
            environment: ["AISLE_PORT": "2", "AISLE_MAX_MEMORY": "8gb"],
            readFile: { _ in "# comment\nport = 1\nlog-level = \"debug\"\nretention = 90m\n" }
        )
        #expect(loaded.port == 3)
        #expect(loaded.memoryMaxBytes == 8 << 30)
        #expect(loaded.logLevel == "debug")
        #expect(loaded.retentionMilliseconds == 5_400_000)
    }

    @Test func mistakesAreNamed() {
        #expect(throws: ConfigurationError.unknown("prot")) {
            try ServerConfiguration.load(flags: [("prot", "1")], environment: [:]) { _ in nil }
        }
        #expect(throws: ConfigurationError.malformedLine(file: "f", line: 2)) {
            try ServerConfiguration.load(flags: [("config", "f")], environment: [:]) { _ in
                "port = 1\nnonsense"
            }
        }
        #expect(throws: ConfigurationError.unreadableFile("f")) {
            try ServerConfiguration.load(flags: [("config", "f")], environment: [:]) { _ in nil }
        }
    }

    @Test func everySettingReadsItsOwnText() throws {
        let defaults = ServerConfiguration()
        for setting in Setting.all {
            var copy = defaults
            try copy.set(setting, setting.text(defaults), source: "test")
            #expect(copy == defaults, "\(setting.name)")
        }
        var changed = defaults
        changed.clientsMax = 7
        changed.logLevel = "error"
        var read = ServerConfiguration()
        try read.apply(fileText: changed.fileText, name: "f")
        #expect(read == changed)
        #expect(Setting.reference.contains("`max-clients`"))
    }
}

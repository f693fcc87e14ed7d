import ArgumentParser
import Client
import Commands
import Glibc

struct CLICommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cli",
        abstract: "Talk to a running server.",
        discussion: """
            With words it runs one command; without, it reads commands from the terminal, with \
            history (arrows) and completion (tab), or from a pipe. JSON goes in single quotes.

            Example:
              aisle cli FIND products '{"price":{"$lt":10}}' LIMIT 3
            """
    )

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print documents as they are, not indented.")
    var raw = false

    @Option(help: "2 or 3: the protocol's version.")
    var resp = 3

    @Argument(parsing: .captureForPassthrough, help: "A command and its words.")
    var words: [String] = []

    func validate() throws {
        guard resp == 2 || resp == 3 else { throw ValidationError("--resp takes 2 or 3") }
    }

    func run() throws {
        // What follows the options is passed on, so help must be looked for here.
        if let word = words.first, word.hasPrefix("-"), word != "--" {
            guard word == "--help" || word == "-h" else {
                throw Failure(status: .usage, text: "cli: there is no option \(word)")
            }
            return print(CLICommand.helpMessage())
        }
        var configuration = try self.connection.client()
        configuration.protocolVersion = resp
        let connection: Connection
        do {
            connection = try Connection(configuration)
        } catch {
            throw Failure(status: .unreachable, text: "aisle cli: \(error)")
        }
        let style = ReplyText.Style(isPretty: !raw, isColored: isatty(1) == 1)
        let words = words.first == "--" ? Array(words.dropFirst()) : words
        if !words.isEmpty {
            try show(connection, words, style)
        } else if isatty(0) == 1 {
            try converse(connection, style)
        } else {
            try runScript(connection, style)
        }
    }

    private func show(
        _ connection: Connection,
        _ words: [String],
        _ style: ReplyText.Style
    ) throws {
        let reply = try call(connection, words)
        print(ReplyText.render(reply, style))
        if reply.errorText != nil { throw ExitCode(Failure.Status.partial.rawValue) }
    }

    private func call(_ connection: Connection, _ words: [String]) throws -> Reply {
        do {
            return try connection.call(words)
        } catch {
            throw Failure(status: .unreachable, text: "aisle cli: \(error)")
        }
    }

    private func runScript(_ connection: Connection, _ style: ReplyText.Style) throws {
        var hasFailed = false
        while let line = readLine(strippingNewline: true) {
            switch CommandWords.split(line) {
            case .failure(let error):
                complain("\(error)")
                hasFailed = true
            case .success(let words) where words.isEmpty || words[0].hasPrefix("#"): continue
            case .success(let words):
                let reply = try call(connection, words)
                print(ReplyText.render(reply, style))
                if reply.errorText != nil { hasFailed = true }
            }
        }
        if hasFailed { throw ExitCode(Failure.Status.partial.rawValue) }
    }

    private func converse(_ first: Connection, _ style: ReplyText.Style) throws {
        var connection = first
        let commands = Self.commandNames(connection)
        let prompt = "\(connection.configuration.endpoint)> "
        let editor = LineEditor(
            prompt: prompt,
            history: HistoryFile.read(),
            complete: { Self.completions(of: $0, commands, connection) },
            hint: { CommandWords.command(of: $0, commands: commands)?.syntax }
        )
        defer { HistoryFile.write(editor.history) }
        print("Tab completes, `help` explains, `exit` ends.")
        while let line = editor.readLine() {
            switch CommandWords.split(line) {
            case .failure(let error): complain("\(error)")
            case .success(let words) where words.isEmpty: continue
            case .success(let words):
                switch words[0].lowercased() {
                case "exit", "quit": return
                case "help", "?": explain(words.dropFirst().first)
                default:
                    let started = ContinuousClock.now
                    guard let reply = try answer(words, &connection) else { continue }
                    print(ReplyText.render(reply, style))
                    let microseconds = Int((ContinuousClock.now - started) / .microseconds(1))
                    print("(\(microseconds / 1_000).\(microseconds % 1_000 / 100) ms)")
                }
            }
        }
    }

    /// The reply; nil when the server was lost and found again: whether it had carried out the
    /// command is not known, so it is not sent twice.
    private func answer(_ words: [String], _ connection: inout Connection) throws -> Reply? {
        do {
            return try connection.call(words)
        } catch {
            complain("\(error)")
            do {
                connection = try Connection(connection.configuration)
            } catch {
                throw Failure(status: .unreachable, text: "aisle cli: \(error)")
            }
            complain("connected again; the command may or may not have been carried out")
            return nil
        }
    }

    private func explain(_ name: String?) {
        guard let name else { return print(CommandReference.overview, terminator: "") }
        if let spec = CommandTable.shared.spec(named: name) {
            print(CommandReference.text(spec), terminator: "")
        } else {
            complain("no command is called \(name)")
        }
    }

    private static func completions(
        of line: String,
        _ commands: [CommandWords.Command],
        _ connection: Connection
    ) -> [String] {
        func names(_ reply: Reply?, _ key: String) -> [String] {
            guard case .array(let elements) = reply else { return [] }
            return elements.compactMap { $0[key]?.text ?? $0.text }
        }
        return CommandWords.completions(
            of: line,
            commands: commands,
            collections: names(try? connection.call("COLLECTIONS"), "name").sorted(),
            fields: { collection in
                let about = try? connection.call("DESCRIBE", collection)
                return names(about?["indexes"], "field").sorted()
            }
        )
    }

    /// The names in the server's command table with their one-line meanings, sorted.
    private static func commandNames(_ connection: Connection) -> [CommandWords.Command] {
        guard let docs = try? connection.call("COMMAND", "DOCS") else { return [] }
        var pairs: [(Reply, Reply)] = []
        if case .map(let map) = docs { pairs = map.map { ($0.key, $0.value) } }
        if case .array(let flat) = docs {
            for at in stride(from: 0, to: flat.count - 1, by: 2) {
                pairs.append((flat[at], flat[at + 1]))
            }
        }
        return pairs.compactMap { name, about in
            name.text.map {
                .init(
                    name: $0.uppercased(),
                    summary: about["summary"]?.text ?? "",
                    syntax: about["syntax"]?.text ?? ""
                )
            }
        }
        .sorted { $0.name < $1.name }
    }
}

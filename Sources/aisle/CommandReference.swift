import ArgumentParser
import Commands

/// The command table for people: at the terminal and as docs/commands.md.
enum CommandReference {
    /// Groups in the order of the page.
    private static let groups = [
        "collections", "documents", "lookups", "transactions", "operations", "connection", "server",
    ]

    private static func commands(of group: String) -> [CommandSpec] {
        CommandTable.shared.specs.filter { $0.group == group }
    }

    /// What `aisle help` prints.
    static var overview: String {
        var text = "aisle: an in-memory index server for commerce documents, and its tools.\n\n"
        text += "SUBCOMMANDS (aisle help NAME, aisle NAME --help)\n"
        for subcommand in AisleCommand.configuration.subcommands {
            let configuration = subcommand.configuration
            text += row(configuration.commandName ?? "", configuration.abstract)
        }
        text += "\nCOMMANDS OF THE SERVER (aisle help NAME)\n"
        for group in groups {
            text += "\n  \(group)\n"
            for spec in commands(of: group) { text += row(spec.title.uppercased(), spec.summary) }
        }
        text += "\nSETTINGS OF THE SERVER\n"
        text += row("settings", "aisle help settings lists them.")
        return text
    }

    private static func row(_ name: String, _ about: String) -> String {
        let padding = String(repeating: " ", count: max(1, 14 - name.count))
        let lines = wrapped(String(repeating: " ", count: 18) + about, indent: 18)
        return "    " + name + padding + lines.drop { $0 == " " }
    }

    /// What `aisle help FIND` prints.
    static func text(_ spec: CommandSpec) -> String {
        var text = wrapped(spec.syntax, indent: 4) + "\n"
        text += wrapped(spec.summary, indent: 0)
        text += "Complexity: \(spec.complexity). Rights: "
        text += spec.categories.map { "@" + $0 }.joined(separator: " ")
        text += ". Since \(spec.since).\n"
        if !spec.options.isEmpty { text += "\nOPTIONS\n" }
        for option in spec.options {
            text += "  \(option.syntax)\n" + wrapped("      \(option.meaning)", indent: 6)
        }
        if !spec.subcommands.isEmpty { text += "\nSUBCOMMANDS\n" }
        for line in spec.subcommands { text += "  \(spec.title.uppercased()) \(line)\n" }
        text += "\nEXAMPLE\n  > \(spec.example.request)\n"
        if !spec.example.reply.isEmpty { text += "  \(spec.example.reply)\n" }
        return text
    }

    /// Lines of at most 100 columns; the first keeps its own indentation.
    private static func wrapped(_ text: String, indent: Int) -> String {
        var lines: [String] = []
        var line = String(text.prefix { $0 == " " })
        var isFresh = true
        for word in text.split(separator: " ", omittingEmptySubsequences: true) {
            if line.count + word.count + 1 > 100 {
                lines.append(line)
                line = String(repeating: " ", count: indent)
                isFresh = true
            }
            line += isFresh ? String(word) : " " + word
            isFresh = false
        }
        lines.append(line)
        return lines.joined(separator: "\n") + "\n"
    }

    /// docs/commands.md.
    static var page: String {
        var page = """
            # Commands

            Written by `aisle help --markdown` from the command table: do not edit. Replies are
            shown as `redis-cli` prints them, on one line; `…` stands for more.

            The collection (`c`) comes first, then what the command works on, then options in any
            order. `f` is a JSON filter in MongoDB's query syntax; `{}` matches all.


            """
        for group in groups {
            let titles = commands(of: group).map { spec in
                let name = spec.title.uppercased()
                return "[\(name)](#\(spec.title))"
            }
            page += "- \(group): \(titles.joined(separator: ", "))\n"
        }
        for group in groups {
            page += "\n## \(group.prefix(1).uppercased() + group.dropFirst())\n"
            for spec in commands(of: group) { page += markdown(spec) }
        }
        return page
    }

    private static func markdown(_ spec: CommandSpec) -> String {
        let name = spec.title.uppercased()
        var text = "\n### \(name)\n\n```\n\(spec.syntax)\n```\n\n\(spec.summary)\n\n"
        let rights = spec.categories.map { "`@\($0)`" }.joined(separator: " ")
        text += "Complexity: \(spec.complexity). Rights: \(rights). Since \(spec.since).\n"
        if !spec.options.isEmpty {
            text += "\n| option | meaning |\n|---|---|\n"
            for option in spec.options {
                text += "| `\(escaped("\(option.syntax)"))` | \(escaped("\(option.meaning)")) |\n"
            }
        }
        if !spec.subcommands.isEmpty {
            text += "\nSubcommands: "
            text += spec.subcommands.map { "`\($0)`" }.joined(separator: ", ") + ".\n"
        }
        text += "\n```\n> \(spec.example.request)\n"
        if !spec.example.reply.isEmpty { text += spec.example.reply + "\n" }
        return text + "```\n"
    }

    /// A bar would end the table's cell.
    private static func escaped(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }
}

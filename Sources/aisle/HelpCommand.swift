import ArgumentParser
import Commands
import Server

/// `aisle help`: the subcommands, the server's commands and its settings, each from its one table.
struct HelpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "help",
        abstract: "Explain a subcommand, a command of the server, or its settings.",
        discussion: """
            Without a word it lists all there is.

            Example:
              aisle help FIND
            """
    )

    @Argument(help: "A subcommand, a command of the server, or `settings`.")
    var topic: String?

    @Flag(help: "Write the whole reference page as Markdown.")
    var markdown = false

    func run() throws {
        switch (topic?.lowercased(), markdown) {
        case (nil, true): print(CommandReference.page, terminator: "")
        case (nil, false): print(CommandReference.overview, terminator: "")
        case ("settings", true): print(Setting.reference, terminator: "")
        case ("settings", false): print(SettingsText.list, terminator: "")
        case (let name?, false): try explain(name)
        case (_, true):
            throw Failure(status: .usage, text: "--markdown goes alone or with `settings`")
        }
    }

    private func explain(_ name: String) throws {
        let subcommand = AisleCommand.configuration.subcommands.first {
            $0.configuration.commandName == name
        }
        let spec = CommandTable.shared.spec(named: name)
        if let subcommand {
            print(AisleCommand.helpMessage(for: subcommand))
            if subcommand == ServeCommand.self { print("\n" + SettingsText.list, terminator: "") }
        }
        if let spec {
            if subcommand != nil { print("\nAlso a command of the server:\n") }
            print(CommandReference.text(spec), terminator: "")
        }
        if subcommand == nil, spec == nil {
            throw Failure(status: .usage, text: "help: nothing is called `\(name)`; see aisle help")
        }
    }
}

/// The settings of the server for a terminal.
enum SettingsText {
    /// Every setting with its values, its default and what it is for.
    static var list: String {
        let defaults = ServerConfiguration()
        var text = """
            SETTINGS, from flags (--port 2475), then variables (AISLE_PORT=2475), then --config FILE
            (port = 2475), then these defaults; those marked * can be changed by CONFIG SET:

            """
        for setting in Setting.all {
            let value = setting.text(defaults)
            text += "  --\(setting.name)\(setting.needsRestart ? "" : " *")"
            text += value.isEmpty ? "\n" : "  (\(value))\n"
            text += "      \(setting.help) Values: \(setting.range).\n"
        }
        return text
    }
}

extension CommandTable {
    /// The verbs that the server carries out itself: Redis's, with Redis's meaning.
    static var adminCommands: [CommandSpec] { connectionCommands + serverCommands }

    private static var connectionCommands: [CommandSpec] {
        let group = "connection"
        return [
            CommandSpec(
                .ping,
                arity: -1,
                [.fast, .loading, .queued, .server],
                group: group,
                "Answers PONG, or its argument.",
                syntax: "PING [message]",
                example: ("PING", "PONG")
            ),
            CommandSpec(
                .echo,
                arity: 2,
                [.fast, .loading, .queued, .server],
                group: group,
                "Answers with its argument.",
                syntax: "ECHO message",
                example: ("ECHO hi", "hi")
            ),
            CommandSpec(
                .hello,
                arity: -1,
                [.fast, .loading, .noAuth, .server, .secret],
                group: group,
                "Chooses the protocol, authenticates and names the connection.",
                syntax: "HELLO [2|3 [AUTH user password] [SETNAME name]]",
                options: [
                    .init("AUTH user password", "authenticate first"),
                    .init("SETNAME name", "name the connection"),
                ],
                example: ("HELLO 2", "1) server 2) aisle 3) version 4) … 5) proto 6) 2 …")
            ),
            CommandSpec(
                .auth,
                arity: -2,
                [.fast, .loading, .noAuth, .server, .secret],
                group: group,
                "Authenticates the connection.",
                syntax: "AUTH [user] password",
                example: ("AUTH ada secret", "OK")
            ),
            CommandSpec(
                .select,
                arity: 2,
                [.fast, .loading, .server],
                group: group,
                "Accepts database 0, the only one.",
                syntax: "SELECT 0",
                example: ("SELECT 0", "OK")
            ),
            CommandSpec(
                .quit,
                arity: -1,
                [.fast, .loading, .noAuth, .inMulti, .server],
                group: group,
                "Closes the connection after the replies.",
                syntax: "QUIT",
                example: ("QUIT", "OK")
            ),
            CommandSpec(
                .reset,
                arity: 1,
                [.fast, .loading, .noAuth, .inMulti, .server],
                group: group,
                "Puts the connection back to its first state.",
                syntax: "RESET",
                example: ("RESET", "RESET")
            ),
            CommandSpec(
                .client,
                arity: -2,
                [.admin, .loading, .server],
                group: group,
                "Lists, names and closes connections.",
                syntax: "CLIENT <subcommand>",
                complexity: "O(connections)",
                subcommands: [
                    "ID", "INFO", "LIST [TYPE normal] [ID id..]", "KILL addr | <filter value>..",
                    "GETNAME", "SETNAME name", "SETINFO lib-name|lib-ver value",
                    "NO-EVICT on|off", "NO-TOUCH on|off", "HELP",
                ],
                example: ("CLIENT GETNAME", "loader")
            ),
            CommandSpec(
                .watch,
                arity: -2,
                [.fast, .loading, .server],
                group: "transactions",
                "Refused: writes carry their conditions themselves.",
                syntax: "WATCH key..",
                example: ("WATCH notes", "ERR use IF or VERSION")
            ),
            CommandSpec(
                .unwatch,
                arity: 1,
                [.fast, .loading, .server],
                group: "transactions",
                "Does nothing.",
                syntax: "UNWATCH",
                example: ("UNWATCH", "OK")
            ),
        ]
    }

    private static var serverCommands: [CommandSpec] {
        let group = "server"
        let usual: CommandFlags = [.loading, .server]
        let admin: CommandFlags = [.admin, .dangerous, .loading, .server]
        return [
            CommandSpec(
                .command,
                arity: -1,
                usual,
                group: group,
                "Describes the commands.",
                syntax: "COMMAND [COUNT | DOCS [name..] | INFO [name..] | LIST | GETKEYS ..]",
                complexity: "O(commands)",
                subcommands: [
                    "COUNT", "DOCS [name..]", "INFO [name..]", "LIST", "GETKEYS command..",
                ],
                example: ("COMMAND COUNT", "52")
            ),
            CommandSpec(
                .config,
                arity: -2,
                admin.union(.secret),
                group: group,
                "Reads and changes settings; SET holds until restart, REWRITE persists.",
                syntax: "CONFIG <subcommand>",
                complexity: "O(settings)",
                subcommands: ["GET pattern..", "SET name value..", "REWRITE", "RESETSTAT", "HELP"],
                example: ("CONFIG GET max-clients", "1) max-clients 2) 10000")
            ),
            CommandSpec(
                .info,
                arity: -1,
                usual.union(.dangerous),
                group: group,
                "Shows the server's state and figures.",
                syntax: "INFO [section..]",
                complexity: "O(collections)",
                example: ("INFO server", "# Server…")
            ),
            CommandSpec(
                .acl,
                arity: -2,
                admin.union(.secret),
                group: group,
                "Manages users and rights.",
                syntax: "ACL <subcommand>",
                complexity: "O(users)",
                subcommands: [
                    "SETUSER name [rule..]", "GETUSER name", "DELUSER name..", "LIST", "USERS",
                    "WHOAMI", "CAT [category]", "GENPASS [bits]", "DRYRUN user command [arg..]",
                    "LOAD", "SAVE", "LOG [count|RESET]", "HELP",
                ],
                example: ("ACL WHOAMI", "default")
            ),
            CommandSpec(
                .slowlog,
                arity: -2,
                admin,
                group: group,
                "Shows the slowest recent requests.",
                syntax: "SLOWLOG GET [count] | LEN | RESET",
                complexity: "O(entries)",
                subcommands: ["GET [count]", "LEN", "RESET", "HELP"],
                example: ("SLOWLOG LEN", "0")
            ),
            CommandSpec(
                .memory,
                arity: -2,
                [.read, .loading, .server],
                group: group,
                "Shows where memory goes.",
                syntax: "MEMORY USAGE collection[/id] | STATS | DOCTOR",
                complexity: "O(fields)",
                subcommands: ["USAGE collection[/id]", "STATS", "DOCTOR", "HELP"],
                example: ("MEMORY USAGE notes", "46576")
            ),
            CommandSpec(
                .latency,
                arity: -2,
                admin,
                group: group,
                "Shows latency per command.",
                syntax: "LATENCY HISTOGRAM [command..] | RESET | LATEST | DOCTOR",
                complexity: "O(commands)",
                subcommands: ["HISTOGRAM [command..]", "RESET", "LATEST", "DOCTOR", "HELP"],
                example: ("LATENCY RESET", "0")
            ),
            CommandSpec(
                .dbsize,
                arity: 1,
                [.read, .fast, .server],
                group: group,
                "Counts all documents.",
                syntax: "DBSIZE",
                complexity: "O(collections)",
                example: ("DBSIZE", "1")
            ),
            CommandSpec(
                .time,
                arity: 1,
                usual.union(.fast),
                group: group,
                "Tells the server's time in seconds and microseconds.",
                syntax: "TIME",
                example: ("TIME", "1) 1768992000 2) 120")
            ),
            CommandSpec(
                .shutdown,
                arity: -1,
                admin,
                group: group,
                "Finishes what was acknowledged and stops.",
                syntax: "SHUTDOWN [SAVE|NOSAVE]",
                example: ("SHUTDOWN", "")
            ),
        ]
    }
}

import Client
import Glibc

/// A small line editor for terminals: moving, deleting, history, completion with tab.
///
/// Keys: arrows, Home, End, Ctrl-A/E/B/F/P/N/K/U/W/L, Backspace, Delete, Tab; Ctrl-C clears the
/// line, Ctrl-D on an empty one ends.
final class LineEditor {
    private let prompt: String
    private let complete: (String) -> [String]
    private let hint: (String) -> String?
    private(set) var history: [String]
    private var line: [Character] = []
    private var cursor = 0

    /// An editor; `complete` gives what a line may become, `hint` what is said where that is
    /// nothing.
    init(
        prompt: String,
        history: [String],
        complete: @escaping (String) -> [String],
        hint: @escaping (String) -> String?
    ) {
        self.prompt = prompt
        self.history = history
        self.complete = complete
        self.hint = hint
    }

    /// The next line; nil at the end of the input.
    func readLine() -> String? {
        var saved = termios()
        guard tcgetattr(0, &saved) == 0 else { return Swift.readLine() }
        var raw = saved
        cfmakeraw(&raw)
        raw.c_oflag |= tcflag_t(OPOST)
        tcsetattr(0, TCSADRAIN, &raw)
        defer { tcsetattr(0, TCSADRAIN, &saved) }
        line = []
        cursor = 0
        var place = history.count
        draw()
        while let key = readKey() {
            switch key {
            case .enter:
                write("\n")
                let text = String(line)
                if !text.isEmpty, history.last != text { history.append(text) }
                return text
            case .end where line.isEmpty:
                write("\n")
                return nil
            case .end: delete(at: cursor)
            case .interrupt:
                write("^C\n")
                line = []
                cursor = 0
            case .up, .down:
                place = min(max(place + (key == .up ? -1 : 1), 0), history.count)
                line = place < history.count ? Array(history[place]) : []
                cursor = line.count
            case .tab: completeLine()
            default: edit(key)
            }
            draw()
        }
        return nil
    }

    private enum Key: Equatable {
        case character(Character)
        case enter, end, interrupt, up, down, left, right, home, lineEnd, backspace, delete
        case tab, cutEnd, cutLine, cutWord, clear, other
    }

    private func edit(_ key: Key) {
        switch key {
        case .character(let character):
            line.insert(character, at: cursor)
            cursor += 1
        case .left: cursor = max(cursor - 1, 0)
        case .right: cursor = min(cursor + 1, line.count)
        case .home: cursor = 0
        case .lineEnd: cursor = line.count
        case .backspace where cursor > 0:
            cursor -= 1
            delete(at: cursor)
        case .delete: delete(at: cursor)
        case .cutEnd: line.removeSubrange(cursor...)
        case .cutLine:
            line.removeSubrange(..<cursor)
            cursor = 0
        case .cutWord:
            var start = cursor
            while start > 0, line[start - 1] == " " { start -= 1 }
            while start > 0, line[start - 1] != " " { start -= 1 }
            line.removeSubrange(start..<cursor)
            cursor = start
        case .clear: write("\u{1B}[H\u{1B}[2J")
        default: break
        }
    }

    private func delete(at index: Int) {
        if index < line.count { line.remove(at: index) }
    }

    private func completeLine() {
        guard cursor == line.count else { return }
        let found = complete(String(line))
        guard let first = found.first else {
            return write(hint(String(line)).map { "\n\($0)\n" } ?? "\u{07}")
        }
        var common = Array(first)
        for other in found.dropFirst() {
            common = Array(zip(common, other).prefix { $0 == $1 }.map(\.0))
        }
        if common.count >= line.count { line = common }
        if found.count == 1 {
            if !CommandWords.isListOfFields(first) { line.append(" ") }
        } else {
            let words = found.map {
                $0.split { $0 == " " || $0 == "," }.last.map(String.init) ?? $0
            }
            write("\n" + words.joined(separator: "  ") + "\n")
        }
        cursor = line.count
    }

    /// Shows the prompt and the part of the line around the cursor that fits the terminal.
    private func draw() {
        var size = winsize()
        let isKnown = ioctl(1, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        let room = max(10, (isKnown ? Int(size.ws_col) : 80) - prompt.count - 1)
        var start = cursor
        var width = 0
        while start > 0, width + Self.width(line[start - 1]) <= room {
            start -= 1
            width += Self.width(line[start])
        }
        var end = cursor
        var back = 0
        while end < line.count, width + back + Self.width(line[end]) <= room {
            back += Self.width(line[end])
            end += 1
        }
        let shown = String(line[start..<end])
        write("\r\u{1B}[K" + prompt + shown + (back > 0 ? "\u{1B}[\(back)D" : ""))
    }

    /// Columns of a character: two for the wide ones of East Asia and for emoji.
    private static func width(_ character: Character) -> Int {
        guard let value = character.unicodeScalars.first?.value, value >= 0x1100 else { return 1 }
        let wide: [ClosedRange<UInt32>] = [
            0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD,
        ]
        return wide.contains { $0.contains(value) } ? 2 : 1
    }

    private func readByte() -> UInt8? {
        var byte: UInt8 = 0
        while true {
            let count = read(0, &byte, 1)
            if count == 1 { return byte }
            if count < 0, errno == EINTR { continue }
            return nil
        }
    }

    private func readKey() -> Key? {
        guard let byte = readByte() else { return nil }
        switch byte {
        case 10, 13: return .enter
        case 1: return .home
        case 2: return .left
        case 3: return .interrupt
        case 4: return .end
        case 5: return .lineEnd
        case 6: return .right
        case 8, 127: return .backspace
        case 9: return .tab
        case 11: return .cutEnd
        case 12: return .clear
        case 14: return .down
        case 16: return .up
        case 21: return .cutLine
        case 23: return .cutWord
        case 27: return readEscape()
        case 0..<32: return .other
        default: return readCharacter(byte)
        }
    }

    private func readEscape() -> Key? {
        guard let kind = readByte(), kind == 0x5B || kind == 0x4F, let code = readByte() else {
            return .other
        }
        switch code {
        case 0x41: return .up
        case 0x42: return .down
        case 0x43: return .right
        case 0x44: return .left
        case 0x48: return .home
        case 0x46: return .lineEnd
        case 0x30...0x39:
            while let next = readByte(), next != 0x7E {}
            return code == 0x33 ? .delete : code == 0x31 ? .home : code == 0x34 ? .lineEnd : .other
        default: return .other
        }
    }

    private func readCharacter(_ first: UInt8) -> Key? {
        var bytes = [first]
        let more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0
        for _ in 0..<more { if let byte = readByte() { bytes.append(byte) } }
        return String(decoding: bytes, as: UTF8.self).first.map { .character($0) } ?? .other
    }

    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(1, bytes, bytes.count)
    }
}

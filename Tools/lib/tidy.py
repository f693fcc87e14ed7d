"""Checks that no compiler makes: lengths, banned words and calls, imports, dead files.

Prints each finding as FILE:LINE: what; exits with 1 when there is any. Functions that were too long
when the rule came stand in tidy-ratchet.json with their length: they may shrink, never grow.
"""

import ast
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RATCHET = ROOT / "Tools/lib/tidy-ratchet.json"
COLUMNS, FUNCTION_LINES, FILE_LINES = 100, 70, 800
CODE = {".swift", ".c", ".cpp", ".h", ".py", ".sh"}

#: Modules whose start-up time and portability must not hang on Foundation.
NO_FOUNDATION = {"Primitives", "Documents", "Schema", "Query", "ColumnIndex", "DocumentStore",
                 "VectorIndex", "GeoIndex", "GeoJSON", "HoursIndex", "Partition", "Engine",
                 "RESP"}
#: Modules whose results depend on their arguments alone: clock and randomness are passed in.
DETERMINISTIC = {"Documents", "Schema", "Query", "ColumnIndex", "VectorIndex", "GeoIndex",
                 "GeoJSON", "HoursIndex", "Partition"}
#: Modules that may write to standard output.
TALKATIVE = {"aisle", "Bench", "Importer", "Client"}

#: (pattern, where, reason): where is a function of the module name.
BANNED = [
    (r"\btry!", lambda m: True, "use do/catch or a typed throw: a bad input must not trap"),
    (r"\bas!\s", lambda m: True, "use as? or a generic"),
    (r"\bprint\(", lambda m: m not in TALKATIVE, "libraries do not print: return or log"),
    (r"\bDate\(\)", lambda m: m in DETERMINISTIC, "take the time as an argument"),
    (r"SystemRandomNumberGenerator|\.random\(in: [^,)]*\)", lambda m: m in DETERMINISTIC,
     "take a seeded generator as an argument"),
    # Alone among the traps it says its text in release builds too: wanted when memory ends.
    (r"\bfatalError\((?!\"out of memory)", lambda m: True,
     "use precondition with its condition"),
    (r"-Ounchecked", lambda m: True, "it drops the checks and lets the optimiser assume them"),
]
# Written in two parts so that this file does not find itself.
UNFINISHED = re.compile(r"\b(FIX" r"ME|TO" r"DO|XX" r"X|HA" r"CK)\b")
PRIVATE = re.compile(
    r"(?<![\w.$}])/(wo" r"rk|ro" r"ot|home/\w+|op" r"t/swift)(/|\b)|/tmp" r"/(pkg|brief)")

findings = []


def found(path, line, text):
    findings.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def tracked():
    """The files that are, or are about to be, in the repository."""
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT,
                         capture_output=True, check=True).stdout.decode()
    return sorted(p for p in (ROOT / name for name in set(out.split("\0")) if name) if p.is_file())


def module_of(path):
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "Sources" and len(parts) > 2 else None


def swift_functions(lines):
    """(name, first line, line count) of each function, by the formatter's indentation."""
    head = re.compile(r"^(\s*)(?:@\S+ )*(?:[a-z()]+ )*"
                      r"(func (\S+?)[(<]|init[?(<]|deinit|subscript[(<])")
    number = 0
    while number < len(lines):
        match = head.match(lines[number])
        if match and not lines[number].rstrip().endswith("}"):
            close = match.group(1) + "}"
            end = number + 1
            while end < len(lines) and lines[end].rstrip() != close:
                # A requirement of a protocol has no body.
                if not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) < len(
                        match.group(1)):
                    if not any(line.rstrip().endswith("{") for line in lines[number:end + 1]):
                        end = None
                        break
                end += 1
            if end is not None and end < len(lines):
                yield match.group(3) or match.group(2).rstrip("(<?"), number + 1, end - number + 1
        number += 1


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def check_functions(path, text, lines, ratchet, seen):
    functions = python_functions(text) if path.suffix == ".py" else swift_functions(lines)
    for name, line, count in functions:
        if count <= FUNCTION_LINES:
            continue
        key = f"{path.relative_to(ROOT)}:{name}"
        seen[key] = max(count, seen.get(key, 0))
        if count > ratchet.get(key, FUNCTION_LINES):
            found(path, line, f"{name} has {count} lines, at most "
                              f"{ratchet.get(key, FUNCTION_LINES)}")


def check_swift(path, lines):
    module = module_of(path)
    for number, line in enumerate(lines, 1):
        code = line.split("//")[0]
        if module in NO_FOUNDATION and re.match(r"\s*(package |public )?import Foundation", line):
            found(path, number, f"{module} does without Foundation")
        if module is None:
            continue
        for pattern, where, reason in BANNED:
            if where(module) and re.search(pattern, code):
                found(path, number, f"{pattern}: {reason}")
        if "@unchecked Sendable" in code:
            above = "\n".join(lines[max(0, number - 12):number])
            if "SAFETY" not in above and "Sendable" not in above.replace(line, ""):
                found(path, number, "@unchecked Sendable needs its proof above it")


def check_file(path, ratchet, seen):
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    if path.stat().st_size == 0:
        found(path, 1, "empty file")
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if PRIVATE.search(line):
            found(path, number, "names a path of some machine")
    if path.suffix not in CODE and path != ROOT / "Tools/dev":
        return
    if len(lines) > FILE_LINES:
        found(path, 1, f"{len(lines)} lines, at most {FILE_LINES}")
    for number, line in enumerate(lines, 1):
        # A document within a test is one literal: broken in two it would be another text.
        literal = path.parts[-3:-2] == ("Tests",) and re.match(r'\s*(== )?(#"|")', line)
        if len(line) > COLUMNS and not literal:
            found(path, number, f"{len(line)} columns, at most {COLUMNS}")
        if UNFINISHED.search(line):
            found(path, number, "unfinished work belongs in an issue")
        if line != line.rstrip():
            found(path, number, "white space at the end")
    if path.suffix in (".swift", ".py"):
        check_functions(path, text, lines, ratchet, seen)
    if path.suffix == ".swift":
        check_swift(path, lines)


def check_dead(files):
    """Folders that no target names, placeholders, scripts that nobody calls."""
    manifest = (ROOT / "Package.swift").read_text()
    targets = set(re.findall(r'(?:name|path): "([^"]+)"', manifest))
    named = {t.split("/")[-1] for t in targets}
    for path in files:
        parts = path.relative_to(ROOT).parts
        if parts[0] in ("Sources", "Tests") and path.suffix == ".swift" and len(parts) > 2:
            if parts[1] not in named and not any(parts[1] in t for t in targets):
                # Tests are listed by a loop in the manifest: the word must still stand there.
                base = parts[1].removesuffix("Tests")
                if f'"{base}"' not in manifest:
                    found(path, 1, f"no target in Package.swift holds {parts[0]}/{parts[1]}")
        if path.name == "Placeholder.swift":
            found(path, 1, "a placeholder is left")
    tools = [p for p in files if p.relative_to(ROOT).parts[0] in ("Tools", ".ci")]
    texts = {p: p.read_text(errors="replace") for p in tools + [
        p for p in files if p.suffix in (".md", ".py")]}
    for path in tools:
        if path.suffix in (".sh", ".py") and not any(
                path.name in text or f"/{path.stem}" in text
                for other, text in texts.items() if other != path):
            found(path, 1, "nothing names this script")


def check_decisions():
    """Each dependency has its decision record."""
    manifest = (ROOT / "Package.swift").read_text()
    names = [url.split("/")[-1] for url in re.findall(r'\.package\(\s*url: "([^"]+)"', manifest)]
    names += re.findall(r'pkgConfig: "([^"]+)"', manifest)
    records = " ".join(p.name for p in (ROOT / "docs/decisions").glob("*.md"))
    for name in names:
        if name.removeprefix("lib") not in records:
            found(ROOT / "Package.swift", 1, f"no decision record in docs/decisions for {name}")


def main():
    ratchet = json.loads(RATCHET.read_text())
    seen = {}
    files = tracked()
    for path in files:
        check_file(path, ratchet, seen)
    check_dead(files)
    check_decisions()
    for key, allowed in ratchet.items():
        if seen.get(key, 0) < allowed:
            findings.append(f"{key}: now {seen.get(key, 'short')} lines, lower the ratchet")
    for line in findings:
        print(line)
    print(f"tidy: {len(files)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs the README's tour against a real server and rewrites its blocks with the real output.

A block begins with `<!-- tour -->` and ends with `<!-- end of tour -->`. Inside, lines that begin
with `$ ` are commands; what follows each is replaced by what it prints.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))

from aisle_server import Server, binary  # noqa: E402  the path is set above

BLOCK = re.compile(r"(<!-- tour -->\n```console\n)(.*?)(```\n<!-- end of tour -->)", re.S)
LINES, COLUMNS = 24, 110


def restore_catalogue(data):
    subprocess.run([binary(), "restore", ROOT / "Snapshots/demo/catalogue.snap", "--data", data],
                   check=True, stdout=subprocess.DEVNULL)


def answer(server, command):
    """What one command of the tour prints, shortened as said in the README."""
    place = {"redis-cli": f"redis-cli -s {server.unix}",
             "aisle cli": f"{binary()} cli --unix {server.unix}"}
    # Only the programs' names: a document may hold the same words.
    line = re.sub(r"(^|\| )(redis-cli|aisle cli)\b", lambda m: m[1] + place[m[2]], command)
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    lines = (done.stdout + done.stderr).rstrip("\n").splitlines()
    shown = [line if len(line) <= COLUMNS else line[:COLUMNS - 1] + "…" for line in lines[:LINES]]
    return shown + (["…"] if len(lines) > LINES else [])


def rewrite(server, block):
    out = []
    for line in block.splitlines():
        if line.startswith("$ "):
            out += [*([""] if out else []), line, *answer(server, line[2:])]
    return "\n".join(out) + "\n"


def main():
    readme = ROOT / "README.md"
    text = readme.read_text()
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        restore_catalogue(data)
        server = Server(data).start()
        try:
            text = BLOCK.sub(lambda m: m[1] + rewrite(server, m[2]) + m[3], text)
        finally:
            server.stop()
    readme.write_text(text)
    print(json.dumps({"blocks": len(BLOCK.findall(text))}))


if __name__ == "__main__":
    main()

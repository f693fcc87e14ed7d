"""The reference pages are those of this build, and every example in them is what happens."""

import re

import pytest

from aisle_resp import Closed, RespError, as_map
from aisle_server import REPOSITORY, run_aisle

BLOCK = re.compile(r"^### (\w+)\n.*?^```\n> (.*?)\n(.*?)^```\n", re.S | re.M)
SCHEMA = '{"fields":{"title":{"type":"keyword","index":true},"draft":{"type":"bool"}}}'
TEAS = [
    ["CREATE", "teas", '{"fields":{"taste":{"type":"vector","dimensions":3,"index":true}}}'],
    ["PUT", "teas", "1", '{"taste":[1,0.2,0]}'],
    ["PUT", "teas", "2", '{"taste":[1,0.3,0]}'],
    ["PUT", "teas", "3", '{"taste":[0,1,1]}'],
]
CAFES = [
    ["CREATE", "cafes", '{"fields":{"at":{"type":"geopoint","index":true,"radius":"km"},'
                        '"km":{"type":"float"}}}'],
    ["PUT", "cafes", "1", '{"at":[-122.33,47.63],"km":2}'],
    ["PUT", "cafes", "2", '{"at":[-122.3268,47.61],"km":5}'],
]
#: What comes before an example; without an entry here only the collection and document 1 do.
BEFORE = {
    "CREATE": [["DROP", "notes"]],
    "AUTH": [["ACL", "SETUSER", "ada", "on", ">secret", "~*", "+@all"]],
    "CLIENT": [["CLIENT", "SETNAME", "loader"]],
    "EXEC": [["MULTI"], ["PUT", "notes", "2", '{"title":"Mate"}'], ["FETCH", "notes", "2"]],
    "DISCARD": [["MULTI"]],
    "EXPORT": [["PUT", "notes", "2", '{"title":"Mate"}']],
    "MORE": [["PUT", "notes", "2", '{"title":"Mate"}'], ["EXPORT", "notes", "BATCH", "1"]],
    "JOBS": [["RESHARD", "2"]],
    "SIMILAR": TEAS,
    "RECOMMEND": TEAS,
    "RECALL": TEAS,
    "NEARBY": CAFES,
    "WITHIN": CAFES,
    "COVER": CAFES,
    "DELIVERS": CAFES,
}


def page():
    return run_aisle("help", "--markdown").stdout.decode()


def examples():
    return [pytest.param(*found.groups(), id=found[1]) for found in BLOCK.finditer(page())]


def shown(reply):
    """A RESP2 reply as redis-cli prints it, on one line."""
    if isinstance(reply, list):
        return " ".join(f"{at}) {shown(part)}" for at, part in enumerate(reply, 1)) or "(empty)"
    if isinstance(reply, bytes):
        return reply.decode()
    if isinstance(reply, RespError):
        return reply.text
    return "(nil)" if reply is None else str(reply)


def agrees(command, expected, got):
    """Whether a reply is the example's; `…` stands for anything, versions and times may differ."""
    pattern = re.escape(expected.rstrip("\n")).replace("…", ".*")
    pattern = re.sub(r"(version|took_us)(\\ \d+\\\)\\ )\d+", r"\1\2\\d+", pattern)
    if command in ("MEMORY", "TIME"):
        pattern = re.sub(r"(?<!\\)\d{3,}", r"\\d+", pattern)
    return re.fullmatch(pattern, got, re.S)


@pytest.mark.parametrize("command, request_text, reply_text", examples())
def test_example_in_the_command_table(own_server, command, request_text, reply_text):
    server = own_server("--partitions", "2")
    words = request_text.split(" ")
    with server.connect(2) as connection:
        connection.call("CREATE", "notes", SCHEMA)
        connection.call("PUT", "notes", "1", '{"title":"Chai"}')
        for line in BEFORE.get(command, []):
            last = connection.call(*line)
        if command == "MORE":
            words[1] = as_map(last)["cursor"]
        if command == "SHUTDOWN":
            with pytest.raises(Closed):
                connection.call(*words)
            return
        got = shown(connection.reply(*words))
    print(f"> {request_text}\n{got}")
    assert agrees(command, reply_text, got), f"> {request_text}\n{reply_text}is really\n{got}"


def test_examples_in_the_page_of_places(own_server):
    lines = [line.strip() for line in (REPOSITORY / "docs/places.md").read_text().splitlines()
             if line.startswith("    ")]
    assert len(lines) > 20
    with own_server().connect(3) as connection:
        for line in lines:
            reply = connection.reply(*split(line))
            assert not isinstance(reply, RespError), f"{line}\n{reply}"
            hits = reply.get("hits") if isinstance(reply, dict) else None
            if line.startswith(("NEARBY", "WITHIN", "COVER", "FIND")):
                assert hits, f"finds nothing: {line}"
            if line.startswith("DELIVERS"):
                assert reply["can_deliver"] is True


def split(line):
    """Words of a line; spaces in braces do not part them."""
    words, depth = [""], 0
    for letter in line:
        depth += (letter in "{[") - (letter in "}]")
        if letter == " " and depth == 0:
            words.append("")
        else:
            words[-1] += letter
    return words


@pytest.mark.parametrize("file, words", [
    ("docs/commands.md", ["help", "--markdown"]),
    ("docs/configuration.md", ["help", "settings", "--markdown"]),
])
def test_generated_page_is_up_to_date(file, words):
    done = run_aisle(*words)
    assert done.returncode == 0, done.stderr
    assert (REPOSITORY / file).read_text() == done.stdout.decode(), "run Tools/dev docs"

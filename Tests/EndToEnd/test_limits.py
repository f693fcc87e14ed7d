"""Bad input and bad clients: each gets its error, and the server goes on."""

import json
import socket
import threading
import time

import pytest

from aisle_resp import Closed, RespError, as_map, encode
from aisle_server import PATIENCE


@pytest.fixture
def c(db3, name):
    db3.call("CREATE", name, json.dumps({"fields": {
        "n": {"type": "int", "index": True}, "f": {"type": "float"},
        "v": {"type": "vector", "dimensions": 2, "metric": "l2"}}}))
    return name


def goes_on(server, c):
    """The server still takes writes and answers."""
    with server.connect(3) as db:
        db.call("PUT", c, "still", '{"n":1}')
        assert db.call("FETCH", c, "still") == '{"n":1}'


def raw(server, data, wait=20):
    """Everything the server says to these bytes until it closes or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait * PATIENCE) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            # The server has closed already; what it said may still be read.
            pass
        received = b""
        try:
            while True:
                part = s.recv(65536)
                if not part:
                    break
                received += part
        except ConnectionResetError:
            pass
        return received


@pytest.mark.parametrize("data", [
    b"*1\r\n$70000000\r\n", b"*1\r\n$99999999999999999999\r\n", b"*99999999\r\n",
    b"*-5\r\n$1\r\n", b"*1\r\n!4\r\nPING\r\n", b"*x\r\n", b"*1\r\n$-4\r\n", b"*1\r\n$4x\r\n",
    b"*2\r\n$4\r\nPING\r\n:1\r\n", b"a" * 70_000 + b"\r\n",
], ids=lambda d: repr(d[:24]))
def test_broken_frames_get_a_protocol_error(server, c, data):
    reply = raw(server, data)
    assert reply == b"" or reply.startswith(b"-ERR"), reply
    if data[:1] == b"*" and data[1:2] != b"-":
        assert reply.startswith(b"-ERR Protocol error") or reply.startswith(b"-LIMIT"), reply
    goes_on(server, c)


def test_garbage_does_no_harm(server, c, seed):
    import random
    rng = random.Random(seed)
    for _ in range(50):
        raw(server, rng.randbytes(rng.randrange(1, 2000)))
    goes_on(server, c)


def test_a_frame_over_the_limit_is_refused(server, c):
    reply = raw(server, b"*2\r\n$4\r\nECHO\r\n$68000000\r\n" + b"x" * 1_000_000)
    assert reply.startswith(b"-"), reply[:100]
    goes_on(server, c)


def test_a_document_over_the_limit_is_refused(server, db3, c):
    document = json.dumps({"s": "x" * (1 << 20)})
    assert db3.code("PUT", c, "1", document) == "LIMIT"
    db3.call("PUT", c, "1", json.dumps({"s": "x" * ((1 << 20) - 100)}))
    goes_on(server, c)


@pytest.mark.parametrize("document", [
    "[" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000, '{"a":' + "[" * 2000 + "]" * 2000 + "}",
], ids=["brackets", "objects", "arrays"])
def test_depth_bombs(server, db3, c, document):
    assert db3.code("PUT", c, "1", document) in ("INVALID", "LIMIT")
    assert db3.code("FIND", c, document) in ("INVALID", "LIMIT")
    assert db3.code("PATCH", c, "1", document, "UPSERT") in ("INVALID", "LIMIT")
    goes_on(server, c)


INVALID_DOCUMENTS = {
    "empty": b"", "space": b" ", "array": b"[1]", "string": b'"x"', "number": b"5",
    "open": b'{"a":1', "trailing": b'{"a":1} x', "two": b"{}{}", "comma": b'{"a":1,}',
    "single quotes": b"{'a':1}", "bare word": b"{a:1}", "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}', "leading zero": b'{"a":01}', "plus": b'{"a":+1}',
    "dot": b'{"a":1.}', "hex": b'{"a":0x10}', "comment": b'{"a":1/**/}',
    "control": b'{"a":"\x01"}', "newline": b'{"a":"x\ny"}', "escape": b'{"a":"\\x41"}',
    "lone surrogate": b'{"a":"\\ud800"}', "bad UTF-8": b'{"a":"\xff\xfe"}',
    "overlong": b'{"a":"\xc0\xaf"}', "cut UTF-8": b'{"a":"\xe2\x82"}',
    "surrogate bytes": b'{"a":"\xed\xa0\x80"}', "NUL": b'{"a":1}\x00', "BOM": b'\xef\xbb\xbf{}',
    "duplicate": b'{"a":1,"a":2}', "nested duplicate": b'{"x":[{"b":1,"c":2,"b":3}]}',
    "escaped duplicate": b'{"a":1,"\\u0061":2}', "bad key": b'{"\xff":1}',
}


@pytest.mark.parametrize("label", INVALID_DOCUMENTS)
def test_invalid_json_is_refused(server, db3, c, label):
    reply = db3.reply("PUT", c, "1", INVALID_DOCUMENTS[label])
    assert isinstance(reply, RespError), f"accepted {label}"
    assert reply.code == "INVALID", reply.text
    assert "\n" not in reply.text and "\r" not in reply.text
    if label == "nested duplicate":
        assert "x.0" in reply.text and "b" in reply.text, reply.text
    assert db3.call("FETCH", c, "1") is None


def test_huge_numbers(db3, c):
    for text in ("1e400", "-1e400", "123456789012345678901234567890", "1e-400",
                 "0." + "0" * 300 + "1", "9" * 400):
        db3.call("PUT", c, "1", '{"undeclared":' + text + "}")
        assert db3.call("FETCH", c, "1") == '{"undeclared":' + text + "}"
        assert db3.call("COUNT", c, '{"undeclared":' + text + "}") == 1
    for text in ("1e400", "9223372036854775808", "1.5"):
        assert db3.code("PUT", c, "2", '{"n":' + text + "}") == "INVALID"
    assert db3.code("PUT", c, "2", '{"f":1e400}') == "INVALID"
    assert db3.reply("COUNT", c, '{"n":{"$lt":1e400}}') == 0
    db3.call("PUT", c, "3", '{"n":9223372036854775807}')
    assert db3.call("COUNT", c, '{"n":{"$lt":1e400}}') == 1
    assert db3.call("COUNT", c, '{"n":{"$gt":9223372036854775806.5}}') == 1
    assert db3.call("COUNT", c, '{"n":{"$gte":9223372036854775808}}') == 0


@pytest.mark.parametrize("pattern,count", [
    ("(a+)+$", 0), ("(a+)+!$", 1), ("(a|a)*b", 0), ("(a|a)*!", 1), ("(.*)*x", 0), ("((a*)*)*", 1),
    ("^(a?){40}a{40}", 1)])
def test_regular_expressions_take_linear_time(db3, c, pattern, count):
    db3.call("PUT", c, "1", json.dumps({"s": "a" * 5000 + "!"}))
    before = time.monotonic()
    assert db3.call("COUNT", c, json.dumps({"s": {"$regex": pattern}})) == count
    assert time.monotonic() - before < 2 * PATIENCE


@pytest.mark.parametrize("pattern,code", [
    ("a{1000}{1000}", "INVALID"), ("(", "INVALID"), ("[z-a]", "INVALID")])
def test_wrong_regular_expressions_are_refused(db3, c, pattern, code):
    assert db3.code("COUNT", c, json.dumps({"s": {"$regex": pattern}})) == code


def test_wide_requests_are_bounded(server, db3, c):
    """A filter has at most 10,000 operators and operands: just below works, above is refused."""
    db3.call("PUT", c, "1", '{"n":7}')
    for count, fits in ((9_000, True), (10_001, False), (200_000, False)):
        reply = db3.reply("COUNT", c, json.dumps({"n": {"$in": list(range(count))}}))
        assert reply == 1 if fits else reply.code == "LIMIT" and "10000" in reply.text
    for count, fits in ((4_000, True), (10_001, False), (50_000, False)):
        reply = db3.reply("COUNT", c, json.dumps({"$or": [{"n": n} for n in range(count)]}))
        assert reply == 1 if fits else reply.code == "LIMIT" and "10000" in reply.text
    goes_on(server, c)


def test_a_half_closed_client_gets_its_replies(server, c):
    commands = b"".join(encode(["PUT", c, f"h{n}", '{"n":5}']) for n in range(200))
    reply = raw(server, commands + encode(["COUNT", c, '{"n":5}']))
    assert reply.endswith(b":200\r\n"), reply[-100:]


def test_a_client_that_leaves_early_does_no_harm(server, c):
    for _ in range(30):
        s = socket.create_connection(("127.0.0.1", server.port))
        s.sendall(b"".join(encode(["PUT", c, f"g{n}", '{"n":5}']) for n in range(50)))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        s.close()
    goes_on(server, c)


def test_a_slow_reader_does_not_stop_others(server, db3, c):
    """It asks for much and reads nothing: it waits or is closed; others are served meanwhile."""
    document = json.dumps({"s": "x" * 100_000})
    db3.call("PUT", c, "big", document)
    s = socket.create_connection(("127.0.0.1", server.port))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.setblocking(False)
    data = encode(["FETCH", c, "big"]) * 20_000
    sent = 0
    try:
        while sent < len(data):
            sent += s.send(data[sent:sent + 65536])
    except (BlockingIOError, ConnectionError):
        pass
    before = time.monotonic()
    goes_on(server, c)
    assert time.monotonic() - before < 5 * PATIENCE
    with open(f"/proc/{server.process.pid}/statm") as file:
        resident = int(file.read().split()[1]) * 4096
    assert resident < 1_500_000_000, f"{resident} bytes for one slow reader"
    s.close()
    goes_on(server, c)


def test_a_slow_writer_does_not_stop_others(server, c):
    with server.connect() as slow:
        slow.send(b"*2\r\n$4\r\nECHO\r\n$1000000\r\n")
        for _ in range(5):
            slow.send(b"x" * 1000)
            goes_on(server, c)
        slow.send(b"x" * 995_000 + b"\r\n")
        assert len(slow.read()) == 1_000_000


def test_too_many_clients_are_told(own_server):
    server = own_server()
    with server.connect() as db:
        db.call("CONFIG", "SET", "maxclients", "10")
        others = []
        refused = 0
        for _ in range(15):
            other = server.connect()
            try:
                reply = other.reply("PING")
            except (Closed, ConnectionError):
                refused += 1
                continue
            if isinstance(reply, RespError):
                assert reply.text == "ERR max number of clients reached"
                refused += 1
            others.append(other)
        assert refused >= 4
        for other in others:
            other.close()
        assert db.call("PING") == "PONG"
    time.sleep(0.3)
    with server.connect() as db:
        assert db.call("PING") == "PONG"


def test_nothing_leaks_a_path_or_a_stack(server, db3, c):
    replies = [db3.reply("PUT", c, "1", "{"), db3.reply("FIND", c, "{}", "SORT"),
               db3.reply("NOSUCH"), db3.reply("PUT", c, "1", '{"n":"x"}'),
               db3.reply("CONFIG", "SET", "x", "y"), db3.reply("SNAPSHOT", "VERIFY", "../x")]
    for reply in replies:
        assert isinstance(reply, RespError)
        assert server.data not in reply.text and ".swift" not in reply.text
        assert "Error(" not in reply.text and "0x" not in reply.text, reply.text


def test_many_clients_with_bad_input_at_once(server, c):
    def bad(number):
        with server.connect() as mine:
            for n in range(100):
                mine.reply("PUT", c, f"b{number}", '{"n":' + "[" * n)
                mine.reply("FIND", c, '{"$or":[{"a":{"$regex":"("}}]}')

    threads = [threading.Thread(target=bad, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    goes_on(server, c)


def exporting(db, c, count=200):
    """A collection with `count` documents and an export of it, of which one row was given."""
    db.pipeline([("PUT", c, str(n), "{}") for n in range(count)])
    return as_map(db.call("EXPORT", c, "BATCH", 1))["cursor"]


def test_a_cursor_ends_after_its_life_however_often_it_is_asked_for(own_server, name):
    server = own_server("--cursor-life", "2s")
    with server.connect(3) as db:
        db.call("CREATE", name, '{"fields":{}}')
        cursor = exporting(db, name)
        begin = time.monotonic()
        code = None
        while code is None and time.monotonic() - begin < 10 * PATIENCE:
            time.sleep(0.1)
            reply = db.reply("MORE", cursor)
            code = reply.code if isinstance(reply, RespError) else None
        assert code == "NOTFOUND" and time.monotonic() - begin >= 2
        assert "cursor" in as_map(db.call("EXPORT", name, "BATCH", 1))


def test_a_cursor_ends_when_it_is_idle(own_server, name):
    server = own_server("--cursor-idle", "1s")
    with server.connect(3) as db:
        db.call("CREATE", name, '{"fields":{}}')
        cursor = exporting(db, name)
        for _ in range(5):
            time.sleep(0.4)
            cursor = as_map(db.call("MORE", cursor))["cursor"]
        time.sleep(1.2)
        assert db.code("MORE", cursor) == "NOTFOUND"


def test_the_oldest_cursors_end_when_memory_is_short(own_server, name):
    server = own_server("--shards", "1")
    with server.connect(3) as db:
        db.call("CREATE", name, '{"fields":{}}')
        cursors = [exporting(db, name) for _ in range(4)]
        db.call("CONFIG", "SET", "max-memory", "1")
        end = time.monotonic() + 15 * PATIENCE
        while not isinstance(db.reply("MORE", cursors[0]), RespError):
            assert time.monotonic() < end, "the oldest cursor is still there"
            time.sleep(0.1)
        assert db.code("MORE", cursors[0]) == "NOTFOUND"
        assert as_map(db.call("MORE", cursors[3]))["cursor"] == cursors[3]


def test_the_reply_of_a_transaction_is_bounded(own_server, name):
    server = own_server("--max-reply", "64kb")
    with server.connect(3) as db:
        db.call("CREATE", name, '{"fields":{}}')
        db.call("PUT", name, "big", json.dumps({"s": "x" * 30_000}))
        reads = [("FETCH", name, "big")]
        replies = db.pipeline([("MULTI",), *reads * 2, ("EXEC",)])
        assert [len(text) > 30_000 for text in replies[-1]] == [True, True]
        replies = db.pipeline([("MULTI",), ("PUT", name, "new", "{}"), *reads * 3, ("EXEC",)])
        assert isinstance(replies[-1], RespError), replies[-1]
        assert replies[-1].code == "LIMIT" and "#4" in replies[-1].text, replies[-1].text
        assert db.call("FETCH", name, "new") is None

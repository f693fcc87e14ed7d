"""What clients see at the moment when a restore puts collections in place of those that there are."""

import threading
import time

from aisle_resp import RespError, as_map
from aisle_server import PATIENCE


def done(connection, job):
    """Waits until a job is done."""
    deadline = time.monotonic() + 60 * PATIENCE
    while time.monotonic() < deadline:
        row = next(row for row in map(as_map, connection.call("JOBS")) if row["id"] == job)
        if row["state"] != "running":
            assert row["state"] == "done", row["text"]
            return
        time.sleep(0.01)
    raise AssertionError(f"job {job} does not end")


def filled(server, count):
    connection = server.connect()
    connection.call("CREATE", "things", '{"fields":{"n":{"type":"int","index":true}}}')
    connection.pipeline([["PUT", "things", f"t{n}", f'{{"n":{n}}}'] for n in range(count)])
    done(connection, connection.call("SNAPSHOT", "CREATE", "one"))
    return connection


def test_nobody_meets_a_gap_while_names_change_over(own_server):
    server = own_server("--partitions", "2")
    connection = filled(server, 500)
    is_over, problems = threading.Event(), []

    def ask(*words):
        with server.connect() as own:
            while not is_over.is_set():
                reply = own.reply(*words)
                is_write = words[0] in ("PUT", "PATCH")
                if isinstance(reply, RespError) and not (is_write and reply.code == "READONLY"):
                    problems.append((words[0], reply.text))

    threads = [threading.Thread(target=ask, args=words) for words in (
        ["COUNT", "things", "{}"], ["FIND", "things", '{"n":{"$lt":9}}'], ["FETCH", "things", "t1"],
        ["PUT", "things", "t1", '{"n":1}'], ["PATCH", "things", "t2", '{"$set":{"n":2}}'])]
    for thread in threads:
        thread.start()
    for _ in range(8):
        done(connection, connection.call("SNAPSHOT", "RESTORE", "one"))
    is_over.set()
    for thread in threads:
        thread.join()
    assert not problems, problems[:5]
    assert connection.call("COUNT", "things", "{}") == 500


def test_cursors_of_what_has_gone_do_not_count(own_server):
    server = own_server("--partitions", "2")
    connection = filled(server, 100)
    limit = 64

    def export():
        return connection.reply("EXPORT", "things", "BATCH", 10)

    assert not any(isinstance(export(), RespError) for _ in range(limit))
    assert export().code == "LIMIT"
    done(connection, connection.call("SNAPSHOT", "RESTORE", "one"))
    assert connection.code("MORE", "1") == "NOTFOUND"
    assert not any(isinstance(export(), RespError) for _ in range(limit))
    assert export().code == "LIMIT"

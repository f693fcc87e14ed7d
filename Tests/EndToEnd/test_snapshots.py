"""Snapshots of a running server: taken, listed, checked, loaded at a start, restored elsewhere."""

import datetime
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

import aisle_server
import snapshot_format
from aisle_resp import RespError, as_map
from aisle_server import PATIENCE, REPOSITORY, Server, run_aisle

SCHEMA = (
    '{"fields":{"n":{"type":"int","index":true,"sort":true},"k":{"type":"keyword","index":true,'
    '"facet":true},"v":{"type":"vector","dimensions":4,"metric":"l2","index":{"kind":"hnsw"}}}}')


def fill(connection, count, seed, start=0):
    """Puts documents; returns them by id."""
    pick = random.Random(seed)
    documents = {}
    for number in range(start, start + count):
        vector = [pick.randrange(100) for _ in range(4)]
        body = f'{{"n":{pick.randrange(1000)},"k":"k{pick.randrange(9)}","v":{vector}}}'
        connection.call("PUT", "things", f"t{number}", body)
        documents[f"t{number}"] = body
    return documents


def wait(connection, job):
    """The job's row once it has ended."""
    deadline = time.monotonic() + 60 * PATIENCE
    while time.monotonic() < deadline:
        found = [as_map(row) for row in connection.call("JOBS")]
        found = [row for row in found if row["id"] == job]
        if found and found[0]["state"] != "running":
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"job {job} does not end")


def until(condition):
    """Waits for a condition, not for a time."""
    deadline = time.monotonic() + 60 * PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.001)


def names(folder):
    return os.listdir(folder) if os.path.isdir(folder) else []


def answers(connection):
    """What lookups of several kinds say, without versions and times."""
    said = []
    for words in (
        ["FIND", "things", "{}", "SORT", "n,_id", "LIMIT", "50"],
        ["FIND", "things", '{"k":"k3"}', "SORT", "-n,_id", "LIMIT", "20", "FACET", "k"],
        ["COUNT", "things", '{"n":{"$gte":500}}'],
        ["SIMILAR", "things", "VEC", "[50,50,50,50]", "K", "10"],
    ):
        reply = connection.call(*words)
        if isinstance(reply, list):
            reply = {key: value for key, value in as_map(reply).items()
                     if key not in ("took_us", "version", "cursor")}
        said.append(repr(reply))
    return said


def info(connection, key):
    text = connection.call("INFO", "storage")
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)[key]


def test_a_kill_after_a_snapshot_loses_nothing_and_reads_little(own_server):
    server = own_server("--partitions", "2")
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        fill(connection, 400, seed=1)
        assert wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))["state"] == "done"
        fill(connection, 50, seed=2, start=380)
        before = answers(connection)
    server.restart(kill=True)
    with server.connect() as connection:
        assert answers(connection) == before
        assert info(connection, "recovery_snapshot") == "one"
        assert info(connection, "recovery_entries") == "50"


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_any_number_of_shards_gives_the_same_answers(own_server, shards):
    server = own_server("--partitions", "3", "--shards", "2")
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        fill(connection, 300, seed=3)
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        before = answers(connection)
    server.restart("--shards", str(shards))
    with server.connect() as connection:
        assert answers(connection) == before
        assert info(connection, "recovery_snapshot") != ""


def test_an_orderly_stop_leaves_one_and_nosave_does_not(own_server):
    server = own_server()
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        fill(connection, 20, seed=4)
    server.restart()
    with server.connect() as connection:
        assert info(connection, "recovery_snapshot").endswith("-stop")
        assert info(connection, "recovery_entries") == "0"
        fill(connection, 5, seed=5, start=100)
        connection.send(b"SHUTDOWN NOSAVE\r\n")
        assert server.process.wait(60 * PATIENCE) == 0
    server.start()
    with server.connect() as connection:
        assert info(connection, "recovery_entries") == "5"


def test_list_verify_and_drop(own_server):
    server = own_server()
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        fill(connection, 60, seed=6)
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        rows = [as_map(row) for row in connection.call("SNAPSHOT", "LIST")]
        assert [row["name"] for row in rows] == ["one"]
        assert rows[0]["documents"] == "yes" and rows[0]["state"] == "ok"
        assert "all good" in wait(connection, connection.call("SNAPSHOT", "VERIFY", "one"))["text"]
        path = os.path.join(server.data, "snapshots", "one.snap")
        with open(path, "r+b") as file:
            file.seek(200)
            byte = file.read(1)
            file.seek(200)
            file.write(bytes([byte[0] ^ 1]))
        failed = wait(connection, connection.call("SNAPSHOT", "VERIFY", "one"))
        assert failed["state"] == "failed" and failed["text"].startswith("CORRUPT one:")
        wait(connection, connection.call("SNAPSHOT", "DROP", "one"))
        assert connection.call("SNAPSHOT", "LIST") == []
        assert not os.path.exists(path)


@pytest.mark.parametrize("words, code", [
    (["CREATE", "../x"], "INVALID"), (["CREATE", ".x"], "INVALID"), (["CREATE", "a" * 65],
                                                                     "INVALID"),
    (["VERIFY", "none"], "NOTFOUND"), (["DROP", "none"], "NOTFOUND"), (["DROP", "/etc/passwd"],
                                                                        "NOTFOUND"),
    (["LIST", "x"], "SYNTAX"), (["NONSENSE"], "SYNTAX"), (["CREATE", "a", "b"], "SYNTAX"),
])
def test_what_is_refused(own_server, words, code):
    server = own_server()
    with server.connect() as connection:
        reply = connection.reply("SNAPSHOT", *words)
        assert isinstance(reply, RespError) and reply.text.split()[0] == code


def test_the_file_alone_makes_a_directory(own_server, tmp_path):
    server = own_server("--partitions", "3")
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        fill(connection, 300, seed=7)
        connection.call("ALIAS", "stuff", "things")
        middle = int(info(connection, "version"))
        middle_answers = answers(connection)
        fill(connection, 100, seed=8, start=250)
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        before = answers(connection)
    path = os.path.join(server.data, "snapshots", "one.snap")
    assert b"all good" in run_aisle("snapshot", "verify", "--file", path).stdout
    assert b"can stand alone" in run_aisle("snapshot", "inspect", path).stdout
    done = run_aisle("restore", path, "--data", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    again = run_aisle("restore", path, "--data", str(tmp_path / "new"))
    assert again.returncode == 3 and b"not empty" in again.stderr
    earlier = run_aisle("restore", path, "--data", str(tmp_path / "old"), "--at", str(middle))
    assert earlier.returncode == 0, earlier.stderr
    for place, expected, snapshot in (("new", before, "restored"), ("old", middle_answers, "")):
        other = Server(tmp_path / place).start()
        try:
            with other.connect() as connection:
                assert answers(connection) == expected
                assert info(connection, "recovery_snapshot") == snapshot
                assert connection.call("COUNT", "stuff", "{}") == connection.call(
                    "COUNT", "things", "{}")
        finally:
            other.remove()


def test_a_kill_while_one_is_written_leaves_no_half_file_and_no_process(own_server):
    server = own_server()
    connection = server.connect()
    connection.call("CREATE", "things", SCHEMA)
    fill(connection, 300, seed=9)
    before = answers(connection)
    folder = os.path.join(server.data, "snapshots")
    for number in range(4):
        connection.call("SNAPSHOT", "CREATE", f"k{number}")
        # Not before it has begun; once it may have ended.
        until(lambda: any(name.startswith(f"k{number}.") for name in names(folder)))
        if number == 3:
            until(lambda: f"k{number}.snap" in names(folder))
        time.sleep(number * 0.005)
        server.restart(kill=True)
        connection = server.connect()
        assert answers(connection) == before
        assert all(name.endswith(".snap") for name in names(folder)), names(folder)
    assert "k3.snap" in names(folder)
    connection.close()


def test_a_running_server_goes_back_to_a_snapshot(own_server):
    server = own_server("--partitions", "2")
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        connection.call("CREATE", "gone", '{"fields":{"n":{"type":"int","unique":true}}}')
        connection.call("PUT", "gone", "a", '{"n":1}')
        connection.call("ALIAS", "stuff", "things")
        fill(connection, 300, seed=11)
        connection.call("PATCH", "things", "t7", '{"$set":{"n":5}}')
        before = answers(connection)
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        version = int(info(connection, "version"))
        connection.call("DROP", "gone")
        connection.call("CREATE", "later", SCHEMA)
        fill(connection, 200, seed=12, start=200)
        connection.call("REMOVE", "things", "t1")
        cursor = as_map(connection.call("EXPORT", "things", "BATCH", "5"))["cursor"]
        done = wait(connection, connection.call("SNAPSHOT", "RESTORE", "one"))
        assert done["state"] == "done", done["text"]
        assert answers(connection) == before
        assert connection.code("MORE", cursor) == "NOTFOUND"
        assert connection.code("FIND", "later", "{}") == "NOTFOUND"
        assert connection.code("PUT", "gone", "b", '{"n":1}') == "DUPLICATE"
        assert as_map(connection.call("FIND", "stuff", "{}"))["total"] == 300
        assert int(info(connection, "version")) > version
        # It takes writes again, and all of it survives a kill.
        connection.call("PUT", "things", "new", '{"n":1,"k":"k1","v":[1,2,3,4]}')
        before = answers(connection)
    server.restart(kill=True)
    with server.connect() as connection:
        assert answers(connection) == before
        assert connection.code("PUT", "gone", "b", '{"n":1}') == "DUPLICATE"
    server.stop()
    assert b"clean" in run_aisle("verify", "--data", server.data).stdout


def test_one_collection_comes_back_under_another_name_as_of_a_version(own_server):
    server = own_server()
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        connection.call("CREATE", "others", SCHEMA)
        fill(connection, 50, seed=13)
        middle = int(info(connection, "version"))
        fill(connection, 50, seed=14, start=30)
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        for words, code in (
                (["AS", "things", "ONLY", "things"], "DUPLICATE"), (["AS", "c2"], "SYNTAX"),
                (["AS", "c2", "ONLY", "none"], "NOTFOUND"), (["ONLY", "things"], "SYNTAX"),
                (["AT", "999999", "AS", "c2", "ONLY", "things"], "INVALID")):
            reply = connection.reply("SNAPSHOT", "RESTORE", "one", *words)
            if isinstance(reply, RespError):
                assert reply.text.split()[0] == code
            else:
                ended = wait(connection, reply)
                assert ended["state"] == "failed" and ended["text"].startswith(code), ended
        done = wait(connection, connection.call(
            "SNAPSHOT", "RESTORE", "one", "AT", str(middle), "AS", "c2", "ONLY", "things"))
        assert done["state"] == "done", done["text"]
        assert as_map(connection.call("FIND", "c2", "{}"))["total"] == 50
        assert as_map(connection.call("FIND", "things", "{}"))["total"] == 80
        near = as_map(connection.call("SIMILAR", "c2", "VEC", "[1,1,1,1]", "K", "3"))
        assert len(near["hits"]) == 3
        connection.call("PUT", "c2", "more", '{"n":1}')
    server.restart(kill=True)
    with server.connect() as connection:
        assert as_map(connection.call("FIND", "c2", "{}"))["total"] == 51


def test_kills_during_a_restore_leave_the_old_or_the_new(own_server):
    server = own_server("--partitions", "2")
    connection = server.connect()
    connection.call("CREATE", "things", SCHEMA)
    fill(connection, 500, seed=15)
    old = answers(connection)
    wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
    fill(connection, 100, seed=16, start=450)
    new = answers(connection)
    seen = set()
    for delay in (0.001, 0.01, 0.03, 0.06, 0.1, 0.2, 0.4):
        connection.call("SNAPSHOT", "RESTORE", "one")
        time.sleep(delay)
        server.restart(kill=True)
        connection = server.connect()
        said = answers(connection)
        assert said in (old, new), f"after {delay} s"
        seen.add(said == old)
        connection.call("PUT", "things", "probe", '{"n":1,"v":[1,2,3,4]}')
        connection.call("REMOVE", "things", "probe")
        new = answers(connection)
    server.stop()
    report = run_aisle("verify", "--data", server.data).stdout
    assert b"clean" in report, report


def asked_while_loading(server):
    """Asks until the server is ready; whether an answer told of the loading."""
    told = False
    deadline = time.monotonic() + 60 * PATIENCE
    while not server.ready.is_set() and time.monotonic() < deadline:
        try:
            with server.connect() as connection:
                # Nobody gets in by being early.
                assert connection.code("PING") == "NOAUTH"
                connection.call("AUTH", "secret")
                health = as_map(connection.reply("HEALTH"))["state"]
                assert connection.reply("PING") == "PONG"
                count = connection.reply("COUNT", "things", "{}")
                if isinstance(count, RespError):
                    assert count.code == "LOADING"
                    # It came later, and it was not ready yet.
                    assert health == "loading"
                    told = True
        except ConnectionError:
            pass
    assert server.ready.wait(60 * PATIENCE)
    return told


def test_a_server_that_loads_listens_and_says_so(own_server):
    server = own_server("--password", "secret", "--snapshot-at-stop", "no")
    with server.connect() as connection:
        connection.call("AUTH", "secret")
        # Wide vectors: they take their time to read.
        connection.call(
            "CREATE", "things",
            '{"fields":{"v":{"type":"vector","dimensions":2048,"metric":"l2",'
            '"index":{"kind":"flat"}}}}')
        for start in range(0, 4_000, 500):
            connection.pipeline([
                ["PUT", "things", f"t{n}", f'{{"v":[{n}{",1" * 2047}]}}']
                for n in range(start, start + 500)])
    # A start may be over before anybody could ask: then another one is looked at.
    for _ in range(8):
        server.stop()
        server.start(expect_ready=False)
        if asked_while_loading(server):
            break
    else:
        raise AssertionError("it was always ready before anybody could ask")
    with server.connect() as connection:
        connection.call("AUTH", "secret")
        assert connection.call("COUNT", "things", "{}") == 4_000


def test_files_are_what_the_specification_says(tmp_path):
    golden = (REPOSITORY / "Snapshots" / "golden" / "format-1.snap").read_bytes()
    header, sections = snapshot_format.read(golden)
    assert header[7] == 2 and header[9] == 1
    kinds = {identity[0] for identity, _ in sections}
    assert {1, 2, 3, 4, 5, 7, 8} <= kinds
    own = tmp_path / "own.snap"
    own.write_bytes(snapshot_format.write([
        (1, 0, 0, 0, b""), (99, 1, 2, 3, b"of a later time"), (7, 0, 0, 0, b"x" * 600_000)]))
    done = run_aisle("snapshot", "verify", "--file", str(own))
    assert done.returncode == 0 and b"3 sections" in done.stdout, done.stderr
    damaged = bytearray(own.read_bytes())
    damaged[300_000] ^= 1
    own.write_bytes(damaged)
    assert run_aisle("snapshot", "verify", "--file", str(own)).returncode == 1


def test_a_restore_holds_what_would_spoil_it(own_server):
    server = own_server("--partitions", "2")
    with server.connect() as connection, server.connect() as other:
        connection.call("CREATE", "things", SCHEMA)
        fill(connection, 3_000, seed=5)
        connection.call("CREATE", "victim", SCHEMA)
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        assert "INVALID" in connection.code("SNAPSHOT", "CREATE", "auto-mine")
        assert "SYNTAX" in connection.code("SNAPSHOT", "RESTORE", "one", "AT", "9", "AT", "9")
        job = connection.call("SNAPSHOT", "RESTORE", "one")
        while True:
            state = next(as_map(row) for row in other.call("JOBS") if as_map(row)["id"] == job)
            if state["state"] in ("done", "failed"):
                break
            assert other.code("JOBS", "PAUSE", job) in ("BUSY", "NOTFOUND")
        done = wait(connection, job)
        assert done["state"] == "done", done["text"]
        assert connection.call("COUNT", "things", "{}") == 3_000
    server.restart(kill=True)
    with server.connect() as connection:
        assert connection.call("COUNT", "things", "{}") == 3_000


def test_a_restore_keeps_to_the_accounts_collections(own_server):
    server = own_server()
    with server.connect() as connection:
        for name in ("shop", "secret"):
            connection.call("CREATE", name, SCHEMA)
            connection.call("PUT", name, "x", '{"n":1}')
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        connection.call("ACL", "SETUSER", "ops", "on", ">word", "~shop*", "+@all")
    with server.connect() as connection:
        connection.call("AUTH", "ops", "word")
        for words in (("AS", "shop2", "ONLY", "secret"), ("AS", "mine", "ONLY", "shop"), ()):
            assert "NOPERM" in connection.code("SNAPSHOT", "RESTORE", "one", *words)
        job = connection.call("SNAPSHOT", "RESTORE", "one", "AS", "shop2", "ONLY", "shop")
        assert wait(connection, job)["state"] == "done"
        assert connection.call("COUNT", "shop2", "{}") == 1


PLACES = (
    '{"fields":{"at":{"type":"geopoint","index":true,"radius":"km"},"km":{"type":"float"},'
    '"area":{"type":"geoshape","index":true},"plan":{"type":"2d","index":true},'
    '"open":{"type":"hours"}}}')


def put_shops(connection, count, seed):
    pick = random.Random(seed)
    for number in range(count):
        west, south = pick.randrange(-100, 90), pick.randrange(-60, 50)
        ring = [[west, south], [west + 5, south], [west + 2, south + 4], [west, south]]
        hour = pick.randrange(10)
        connection.call("PUT", "shops", f"s{pick.randrange(count)}", json.dumps({
            "at": [west, south], "km": pick.randrange(900), "plan": [west, south],
            "area": {"type": "Polygon", "coordinates": [ring]},
            "open": {"timezone": pick.choice(["UTC", "Asia/Tokyo"]),
                     "weekly": {"mon": [[f"0{hour}:00", "21:00"]]}}}))


def place_answers(connection):
    said = []
    for lon, lat in ((0, 0), (-80, 40), (60, -30)):
        for words in (
            ["NEARBY", "shops", str(lon), str(lat), "LIMIT", "20", "FIELD", "at"],
            ["NEARBY", "shops", str(lon), str(lat), "RADIUS", "4000km", "LIMIT", "50",
             "FIELD", "at", "OPEN", "2026-05-04T07:00:00Z"],
            ["COVER", "shops", str(lon), str(lat), "FIELD", "at"],
            ["COVER", "shops", str(lon + 2), str(lat + 1), "FIELD", "area"],
            ["FIND", "shops", json.dumps({"plan": {"$geoWithin": {
                "$box": [[lon - 20, lat - 20], [lon + 20, lat + 20]]}}}), "SORT", "_id"],
        ):
            reply = as_map(connection.call(*words))
            said.append(repr({key: reply.get(key) for key in ("total", "hits")}))
    return said


def micrometres(texts):
    """Answers with their lengths rounded."""
    return [re.sub(r"\d+\.\d{6,}", lambda found: f"{float(found[0]):.6f}", text) for text in texts]


def test_places_and_hours_come_from_the_snapshot(own_server):
    server = own_server("--partitions", "2")
    with server.connect() as connection:
        connection.call("CREATE", "shops", PLACES)
        put_shops(connection, 400, seed=21)
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        put_shops(connection, 60, seed=22)
        before = place_answers(connection)
        assert sum("'total': 0" not in text for text in before) > 8
    path = os.path.join(server.data, "snapshots", "one.snap")
    with open(path, "rb") as file:
        whole = file.read()
    _, sections = snapshot_format.read(whole)
    kinds = [identity[0] for identity, _ in sections]
    assert kinds.count(9) == 6 and kinds.count(10) == 2
    server.restart(kill=True)
    with server.connect() as connection:
        assert place_answers(connection) == before
        assert info(connection, "recovery_snapshot") == "one"
    # Without one of them: that one is made anew from the documents.
    for kind in (9, 10):
        place = 96
        for identity, blocks in sections:
            if identity[0] == kind:
                break
            place += sum(16 + len(body) for _, _, body in blocks)
        server.kill()
        with open(path, "wb") as file:
            file.write(whole[:place + 20] + bytes([whole[place + 20] ^ 1]) + whole[place + 21:])
        server.start()
        with server.connect() as connection:
            # What is measured in documents may differ by the rounding of a nanometre.
            assert micrometres(place_answers(connection)) == micrometres(before)
            assert info(connection, "recovery_snapshot") == "one"
            for row in connection.call("JOBS"):
                assert wait(connection, as_map(row)["id"])["state"] == "done"
            assert place_answers(connection) == before


def test_incremental_ones_hold_what_was_written_since(own_server, tmp_path):
    server = own_server("--partitions", "2")
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        fill(connection, 1_500, seed=31)
        wait(connection, connection.call("SNAPSHOT", "CREATE", "s0"))
        moments = []
        for number in (1, 2, 3):
            fill(connection, 20, seed=31 + number, start=number * 100)
            connection.call("REMOVE", "things", f"t{number}")
            words = ("CREATE", f"s{number}", "INCREMENTAL")
            done = wait(connection, connection.call("SNAPSHOT", *words))
            assert done["state"] == "done" and f"goes on from s{number - 1}" in done["text"]
            moments.append((int(info(connection, "version")), answers(connection)))
        rows = [as_map(row) for row in connection.call("SNAPSHOT", "LIST")]
        assert [(row["name"], row["base"]) for row in rows] == [
            ("s3", "s2"), ("s2", "s1"), ("s1", "s0"), ("s0", "")]
        assert all(row["state"] == "ok" and row["documents"] == "yes" for row in rows)
        assert sum(row["bytes"] for row in rows[:3]) * 2 < rows[3]["bytes"]
        assert "4 files" in wait(connection, connection.call("SNAPSHOT", "VERIFY", "s3"))["text"]
        assert connection.code("SNAPSHOT", "DROP", "s1") == "CONFLICT"
        fill(connection, 50, seed=40, start=700)
        # Back to a moment between, then to the end of the chain.
        for words, expected in ((("AT", str(moments[1][0])), moments[1][1]), ((), moments[2][1])):
            done = wait(connection, connection.call("SNAPSHOT", "RESTORE", "s3", *words))
            assert done["state"] == "done", done["text"]
            assert answers(connection) == expected
        # What was restored is in the log, and goes on the chain or begins another.
        done = wait(connection, connection.call("SNAPSHOT", "CREATE", "s4", "INCREMENTAL"))
        assert done["state"] == "done", done["text"]
    server.restart(kill=True)
    with server.connect() as connection:
        assert answers(connection) == moments[2][1]
    folder = os.path.join(server.data, "snapshots")
    path = os.path.join(folder, "s2.snap")
    assert b"goes on from s1" in run_aisle("snapshot", "inspect", path).stdout
    assert b"all good" in run_aisle("snapshot", "verify", "--file", path).stdout
    done = run_aisle("restore", path, "--data", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    other = Server(tmp_path / "new").start()
    try:
        with other.connect() as connection:
            assert answers(connection) == moments[1][1]
            assert info(connection, "recovery_snapshot") == "restored"
    finally:
        other.remove()
    os.remove(os.path.join(folder, "s1.snap"))
    failed = run_aisle("restore", path, "--data", str(tmp_path / "none"))
    assert failed.returncode == 3 and b"s1" in failed.stderr
    server.restart(kill=True)
    with server.connect() as connection:
        rows = {as_map(row)["name"]: as_map(row)["state"]
                for row in connection.call("SNAPSHOT", "LIST")}
        assert rows["s0"] == "ok" and rows["s2"] == rows["s3"] == "without its base"
        failed = wait(connection, connection.call("SNAPSHOT", "RESTORE", "s3"))
        assert failed["state"] == "failed"
        assert failed["text"].startswith("CORRUPT s3: goes on from s1")
        assert answers(connection) == moments[2][1]


def test_settings_of_the_data_come_with_a_restore(own_server, tmp_path):
    server = own_server("--retention", "2h", "--max-limit", "77", "--max-clients", "99",
                        "--password", "secret")
    with server.connect() as connection:
        connection.call("AUTH", "secret")
        connection.call("CREATE", "things", SCHEMA)
        connection.call("CONFIG", "SET", "snapshot-keep", "5", "slowlog-entries", "7")
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        connection.call("CONFIG", "SET", "snapshot-keep", "6")
    path = os.path.join(server.data, "snapshots", "one.snap")
    done = run_aisle("restore", path, "--data", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "new" / "aisle.conf").read_text()
    assert sorted(text.splitlines()[1:]) == [
        "max-limit = 77", "retention = 2h", "snapshot-keep = 5"]
    assert "secret" not in text

    def settings(connection):
        return [as_map(connection.call("CONFIG", "GET", name))[name] for name in
                ("retention", "max-limit", "snapshot-keep", "maxclients")]

    other = Server(tmp_path / "new").start()
    try:
        with other.connect() as connection:
            usual = settings(connection)
            assert usual[:3] == ["2h", "77", "5"] and usual[3] != "99"
        other.restart("--snapshot-keep", "3")
        with other.connect() as connection:
            assert settings(connection)[:3] == ["2h", "77", "3"]
    finally:
        other.remove()


def test_a_damaged_index_of_vectors_is_made_anew_behind_the_start(own_server):
    server = own_server("--partitions", "2")
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        fill(connection, 400, seed=51)
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        fill(connection, 30, seed=52, start=390)
        before = answers(connection)
    path = os.path.join(server.data, "snapshots", "one.snap")
    with open(path, "rb") as file:
        whole = file.read()
    place = 96
    for identity, blocks in snapshot_format.read(whole)[1]:
        if identity[0] == 12:
            break
        place += sum(16 + len(body) for _, _, body in blocks)
    server.kill()
    with open(path, "wb") as file:
        file.write(whole[:place + 20] + bytes([whole[place + 20] ^ 1]) + whole[place + 21:])
    server.start()
    with server.connect() as connection:
        assert answers(connection) == before
        job = next(as_map(row) for row in connection.call("JOBS")
                   if as_map(row)["kind"] == "REBUILD")
        assert wait(connection, job["id"])["state"] == "done"
        assert answers(connection) == before
        assert info(connection, "recovery_snapshot") == "one"
def test_a_file_that_was_copied_there_is_listed_and_restored(own_server):
    server = own_server()
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        fill(connection, 50, seed=21)
        before = answers(connection)
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        folder = os.path.join(server.data, "snapshots")
        shutil.copy(os.path.join(folder, "one.snap"), os.path.join(folder, "copy.snap"))
        os.mkfifo(os.path.join(folder, "pipe.snap"))
        os.symlink("loop.snap", os.path.join(folder, "loop.snap"))
        states = {row["name"]: row["state"]
                  for row in map(as_map, connection.call("SNAPSHOT", "LIST"))}
        assert states == {"one": "ok", "copy": "ok", "pipe": "not a snapshot",
                          "loop": "unreadable"}
        connection.call("REMOVE", "things", "t1")
        done = wait(connection, connection.call("SNAPSHOT", "RESTORE", "copy"))
        assert done["state"] == "done" and int(done["done"]) == int(done["of"]) > 0, done
        assert answers(connection) == before
        failed = wait(connection, connection.call("SNAPSHOT", "RESTORE", "pipe"))
        assert failed["text"].startswith("CORRUPT pipe: is not a snapshot")
    server.restart(kill=True)
    with server.connect() as connection:
        assert answers(connection) == before


def test_moments_have_the_same_forms_everywhere(own_server, tmp_path):
    server = own_server()
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        fill(connection, 30, seed=22)
        time.sleep(0.05)
        middle = time.time_ns() // 1_000_000
        time.sleep(0.05)
        version = info(connection, "version")
        fill(connection, 30, seed=22, start=30)
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        moment = datetime.datetime.fromtimestamp(middle / 1000, datetime.timezone.utc)
        path = os.path.join(server.data, "snapshots", "one.snap")
        forms = [version, str(middle), f"{middle}ms", moment.isoformat(timespec="milliseconds"),
                 moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")]
        for number, form in enumerate(forms):
            name = f"c{number}"
            done = wait(connection, connection.call(
                "SNAPSHOT", "RESTORE", "one", "AT", form, "AS", name, "ONLY", "things"))
            assert done["state"] == "done", done["text"]
            assert connection.call("COUNT", name, "{}") == 30, form
            done = run_aisle("restore", path, "--data", tmp_path / name, "--at", form)
            assert done.returncode == 0 and b"30 entries" in done.stdout, (form, done)
        assert connection.code("SNAPSHOT", "RESTORE", "one", "AT", "noon") == "INVALID"
        done = run_aisle("restore", path, "--data", tmp_path / "x", "--at", "noon")
        assert done.returncode == 2, done.stderr


def test_pages_go_on_after_a_restore_and_open_cursors_do_not(own_server):
    server = own_server("--partitions", "2")
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        fill(connection, 40, seed=23)
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        words = ["FIND", "things", "{}", "SORT", "_id", "LIMIT", "15"]
        expected = [as_map(hit)["id"] for hit in as_map(connection.call(
            "FIND", "things", "{}", "SORT", "_id", "LIMIT", "40"))["hits"]]
        page = as_map(connection.call(*words))
        export = as_map(connection.call("EXPORT", "things", "BATCH", "5"))["cursor"]
        assert wait(connection, connection.call("SNAPSHOT", "RESTORE", "one"))["state"] == "done"
        assert connection.code("MORE", export) == "NOTFOUND"
        found = [as_map(hit)["id"] for hit in page["hits"]]
        while page.get("cursor"):
            page = as_map(connection.call(*words, "AFTER", page["cursor"]))
            found += [as_map(hit)["id"] for hit in page["hits"]]
        assert found == expected


def test_ten_restores_do_not_make_the_file_grow(own_server):
    server = own_server("--partitions", "2")
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        for start in range(0, 4_000, 500):
            connection.pipeline([
                ["PUT", "things", f"t{n}", f'{{"n":{n},"k":"{"x" * 300}"}}']
                for n in range(start, start + 500)])
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        before = int(info(connection, "log_file_bytes"))
        sizes = []
        for _ in range(10):
            connection.call("SNAPSHOT", "RESTORE", "one")
            connection.call("SNAPSHOT", "RESTORE", "one")
            while any(as_map(row)["state"] == "running" for row in connection.call("JOBS")):
                time.sleep(0.02)
            sizes.append(int(info(connection, "log_file_bytes")))
        assert all(as_map(row)["state"] == "done" for row in connection.call("JOBS"))
        assert connection.call("COUNT", "things", "{}") == 4_000
    # What comes back stands beside what it replaces, and that is cleaned up before the next one.
    assert max(sizes) < 3 * before + (4 << 20), (before, sizes)


def test_snapshots_are_taken_where_ends_of_children_are_ignored(own_server, tmp_path, monkeypatch):
    script = tmp_path / "aisle"
    script.write_text(f"""#!{sys.executable}
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv({aisle_server.binary()!r}, sys.argv)
""")
    script.chmod(0o755)
    monkeypatch.setattr(aisle_server, "binary", lambda: str(script))
    server = own_server()
    with server.connect() as connection:
        with open(f"/proc/{server.process.pid}/status") as file:
            ignored = next(int(line.split()[1], 16) for line in file if line.startswith("SigIgn"))
        assert ignored & 1 << (signal.SIGCHLD - 1), "the test is of no use"
        connection.call("CREATE", "things", SCHEMA)
        fill(connection, 20, seed=24)
        done = wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        assert done["state"] == "done", done["text"]


def test_a_full_disk_says_how_much_is_needed_and_free(own_server, tmp_path):
    library = tmp_path / "faultdisk.so"
    compiler = next((path for path in map(shutil.which, ("cc", "gcc", "clang")) if path), None)
    if compiler is None:
        pytest.skip("no C compiler")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library,
                    REPOSITORY / "Tools" / "faultdisk" / "faultdisk.c", "-ldl", "-lpthread"],
                   check=True)
    server = own_server()
    with server.connect() as connection:
        connection.call("CREATE", "things", SCHEMA)
        connection.pipeline([
            ["PUT", "things", f"t{n}", f'{{"n":{n},"pad":"{"x" * 2_000}"}}'] for n in range(4_000)])
        wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
        before = answers(connection)
    server.stop()
    server.env = {"LD_PRELOAD": str(library), "FAULTDISK_DIR": server.data,
                  "FAULTDISK_BUDGET": "4096"}
    server.start()
    with server.connect() as connection:
        for words in (("CREATE", "two"), ("RESTORE", "one")):
            ended = wait(connection, connection.call("SNAPSHOT", *words))
            assert ended["state"] == "failed", ended
            text = ended["text"]
            assert re.match(rf"FULL {words[1]}: .*\d bytes are free; free some", text), text
        assert answers(connection) == before
        assert [as_map(row)["name"] for row in connection.call("SNAPSHOT", "LIST")
                if not as_map(row)["name"].startswith("auto")] == ["one"]


def test_what_a_drop_or_a_restore_left_is_cleaned_up_after_a_stop(own_server):
    server = own_server("--partitions", "2")
    connection = server.connect()
    connection.call("CREATE", "things", SCHEMA)
    fill(connection, 300, seed=26)
    wait(connection, connection.call("SNAPSHOT", "CREATE", "one"))
    for words in (("DROP", "more"), ("SNAPSHOT", "RESTORE", "one")):
        connection.call("CREATE", "more", SCHEMA)
        connection.pipeline([["PUT", "more", f"m{n}", '{"n":1}'] for n in range(6_000)])
        connection.call(*words)
        if words[0] == "SNAPSHOT":
            time.sleep(0.05)
        # The stop leaves a snapshot, and the start reads nothing that is behind it.
        server.restart()
        connection = server.connect()
        while any(as_map(row)["state"] == "running" for row in connection.call("JOBS")):
            time.sleep(0.01)
        total = sum(as_map(row)["documents"] for row in connection.call("COLLECTIONS"))
        assert int(info(connection, "log_entries")) == total
        if "more" in [as_map(row)["name"] for row in connection.call("COLLECTIONS")]:
            connection.call("DROP", "more")
            while any(as_map(row)["state"] == "running" for row in connection.call("JOBS")):
                time.sleep(0.01)
    server.stop()
    assert b"clean" in run_aisle("verify", "--data", server.data).stdout

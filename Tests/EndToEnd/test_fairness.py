"""Long lookups: others go on meanwhile, bounds hold, and a changing schema is no error."""

import json
import threading
import time

import pytest

from aisle_resp import RespError, as_map
from aisle_server import PATIENCE
from test_schema import job_of, wait_for_job


@pytest.fixture
def wide(own_server):
    """One loop, and a collection of which a scan takes many slices."""
    server = own_server("--shards", "1", "--partitions", "2")
    with server.connect(3) as db:
        db.call("CREATE", "wide", json.dumps({"fields": {
            "k": {"type": "keyword", "index": True, "facet": True},
            "n": {"type": "int", "index": True}}}))
        for start in range(0, 12_000, 1_000):
            for reply in db.pipeline([
                    ("PUT", "wide", f"d{i}", json.dumps(
                        {"k": f"value {i}", "n": i, "plain": i, "w": i % 2 or 1.0}))
                    for i in range(start, start + 1_000)]):
                assert not isinstance(reply, Exception), reply
    return server


def test_a_long_lookup_leaves_its_loop_to_others(wide):
    done = threading.Event()
    took = []

    def scan():
        with wide.connect(3) as db:
            start = time.monotonic()
            db.call("FIND", "wide", "{}", "SORT", "plain", "LIMIT", 3, "TIMEOUT", "60s")
            took.append(time.monotonic() - start)
        done.set()

    with wide.connect(3) as db:
        db.call("PING")
        thread = threading.Thread(target=scan)
        thread.start()
        waits = []
        while not done.is_set():
            start = time.monotonic()
            db.call("PING")
            waits.append(time.monotonic() - start)
        thread.join()
    # Many requests were answered while the one was carried out.
    assert len(waits) >= 5
    assert sorted(waits)[len(waits) // 2] < took[0] / 4


def test_a_long_facet_keeps_to_its_time(wide):
    with wide.connect(3) as db:
        with pytest.raises(RespError, match="TIMEOUT"):
            db.call("FIND", "wide", "{}", "LIMIT", 0, "FACET", "k:1", "TIMEOUT", "1ms")
        facets = as_map(db.call("FIND", "wide", "{}", "LIMIT", 0, "FACET", "k:2,n:1,w"))["facets"]
        assert as_map(facets) == {
            "k": [["value 0", 1], ["value 1", 1]], "n": [[0, 1]], "w": [[1, 12_000]]}


def test_more_groups_than_a_reply_holds_are_an_error(wide):
    with wide.connect(3) as db:
        for words in (("DISTINCT", "n"), ("DISTINCT", "plain"), ("STATS", "n", "BY", "k")):
            with pytest.raises(RespError, match="LIMIT .*10000 values; .*max-groups"):
                db.call("FIND", "wide", "{}", "LIMIT", 0, *words)
        found = as_map(db.call("FIND", "wide", '{"n":{"$lt":5}}', "LIMIT", 0, "DISTINCT", "n"))
        assert found["distinct"] == [0, 1, 2, 3, 4]


def test_a_count_that_is_cut_short_says_so(wide):
    with wide.connect(3) as db:
        cut = as_map(db.call("COUNT", "wide", '{"plain":{"$gte":0}}', "TIMEOUT", "1ms", "PARTIAL"))
        assert cut["partial"] is True and cut["exact"] is False
        assert db.call("COUNT", "wide", '{"n":{"$gte":0}}', "PARTIAL") == 12_000


def test_lookups_go_on_while_the_schema_changes(wide):
    with wide.connect(3) as db, wide.connect(3) as other:
        stop = threading.Event()
        failures, count = [], [0]

        def look():
            while not stop.is_set():
                try:
                    found = as_map(other.call(
                        "FIND", "wide", '{"plain":{"$gte":100}}', "LIMIT", 1, "TIMEOUT", "60s"))
                    assert found["total"] == 11_900
                    count[0] += 1
                except Exception as error:  # told below
                    failures.append(error)

        thread = threading.Thread(target=look)
        thread.start()
        for _ in range(4):
            for change in ({"add": {"extra": {"type": "int", "index": True}}},
                           {"drop": ["extra"]}):
                wait_for_job(db, job_of(db.call("ALTER", "wide", json.dumps(change))))
        stop.set()
        thread.join(60 * PATIENCE)
        assert failures == [] and count[0] > 0


def test_the_slow_log_shows_lookups_that_took_slices(wide):
    with wide.connect(3) as db:
        db.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
        db.call("SLOWLOG", "RESET")
        db.call("FIND", "wide", '{"plain":17}')
        entries = db.call("SLOWLOG", "GET", "10")
        assert ["FIND", "wide", '{"plain":17}'] in [entry[3] for entry in entries]


def test_an_account_that_may_read_can_do_what_clients_do(wide):
    with wide.connect(3) as db:
        db.call("ACL", "SETUSER", "reader", "on", ">word", "~wide", "+@read")
    with wide.connect(3) as db:
        db.call("AUTH", "reader", "word")
        assert db.call("PING") == "PONG"
        assert db.call("SELECT", "0") == "OK"
        assert db.call("MULTI") == "OK"
        assert db.call("DISCARD") == "OK"
        with pytest.raises(RespError, match="NOPERM"):
            db.call("PUT", "wide", "x", "{}")
        with pytest.raises(RespError, match="NOPERM"):
            db.call("CLIENT", "KILL", "TYPE", "normal")


def test_names_that_cannot_be_addressed_are_refused(wide):
    with wide.connect(3) as db:
        for words in (("DISTINCT", "k,n"), ("SORT", "a b"), ("STATS", "n", "BY", "k,n")):
            with pytest.raises(RespError, match="INVALID .*is a field path"):
                db.call("FIND", "wide", "{}", "LIMIT", 1, *words)


def test_text_that_is_no_json_is_told_in_words(wide):
    with wide.connect(3) as db:
        for text, reason in (('{"a":NaN}', "not JSON near byte"), ('{"a":1,"a":2}', "twice|unique"),
                             ('{"a":"\\ud800"}', "half of a surrogate pair")):
            with pytest.raises(RespError, match=f"INVALID .*({reason})"):
                db.call("PUT", "wide", "x", text)
            with pytest.raises(RespError, match=f"INVALID .*({reason})"):
                db.call("COUNT", "wide", text)


def test_pipelined_commands_see_what_was_created_before_them(db3, name):
    schema = '{"fields":{"n":{"type":"int","index":true}}}'
    replies = db3.pipeline([
        ("CREATE", name, schema), ("PUT", name, "a", '{"n":1}'), ("ALIAS", name + "x", name),
        ("COUNT", name + "x", '{"n":1}'), ("DROP", name + "x"), ("DROP", name),
        ("COUNT", name, "{}"), ("CREATE", name, schema), ("COUNT", name, "{}")])
    assert replies[0] == "OK" and as_map(replies[1])["id"] == "a"
    assert replies[2] == "OK" and replies[3] == 1
    assert isinstance(replies[6], RespError) and "NOTFOUND" in str(replies[6])
    assert replies[7] == "OK" and replies[8] == 0
    db3.call("DROP", name)

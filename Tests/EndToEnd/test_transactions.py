"""MULTI, EXEC, DISCARD: one commit, one version, all or nothing."""

import json

import pytest

from aisle_resp import RespError, as_map

SCHEMA = json.dumps({"fields": {"sku": {"type": "keyword", "unique": True},
                                "stock": {"type": "int", "min": 0, "index": True}}})


@pytest.fixture
def c(db, name):
    db.call("CREATE", name, SCHEMA)
    db.call("PUT", name, "p1", '{"stock":10,"sku":"a"}')
    return name


def run(db, *commands):
    """The list inside MULTI and EXEC: the queue's replies, then EXEC's."""
    replies = db.pipeline([("MULTI",), *commands, ("EXEC",)])
    assert replies[0] == "OK"
    return replies[1:-1], replies[-1]


def test_a_transaction_is_one_commit(db, c):
    queued, result = run(db, ("PATCH", c, "p1", '{"$inc":{"stock":-3}}'),
                         ("PUT", c, "order1", '{"lines":1}'), ("FETCH", c, "p1"),
                         ("REMOVE", c, "nosuch"), ("MFETCH", c, "order1", "x"), ("ECHO", "e"),
                         ("PING",))
    assert queued == ["QUEUED"] * 7
    assert as_map(result[0])["version"] == as_map(result[1])["version"]
    assert json.loads(result[2])["stock"] == 7
    assert result[3:] == [0, ['{"lines":1}', None], "e", "PONG"]


def test_later_commands_see_earlier_ones(db, c):
    _, result = run(db, ("PUT", c, "x", '{"stock":1}'), ("PATCH", c, "x", '{"$inc":{"stock":1}}'),
                    ("PATCH", c, "x", '{"$inc":{"stock":1}}', "IF", '{"stock":2}'),
                    ("FETCH", c, "x"), ("REMOVE", c, "x"), ("FETCH", c, "x"))
    assert result[3] == '{"stock":3}' and result[4] == 1 and result[5] is None


@pytest.mark.parametrize("bad,code", [
    (("PATCH", "C", "p1", '{"$inc":{"stock":-99}}'), "INVALID"),
    (("PUT", "C", "p9", '{"sku":"a"}'), "DUPLICATE"),
    (("PUT", "C", "p1", "{}", "ABSENT"), "CONFLICT"),
    (("PATCH", "C", "nosuch", "{}"), "NOTFOUND"),
])
def test_one_failure_undoes_all(db, c, bad, code):
    bad = [c if part == "C" else part for part in bad]
    queued, result = run(db, ("PUT", c, "first", '{"stock":1}'), bad,
                         ("PUT", c, "last", '{"stock":1}'))
    assert isinstance(result, RespError) and result.code == code
    assert result.text.split(" ", 1)[1].startswith("#"), result.text
    assert db.call("FETCH", c, "first") is None and db.call("FETCH", c, "last") is None
    assert db.call("COUNT", c, "{}") == 1


@pytest.mark.parametrize("bad", [("FIND", "c", "{}"), ("NOSUCH",), ("PUT", "c"), ("MULTI",),
                                 ("CREATE", "zzz", "{}"), ("REMOVE", "c", "WHERE", "{}"),
                                 ("PUT", "c", "1", "{")])
def test_a_wrong_queue_aborts(db, c, bad):
    queued, result = run(db, ("PUT", c, "first", '{"stock":1}'), bad)
    assert queued[0] == "QUEUED" and isinstance(queued[1], RespError)
    assert result.code == "EXECABORT"
    assert db.call("FETCH", c, "first") is None


def test_discard(db, c):
    assert db.call("MULTI") == "OK"
    assert db.call("PUT", c, "x", "{}") == "QUEUED"
    assert db.call("DISCARD") == "OK"
    assert db.call("FETCH", c, "x") is None
    assert db.code("EXEC") == "ERR" and db.code("DISCARD") == "ERR"


def test_an_empty_transaction(db):
    assert db.pipeline([("MULTI",), ("EXEC",)]) == ["OK", []]


def test_watch_is_not_offered(db):
    assert db.reply("WATCH", "x").text == "ERR use IF or VERSION"
    assert db.call("UNWATCH") == "OK"


def test_a_closed_connection_forgets_its_queue(server, db, c):
    with server.connect() as other:
        other.call("MULTI")
        other.call("PUT", c, "x", "{}")
    assert db.call("FETCH", c, "x") is None

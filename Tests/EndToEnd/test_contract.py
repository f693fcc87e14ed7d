"""Every option of every command once, read off the command contract, over both protocols."""

import base64
import json
import struct

import pytest

from aisle_resp import RespError, as_map, find
from test_schema import flat, job_of, wait_for_job

SCHEMA = json.dumps({"fields": {
    "price": {"type": "decimal", "scale": 2, "index": True, "sort": True},
    "cat": {"type": "keyword", "index": True, "facet": True},
    "n": {"type": "int", "index": True, "sort": True},
    "r": {"type": "float", "index": True},
    "on": {"type": "bool", "index": True},
    "at": {"type": "datetime", "index": True, "sort": True},
    "tags": {"type": "keyword", "array": True, "index": True, "facet": True},
    "v": {"type": "vector", "dimensions": 2, "metric": "l2"}}})


@pytest.fixture
def c(db, name):
    """Twelve documents: n from 0 to 11, price n.50, three categories."""
    db.call("CREATE", name, SCHEMA)
    for n in range(12):
        db.call("PUT", name, f"k{n:02}", json.dumps({
            "n": n, "price": n + 0.5, "cat": "abc"[n % 3], "r": n / 4, "on": n % 2 == 0,
            "at": f"2026-01-{n + 1:02}T00:00:00Z", "tags": ["even" if n % 2 == 0 else "odd", "all"],
            "free": {"deep": n}}))
    return name


def number(db, value):
    """A floating-point figure: a double in RESP3, text in RESP2."""
    assert isinstance(value, float if db.protocol == 3 else str), value
    return float(value)


def truth(db, value):
    assert value is True or value is False if db.protocol == 3 else value in (0, 1), value
    return bool(value)


# Replies

def test_parts_of_a_lookup_stand_in_the_order_written(db, c):
    raw = db.call("FIND", c, "{}", "FACET", "cat", "STATS", "n", "LIMIT", "2")
    keys = list(raw) if isinstance(raw, dict) else raw[0::2]
    assert keys == ["total", "exact", "hits", "facets", "stats", "cursor", "version", "took_us"]
    answer = find(db, c, "{}", "FACET", "cat", "STATS", "n", "LIMIT", "2")
    assert truth(db, answer.exact) and answer.total == 12 and isinstance(answer.took_us, int)
    plain = find(db, c, '{"n":1}')
    assert set(plain.raw) == {"total", "exact", "hits", "version", "took_us"}
    assert set(plain.hits[0]) == {"id", "doc"}
    assert list(as_map(plain.raw["hits"][0])) == ["id", "doc"]


def test_types_of_values_in_replies(db, c):
    answer = find(db, c, "{}", "FACET", "on,n:1,r:1,price:1,at:1", "LIMIT", "0")
    assert answer.hits == []
    on = answer.facets["on"]
    assert [[truth(db, value), count] for value, count in on] == [[False, 6], [True, 6]]
    assert answer.facets["n"] == [[0, 1]]
    assert number(db, answer.facets["r"][0][0]) == 0.0
    assert answer.facets["price"] == [["0.50", 1]]
    assert answer.facets["at"][0][0].startswith("2026-01-01T00:00:00")


def test_facets(db, c):
    answer = find(db, c, '{"n":{"$lt":10}}', "FACET", "cat:2,tags,price:[0,5,100],n:[0,3,6]")
    assert answer.facets["cat"] == [["a", 4], ["b", 3]]
    assert answer.facets["tags"] == [["all", 10], ["even", 5], ["odd", 5]]
    assert [row[1] for row in answer.facets["price"]] == [5, 5]
    assert answer.facets["n"] == [[[0, 3], 3], [[3, 6], 3]]
    same = find(db, c, '{"n":{"$lt":10}}', "FACET",
                '[{"field":"cat","limit":2},{"field":"price","ranges":[0,5,100]}]')
    assert same.facets["cat"] == answer.facets["cat"]
    assert same.facets["price"] == answer.facets["price"]
    unindexed = find(db, c, '{"n":{"$lt":3}}', "FACET", "free.deep")
    assert unindexed.facets["free.deep"] == [[0, 1], [1, 1], [2, 1]]


def test_stats(db, c):
    answer = find(db, c, "{}", "STATS", "n,price,r,free.deep", "LIMIT", "0")
    figures = answer.stats["n"]
    assert list(figures) == ["count", "min", "max", "sum", "avg"]
    assert [figures[k] for k in ("count", "min", "max", "sum")] == [12, 0, 11, 66]
    assert figures["avg"] == "5.5000", "exact types: rounded half-even to scale + 4"
    assert answer.stats["price"] == {"count": 12, "min": "0.50", "max": "11.50", "sum": "72.00",
                                     "avg": "6.000000"}
    assert number(db, answer.stats["r"]["sum"]) == 16.5
    assert answer.stats["free.deep"]["count"] == 12
    groups = find(db, c, "{}", "STATS", '["n"]', "BY", "cat").stats["n"]
    assert [(value, figures["sum"]) for value, figures in groups] == [
        ("a", 18), ("b", 22), ("c", 26)]
    empty = find(db, c, '{"n":99}', "STATS", "n").stats["n"]
    assert empty["count"] == 0
    assert db.code("FIND", c, "{}", "BY", "cat") == "SYNTAX"


def test_distinct(db, c):
    assert find(db, c, "{}", "DISTINCT", "cat").distinct == ["a", "b", "c"]
    assert find(db, c, '{"n":{"$lt":3}}', "DISTINCT", "n").distinct == [0, 1, 2]
    assert find(db, c, "{}", "DISTINCT", "tags").distinct == ["all", "even", "odd"]
    assert find(db, c, '{"n":{"$lt":2}}', "DISTINCT", "free.deep").distinct == [0, 1]


# Lists and options

def test_sort_skip_limit_fields_meta(db, c):
    answer = find(db, c, "{}", "SORT", "cat:1,n:-1", "SKIP", "1", "LIMIT", "2", "FIELDS", "n,cat",
                  "META")
    assert answer.ids == ["k06", "k03"]
    hit = answer.raw["hits"][0]
    assert set(as_map(hit)) == {"id", "version", "doc"}
    assert json.loads(answer.hits[0]["doc"]) == {"n": 6, "cat": "a"}
    assert find(db, c, "{}", "SORT", '[["cat",-1],["n",1]]', "LIMIT", "2").ids == ["k02", "k05"]
    assert find(db, c, "{}", "SORT", "free.deep:-1", "LIMIT", "2").ids == ["k11", "k10"]
    assert find(db, c, "{}", "SORT", "at:-1", "LIMIT", "1").ids == ["k11"]
    excluded = find(db, c, '{"n":1}', "FIELDS", "-tags,-free,-at,-on,-r,-cat").hits[0]["doc"]
    assert json.loads(excluded) == {"n": 1, "price": 1.5}
    assert json.loads(find(db, c, '{"n":1}', "FIELDS", '["free.deep"]').hits[0]["doc"]) == {
        "free": {"deep": 1}}


def test_names_of_commands_and_options_have_no_case(db, c):
    assert as_map(db.call("find", c, "{}", "liMit", "1", "sOrT", "n:-1"))["total"] == 12
    assert db.call("count", c, "{}") == 12
    assert db.call("Count", c, '{"N":1}') == 0
    assert db.code("FIND", c.upper() + "x", "{}") == "NOTFOUND"


@pytest.mark.parametrize("words,code", [
    (["LIMIT", "1001"], "LIMIT"), (["LIMIT", "-1"], "INVALID"), (["LIMIT"], "SYNTAX"),
    (["SKIP", "99999", "LIMIT", "10"], "LIMIT"), (["SKIP", "-1"], "INVALID"),
    (["SORT", "n:2"], "SYNTAX"), (["SORT", "n,n"], "SYNTAX"), (["SORT", ""], "SYNTAX"),
    (["FIELDS", "a,-b"], "SYNTAX"), (["FACET", "n:x"], "SYNTAX"), (["META", "META"], "SYNTAX"),
    (["TIMEOUT", "0ms"], "INVALID"), (["TIMEOUT", "5"], "INVALID"), (["PARAMS", "5"], "INVALID"),
    (["AFTER", "x", "SKIP", "1"], "SYNTAX"), (["AT", "999999999"], "INVALID"),
    (["AT", "x"], "INVALID"), (["WHERE", "{}"], "SYNTAX"), (["LIMIT", "$x"], "INVALID"),
])
def test_wrong_options_have_their_code(db, c, words, code):
    reply = db.reply("FIND", c, "{}", *words)
    assert isinstance(reply, RespError), reply
    assert reply.code in (code, "INVALID" if code == "SYNTAX" and words[0] == "SORT" else code)
    assert ": " in reply.text and "\n" not in reply.text


# Parameters

def test_parameters_everywhere(db, c):
    params = json.dumps({"x": 3, "s": "n:-1", "f": {"n": {"$lt": 5}}, "list": ["k01", "k02"]})
    assert db.call("COUNT", c, '{"n":{"$lt":"$x"}}', "PARAMS", params) == 3
    assert find(db, c, "$f", "SORT", "$s", "LIMIT", "$x", "PARAMS", params).ids == [
        "k04", "k03", "k02"]
    assert db.call("COUNT", c, '{"_id":{"$in":"$list"}}', "PARAMS", params) == 2
    assert db.code("COUNT", c, '{"n":"$y"}', "PARAMS", params) == "INVALID"
    db.call("PUT", c, "p", '{"free":"$x","cat":"$literal","l":{"$literal":"$x"}}', "PARAMS",
            '{"x":[1,"$x"],"literal":"q"}')
    assert json.loads(db.call("FETCH", c, "p")) == {"free": [1, "$x"], "cat": "q", "l": "$x"}
    db.call("PUT", c, "p", '{"free":"$x"}')
    assert json.loads(db.call("FETCH", c, "p")) == {"free": "$x"}
    assert db.call("COUNT", c, '{"free":"$x"}') == 1
    assert db.call("COUNT", c, '{"free":{"$literal":"$x"}}', "PARAMS", "{}") == 1
    db.call("PATCH", c, "p", '{"$set":{"free":"$x"}}', "PARAMS", '{"x":7}')
    assert json.loads(db.call("FETCH", c, "p")) == {"free": 7}
    assert db.call("REMOVE", c, "WHERE", '{"free":"$x"}', "PARAMS", '{"x":7}') == 1


def test_blobs(db, c):
    vector = struct.pack("<2f", 1.5, -2)
    db.call("PUT", c, "b", '{"v":"$v"}', "BLOB", "v", vector)
    assert json.loads(db.call("FETCH", c, "b", "FIELDS", "v")) == {"v": [1.5, -2]}
    text = base64.b64encode(vector).decode()
    assert db.call("COUNT", c, '{"free":"$v"}', "BLOB", "v", vector) == 0
    db.call("PUT", c, "b", json.dumps({"free": text}))
    assert db.call("COUNT", c, '{"free":"$v"}', "BLOB", "v", vector) == 1
    assert db.code("COUNT", c, "{}", "BLOB", "v", b"1", "BLOB", "v", b"2") == "SYNTAX"


# Documents

def test_mfetch_and_fetch_with_every_option(db, c):
    version = as_map(db.call("PUT", c, "k00", '{"n":100}'))["version"]
    db.call("REMOVE", c, "k01")
    older = version - 1
    assert json.loads(db.call("FETCH", c, "k00", "AT", older, "FIELDS", "n")) == {"n": 0}
    got = db.call("MFETCH", c, "k00", "k01", "nope", "FIELDS", "n", "AT", older, "META")
    assert [entry and json.loads(as_map(entry)["doc"]) for entry in got] == [
        {"n": 0}, {"n": 1}, None]
    assert list(as_map(got[0])) == ["id", "version", "doc"]
    assert as_map(got[0])["version"] < version
    assert db.call("MFETCH", c, "IDS", '["k00","k01"]', "FIELDS", "n") == ['{"n":100}', None]
    assert db.call("MFETCH", c, "META", "FIELDS", "k00", "META") is not None
    assert db.code("MFETCH", c, "IDS", "[1]") == "INVALID"
    assert db.code("MFETCH", c, "IDS", "[1") == "INVALID"
    assert db.code("FETCH", c, "k00", "FIELDS", "n", "FIELDS", "n") == "SYNTAX"
    assert db.code("FETCH", c, "k00", "AT", version + 1000) == "INVALID"
    assert db.code("FETCH", c, "k00", "LIMIT", "1") == "SYNTAX"


def test_reads_of_an_older_version(db, c):
    before = find(db, c, '{"n":{"$lt":6}}', "SORT", "n:-1", "FACET", "cat", "STATS", "price",
                  "LIMIT", "3")
    for n in range(6):
        db.call("PATCH", c, f"k{n:02}", '{"$inc":{"n":50},"$set":{"cat":"z"}}')
    db.call("REMOVE", c, "k05")
    after = find(db, c, '{"n":{"$lt":6}}', "SORT", "n:-1", "FACET", "cat", "STATS", "price",
                 "LIMIT", "3", "AT", before.version)
    assert (after.ids, after.total, after.facets, after.stats, after.version) == (
        before.ids, before.total, before.facets, before.stats, before.version)
    assert [h["doc"] for h in after.hits] == [h["doc"] for h in before.hits]
    assert db.call("COUNT", c, '{"n":{"$lt":6}}', "AT", before.version) == 6
    assert db.call("COUNT", c, '{"n":{"$lt":6}}') == 0
    assert "index" in " ".join(flat(db.call("EXPLAIN", "COUNT", c, "{}", "AT", before.version)))


def test_put_and_patch_with_every_option(db, c):
    put = as_map(db.call("PUT", c, "x", '{"n":1}', "ABSENT", "TTL", "1h", "RETURN", "new", "VEC",
                         "v", struct.pack("<2f", 0, 1), "KEY", c + "1"))
    assert put["id"] == "x" and json.loads(put["doc"]) == {"n": 1}
    assert as_map(db.call("FETCH", c, "x", "META"))["expires_at"]
    patched = as_map(db.call("PATCH", c, "x", '{"$inc":{"n":1}}', "VERSION", put["version"],
                             "RETURN", "old", "PERSIST", "KEY", c + "2"))
    assert json.loads(patched["doc"]) == {"n": 1} and patched["version"] > put["version"]
    assert "expires_at" not in as_map(db.call("FETCH", c, "x", "META"))
    assert db.code("PATCH", c, "x", "{}", "TTL", "1s", "PERSIST") == "SYNTAX"
    assert db.code("PATCH", c, "x", "{}", "ABSENT") == "SYNTAX"
    assert db.code("PUT", c, "x", "{}", "UPSERT") == "SYNTAX"
    assert db.code("PUT", c, "x", "{}", "IF", '{"n":9}') == "CONFLICT"
    assert db.code("PATCH", c, "no", "{}", "IF", "{}", "UPSERT") == "CONFLICT"
    upserted = as_map(db.call("PATCH", c, "new", '{"$set":{"n":1}}', "UPSERT", "RETURN", "old"))
    assert upserted["doc"] is None


def test_every_write_takes_a_key(db, c):
    other = c + "k"
    for _ in range(2):
        assert db.call("CREATE", other, '{"fields":{}}', "KEY", c + "create") == "OK"
    jobs = {db.call("ALTER", other, '{"add":{"a":{"type":"int"}}}', "KEY", c + "alter")
            for _ in range(2)}
    assert len(jobs) == 1
    wait_for_job(db, jobs.pop())
    for _ in range(2):
        assert db.call("ALIAS", other + "a", other, "KEY", c + "alias") == "OK"
    for _ in range(2):
        assert db.call("REMOVE", c, "WHERE", '{"n":{"$lt":3}}', "KEY", c + "where") == 3
        db.call("PUT", c, "again", '{"n":1}')
    assert db.call("COUNT", c, '{"n":{"$lt":3}}') == 1
    for _ in range(2):
        assert db.call("REMOVE", c, "k03", "k04", "KEY", c + "remove") == 2
        db.call("PUT", c, "k03", '{"n":3}')
    assert db.call("FETCH", c, "k03") == '{"n":3}'
    for _ in range(2):
        assert db.call("DROP", other, "KEY", c + "drop") == "OK"
    assert db.code("DROP", other) == "NOTFOUND"
    key = b"\xff\x00$" + c.encode()
    assert db.call("PUT", c, "bin", "{}", "KEY", key) == db.call("PUT", c, "bin", "{}", "KEY", key)
    assert db.code("PUT", c, "bin", "{}", "KEY", "$nope") == "INVALID"


def test_remove_forms(db, c):
    assert db.call("REMOVE", c, "k00", "nope", "k01") == 2
    assert db.call("REMOVE", c, "IDS", '["k02"]') == 1
    assert db.call("REMOVE", c, "WHERE", '{"n":{"$gte":3}}', "LIMIT", "2") == 2
    assert db.call("REMOVE", c, "LIMIT", "WHERE") == 0, "ids"
    assert db.call("COUNT", c, "{}") == 7
    assert db.code("REMOVE", c, "WHERE") == "SYNTAX"
    assert db.code("REMOVE", c, "WHERE", "{") == "INVALID"


# EXPORT and MORE

def export(db, c, *options):
    reply = as_map(db.call("EXPORT", c, *options))
    chunks = [reply["chunk"]]
    while "cursor" in reply:
        reply = as_map(db.call("MORE", reply["cursor"]))
        chunks.append(reply["chunk"])
    return chunks


def test_export(db, c):
    lines = "".join(export(db, c, "BATCH", "5")).splitlines()
    assert sorted(json.loads(line)["n"] for line in lines) == list(range(12))
    assert len(export(db, c, "BATCH", "5")) == 3 and len(export(db, c, "BATCH", "12")) == 1
    some = "".join(export(db, c, "WHERE", '{"cat":"a"}', "META", "BATCH", "3")).splitlines()
    assert {json.loads(line)["id"] for line in some} == {"k00", "k03", "k06", "k09"}
    assert list(json.loads(some[0])) == ["id", "version", "doc"]
    first = as_map(db.call("EXPORT", c, "BATCH", "2"))
    db.call("REMOVE", c, "WHERE", "{}")
    second = as_map(db.call("MORE", first["cursor"], "9"))
    third = as_map(db.call("MORE", second["cursor"], "9"))
    assert "cursor" not in third
    sizes = [len(part["chunk"].splitlines()) for part in (first, second, third)]
    assert sizes == [2, 9, 1], "one version"
    assert db.code("MORE", first["cursor"]) == "NOTFOUND"
    assert export(db, c) == [""]
    assert db.code("MORE", "nonsense") == "NOTFOUND"


def test_export_of_an_older_version_and_as_csv(db, c):
    version = as_map(db.call("PUT", c, "k00", '{"n":0,"cat":"x,\\"y"}'))["version"]
    rows = "".join(export(db, c, "AS", "csv", "WHERE", '{"n":0}')).splitlines()
    assert rows[0].split(",")[:2] == ["_id", "price"] and rows[1] == 'k00,,"x,""y",0,,,,'
    db.call("REMOVE", c, "WHERE", '{"n":{"$lt":9}}')
    old = "".join(export(db, c, "AT", version, "BATCH", "5")).splitlines()
    assert len(old) == 12
    assert db.code("EXPORT", c, "AS", "xml") == "SYNTAX"
    assert db.code("EXPORT", c, "BATCH", "0") == "INVALID"


def test_cursors_of_one_client_are_bounded(server, c):
    with server.connect(3) as db:
        for _ in range(64):
            assert "cursor" in db.call("EXPORT", c, "BATCH", "1")
        assert db.code("EXPORT", c, "BATCH", "1") == "LIMIT"
    with server.connect(3) as db:
        assert "cursor" in db.call("EXPORT", c, "BATCH", "1")


# Page cursors

def test_cursors_belong_to_their_query(db, c):
    page = find(db, c, "{}", "SORT", "n", "LIMIT", "5")
    assert find(db, c, "{}", "SORT", "n", "LIMIT", "3", "AFTER", page.cursor).ids == [
        "k05", "k06", "k07"]
    assert db.code("FIND", c, "{}", "SORT", "n:-1", "AFTER", page.cursor) == "INVALID"
    assert db.code("FIND", c, '{"n":1}', "SORT", "n", "AFTER", page.cursor) == "INVALID"
    changed = ("A" if page.cursor[5] != "A" else "B").join([page.cursor[:5], page.cursor[6:]])
    assert db.code("FIND", c, "{}", "SORT", "n", "AFTER", changed) == "INVALID"
    last = find(db, c, "{}", "SORT", "n", "LIMIT", "12")
    assert last.cursor is None


# EXPLAIN, operations

@pytest.mark.parametrize("words", [
    ["FIND", "{}"], ["FIND", '{"n":{"$gt":3}}', "SORT", "price", "FACET", "cat"],
    ["COUNT", '{"free.deep":3}'], ["FIND", '{"cat":"a"}', "SORT", "free.deep"],
])
def test_explain(db, c, words):
    plan = as_map(db.call("EXPLAIN", words[0], c, *words[1:]))
    assert {"plan", "estimate", "total", "stages", "took_us"} <= set(plan)
    for stage in plan["stages"]:
        assert isinstance(as_map(stage)["took_us"], int)
    assert ("scan" in json.dumps(plan)) == ("free.deep" in words[-1])
    assert db.code("EXPLAIN", "PUT", c, "1", "{}") == "SYNTAX"


def test_jobs(db, c):
    for words in (["COMPACT"], ["RESHARD", "3"], ["ALTER", c, '{"add":{"z":{"type":"int"}}}']):
        job = db.call(*words)
        assert isinstance(job, int)
        entry = wait_for_job(db, job)
        assert entry["kind"] == words[0] and entry["id"] == job
    assert db.code("JOBS", "CANCEL", str(job)) == "NOTFOUND"
    assert db.code("JOBS", "FROB", str(job)) == "SYNTAX"
    assert {as_map(j)["state"] for j in db.call("JOBS")} <= {"running", "done", "failed"}


def test_describe_collections_stats_health(db, c):
    described = as_map(db.call("DESCRIBE", c))
    for index in described["indexes"]:
        index = as_map(index)
        assert index["state"] == "ready" and index["bytes"] >= 0
    assert json.loads(described["schema"])["fields"]["n"] == {
        "type": "int", "index": True, "sort": True}
    alias = c + "x"
    db.call("ALIAS", alias, c)
    rows = {row["name"]: row for row in map(as_map, db.call("COLLECTIONS"))}
    assert rows[c]["documents"] == 12 and rows[alias]["alias_of"] == c
    assert as_map(db.call("STATS", alias))["documents"] == 12
    assert as_map(db.call("HEALTH"))["state"] == "ok"
    assert db.code("DROP", alias) == "NOTFOUND"
    assert db.code("CREATE", alias, '{"fields":{}}') == "DUPLICATE"


# ALTER

def test_alter_every_part(db, name):
    db.call("CREATE", name, '{"fields":{"a":{"type":"int"},"o":{"type":"object","fields":{}}}}')
    db.call("PUT", name, "1", '{"a":1,"b":"x","o":{"p":1}}')
    change = {"add": {"b": {"type": "keyword", "index": True}, "o.p": {"type": "int", "index": True,
                                                                      "default": 5},
                      "o.q": {"type": "keyword", "default": "new"}},
              "set": {"a": {"index": True, "min": 0}}, "unknown": "refuse"}
    wait_for_job(db, job_of(db.call("ALTER", name, json.dumps(change))))
    assert db.call("COUNT", name, '{"a":1,"b":"x","o.p":1,"o.q":"new"}') == 1
    assert db.code("PUT", name, "2", '{"zz":1}') == "INVALID"
    assert db.code("PUT", name, "2", '{"a":-1}') == "INVALID"
    wait_for_job(db, job_of(db.call(
        "ALTER", name, '{"drop":["b"],"set":{"a":{"min":null}},"unknown":"keep"}')))
    db.call("PUT", name, "2", '{"a":-1,"zz":1}')
    assert db.call("COUNT", name, '{"b":"x"}') == 1


def test_new_defaults_in_every_kind_of_read(server, db, name):
    db.call("CREATE", name, '{"fields":{"k":{"type":"int","index":true}}}')
    for n in range(5):
        db.call("PUT", name, str(n), json.dumps({"k": n, **({"s": 3} if n == 4 else {})}))
    version = as_map(db.call("PUT", name, "5", '{"k":5,"s":null}'))["version"]
    wait_for_job(db, job_of(db.call("ALTER", name, json.dumps({"add": {
        "s": {"type": "int", "default": 7, "index": True, "sort": True, "facet": True}}}))))
    for options in ([], ["AT", version]):
        assert db.call("COUNT", name, '{"s":7}', *options) == 4
        assert find(db, name, "{}", "SORT", "s:-1,k", *options).ids == [
            "0", "1", "2", "3", "4", "5"]
    assert json.loads(find(db, name, '{"k":0}').hits[0]["doc"]) == {"k": 0, "s": 7}
    assert find(db, name, "{}", "FACET", "s").facets["s"][0] == [7, 4]
    assert find(db, name, "{}", "STATS", "s").stats["s"]["sum"] == 31
    assert [d and json.loads(d) for d in db.call("MFETCH", name, "0", "5", "FIELDS", "s")] == [
        {"s": 7}, {"s": None}]
    assert '"s":7' in "".join(export(db, name, "WHERE", '{"k":1}'))
    db.call("PATCH", name, "0", '{"$inc":{"s":1}}', "IF", '{"s":7}')
    assert db.call("FETCH", name, "0") == '{"k":0,"s":8}'
    db.call("MULTI")
    db.call("FETCH", name, "1")
    assert json.loads(db.call("EXEC")[0]) == {"k": 1, "s": 7}
    # Another default, then an index that came later.
    wait_for_job(db, job_of(db.call("ALTER", name, '{"set":{"s":{"default":9}}}')))
    assert db.call("COUNT", name, '{"s":9}') == 3 and db.call("COUNT", name, '{"s":7}') == 0
    wait_for_job(db, job_of(db.call("RESHARD", "2")))
    assert db.call("COUNT", name, '{"s":9}') == 3
    wait_for_job(db, job_of(db.call("ALTER", name, '{"set":{"s":{"default":null}}}')))
    assert db.call("COUNT", name, '{"s":9}') == 0
    assert db.call("FETCH", name, "1") == '{"k":1}'


def test_defaults_of_an_alter_live_through_a_restart(own_server):
    server = own_server()
    with server.connect(3) as db:
        db.call("CREATE", "c", '{"fields":{}}')
        db.call("PUT", "c", "1", '{"a":{"b":1}}')
        wait_for_job(db, db.call("ALTER", "c", json.dumps({"add": {
            "s": {"type": "keyword", "default": "x", "index": True}}})))
    server.restart(kill=True)
    with server.connect(3) as db:
        assert db.call("COUNT", "c", '{"s":"x"}') == 1
        assert db.call("FETCH", "c", "1") == '{"a":{"b":1},"s":"x"}'
        assert "default" in db.call("DESCRIBE", "c")["schema"]
        assert "fills" not in json.dumps(db.call("DESCRIBE", "c"))


# MULTI

def test_transactions(db, c):
    assert db.call("MULTI") == "OK"
    for words in (["PUT", c, "t", '{"n":1}'],
                  ["PATCH", c, "t", '{"$inc":{"n":1}}', "RETURN", "new"],
                  ["FETCH", c, "t", "FIELDS", "n"], ["MFETCH", c, "t", "nope", "META"],
                  ["REMOVE", c, "k00", "nope"], ["PING"], ["PING", "x"], ["ECHO", "y"]):
        assert db.call(*words) == "QUEUED"
    replies = db.call("EXEC")
    put, patched = as_map(replies[0]), as_map(replies[1])
    assert put["version"] == patched["version"]
    assert json.loads(patched["doc"]) == {"n": 2} and replies[2] == '{"n":2}'
    assert json.loads(as_map(replies[3][0])["doc"]) == {"n": 2} and replies[3][1] is None
    assert replies[4:] == [1, "PONG", "x", "y"]
    assert db.call("UNWATCH") == "OK"
    assert db.reply("WATCH", c).text == "ERR use IF or VERSION"


@pytest.mark.parametrize("words", [
    ["FIND", "C", "{}"], ["COUNT", "C", "{}"], ["MULTI"], ["WATCH", "x"], ["CREATE", "D", "{}"],
    ["PUT", "C", "1"], ["PUT", "C", "1", "{"], ["PUT", "C", "1", "{}", "FROB"], ["NOSUCH"],
    ["PATCH", "C", "1", '{"$frob":1}'], ["REMOVE", "C", "WHERE", "{}"], ["INFO"],
    ["PUT", "nope", "1", "{}"], ["DROP", "C"],
])
def test_what_breaks_a_transaction(db, c, words):
    words = [c if word == "C" else word for word in words]
    db.call("MULTI")
    db.call("PUT", c, "t", "{}")
    assert isinstance(db.reply(*words), RespError)
    assert db.code("EXEC") == "EXECABORT"
    assert db.call("FETCH", c, "t") is None
    assert db.code("EXEC") == "ERR" and db.code("DISCARD") == "ERR"


def test_a_failing_command_of_a_transaction_is_named(db, c):
    db.call("MULTI")
    db.call("PUT", c, "t", "{}")
    db.call("PING")
    db.call("PUT", c, "k01", "{}", "ABSENT")
    reply = db.reply("EXEC")
    assert isinstance(reply, RespError) and reply.text.startswith("CONFLICT #3"), reply
    assert db.call("FETCH", c, "t") is None
    db.call("MULTI")
    db.call("PUT", c, "t", "{}")
    assert db.call("DISCARD") == "OK"
    assert db.call("FETCH", c, "t") is None


# Protocol

def test_inline_commands(server, c):
    with server.connect() as db:
        db.send(f"COUNT {c} {{}}\r\n".encode())
        assert db.read() == 12
        db.send(f"FETCH {c} \"k01\" FIELDS 'n'\r\n".encode())
        assert db.read() == '{"n":1}'


def test_rights_hold_behind_aliases(server, db, c):
    open_one, closed = c + "open", c + "closed"
    db.call("CREATE", open_one, '{"fields":{}}')
    db.call("ALIAS", closed, c)
    user = "u" + c
    db.call("ACL", "SETUSER", user, "on", ">pw", f"%R~{open_one}", f"%R~{closed}", "+@all")
    with server.connect(db.protocol, user=user, password="pw") as mine:
        assert mine.call("COUNT", open_one, "{}") == 0
        assert mine.code("PUT", open_one, "1", "{}") == "NOPERM"
        for words in (["COUNT", closed, "{}"], ["EXPLAIN", "COUNT", closed, "{}"],
                      ["FETCH", closed, "k01"], ["DESCRIBE", closed], ["EXPORT", closed],
                      ["STATS", closed], ["MEMORY", "USAGE", closed]):
            assert mine.code(*words) == "NOPERM", words
        assert [as_map(row)["name"] for row in mine.call("COLLECTIONS")] == [open_one]
    db.call("ACL", "DELUSER", user)

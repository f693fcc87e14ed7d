"""FIND, COUNT, EXPLAIN, EXPORT, MORE: the filter algebra, sorts, pages, facets and the rest."""

import json
import random
import threading
import time

import pytest

from aisle_resp import Lookup, RespError, as_map, find

DOCUMENTS = {
    "d1": {"a": 1, "s": "red", "t": ["x", "y"], "n": {"k": 1, "l": "p"}, "f": True},
    "d2": {"a": 2, "s": "Red", "t": [], "n": {"k": 2}, "f": False},
    "d3": {"a": 3, "s": "green", "t": ["y"], "e": [{"k": "a", "v": 1}, {"k": "b", "v": 5}]},
    "d4": {"a": None, "s": "greenish", "t": ["x", "z"], "n": {"k": None}},
    "d5": {"s": "blue", "e": [{"k": "a", "v": 9}], "q": [1, 5, 9]},
    "d6": {"a": -1, "q": [], "n": {"l": "p"}},
}
DECLARED = {
    "a": {"type": "int"}, "s": {"type": "keyword"}, "t": {"type": "keyword", "array": True},
    "n": {"type": "object", "fields": {"k": {"type": "int"}, "l": {"type": "keyword"}}},
    "f": {"type": "bool"}, "q": {"type": "int", "array": True},
    "e": {"type": "array", "items": {"type": "object", "fields": {
        "k": {"type": "keyword"}, "v": {"type": "int"}}}},
}


def indexed(field):
    if "fields" in field:
        return {**field, "fields": {k: indexed(v) for k, v in field["fields"].items()}}
    if "items" in field:
        return {**field, "items": indexed(field["items"])}
    return {**field, "index": True}


SCHEMAS = {"undeclared": {}, "declared": DECLARED,
           "indexed": {name: indexed(field) for name, field in DECLARED.items()}}

FILTERS = [
    ({}, "d1 d2 d3 d4 d5 d6"),
    ({"a": 1}, "d1"), ({"a": 1.0}, "d1"), ({"a": {"$eq": 2}}, "d2"),
    ({"a": {"$ne": 1}}, "d2 d3 d4 d5 d6"), ({"a": None}, "d4 d5"),
    ({"a": {"$exists": True}}, "d1 d2 d3 d4 d6"), ({"a": {"$exists": False}}, "d5"),
    ({"a": {"$gt": 1}}, "d2 d3"), ({"a": {"$gte": 1}}, "d1 d2 d3"), ({"a": {"$lt": 1}}, "d6"),
    ({"a": {"$lte": 1.5}}, "d1 d6"), ({"a": {"$gt": 0, "$lt": 3}}, "d1 d2"),
    ({"a": {"$gte": None}}, "d4 d5"), ({"a": {"$not": {"$gt": 1}}}, "d1 d4 d5 d6"),
    ({"a": {"$in": [1, 3, None]}}, "d1 d3 d4 d5"), ({"a": {"$in": []}}, ""),
    ({"a": {"$nin": [1, None]}}, "d2 d3 d6"), ({"a": {"$nin": []}}, "d1 d2 d3 d4 d5 d6"),
    ({"s": "red"}, "d1"), ({"s": {"$regex": "^green"}}, "d3 d4"),
    ({"s": {"$regex": "^RED$", "$options": "i"}}, "d1 d2"), ({"s": {"$regex": "e.$"}}, "d1 d2 d3"),
    ({"s": {"$gte": "b", "$lt": "h"}}, "d3 d4 d5"), ({"s": {"$not": {"$regex": "e"}}}, "d6"),
    ({"t": "x"}, "d1 d4"), ({"t": ["x", "y"]}, "d1"), ({"t": []}, "d2"),
    ({"t": {"$all": ["y", "x"]}}, "d1"), ({"t": {"$all": []}}, ""), ({"t": {"$size": 1}}, "d3"),
    ({"t": {"$size": 0}}, "d2"), ({"t": {"$in": ["z", "y"]}}, "d1 d3 d4"),
    ({"t": {"$nin": ["x"]}}, "d2 d3 d5 d6"), ({"t": {"$ne": "y"}}, "d2 d4 d5 d6"),
    ({"t": None}, "d5 d6"), ({"t.0": "y"}, "d3"),
    ({"q": {"$gt": 1, "$lt": 5}}, "d5"), ({"q": {"$elemMatch": {"$gt": 1, "$lt": 5}}}, ""),
    ({"q": {"$elemMatch": {"$gte": 5, "$lt": 9}}}, "d5"),
    ({"n.k": 1}, "d1"), ({"n.k": None}, "d3 d4 d5 d6"), ({"n.k": {"$exists": True}}, "d1 d2 d4"),
    ({"n": {"k": 1, "l": "p"}}, "d1"), ({"n": {"l": "p", "k": 1}}, ""), ({"n": {"k": 2}}, "d2"),
    ({"n.l": "p", "n.k": {"$exists": False}}, "d6"),
    ({"e.v": {"$gt": 4}}, "d3 d5"), ({"e.k": "a", "e.v": 5}, "d3"),
    ({"e": {"$elemMatch": {"k": "a", "v": 5}}}, ""),
    ({"e": {"$elemMatch": {"k": "a", "v": {"$gt": 5}}}}, "d5"),
    ({"e": {"$all": [{"$elemMatch": {"k": "a"}}, {"$elemMatch": {"k": "b"}}]}}, "d3"),
    ({"e.1.v": 5}, "d3"),
    ({"f": True}, "d1"), ({"f": {"$ne": True}}, "d2 d3 d4 d5 d6"), ({"f": {"$in": [False]}}, "d2"),
    ({"$and": [{"a": {"$gt": 0}}, {"t": "y"}]}, "d1 d3"),
    ({"$or": [{"a": 1}, {"s": "blue"}]}, "d1 d5"),
    ({"$nor": [{"a": 1}, {"t": "y"}]}, "d2 d4 d5 d6"),
    ({"a": 1, "$or": [{"s": "red"}, {"s": "x"}]}, "d1"),
    ({"$nor": [{"$and": [{"a": {"$gt": 0}}, {"$or": [{"t": "x"}, {"t": "y"}]}]}]}, "d2 d4 d5 d6"),
    ({"a": {"$type": "null"}}, "d4"), ({"s": {"$type": "string"}}, "d1 d2 d3 d4 d5"),
    ({"f": {"$type": "bool"}}, "d1 d2"), ({"n": {"$type": "object"}}, "d1 d2 d4 d6"),
    ({"a": {"$type": "number"}}, "d1 d2 d3 d6"),
    ({"_id": "d3"}, "d3"), ({"_id": {"$in": ["d1", "d9"]}}, "d1"),
    ({"_id": {"$gt": "d4"}}, "d5 d6"),
    ({"_id": {"$ne": "d1"}, "a": {"$gt": 0}}, "d2 d3"),
]


@pytest.fixture(scope="module", params=list(SCHEMAS))
def table(server, request):
    """A collection with DOCUMENTS, under each kind of schema."""
    name = "filters_" + request.param
    with server.connect(3) as db:
        db.call("CREATE", name, json.dumps({"fields": SCHEMAS[request.param]}))
        for key, document in DOCUMENTS.items():
            db.call("PUT", name, key, json.dumps(document))
    return name


@pytest.mark.parametrize("query,expected", FILTERS, ids=lambda v: json.dumps(v)[:60])
def test_filters(db3, table, query, expected):
    answer = find(db3, table, json.dumps(query), "SORT", "_id")
    assert answer.ids == expected.split()
    assert answer.total == len(answer.ids) and answer.exact
    assert db3.call("COUNT", table, json.dumps(query)) == len(expected.split())


@pytest.mark.parametrize("query", [
    "", "{", "[]", "5", '"x"', '{"a":{"$frob":1}}', '{"$frob":[]}', '{"a":{"$in":1}}',
    '{"a":{"$size":"x"}}', '{"a":{"$size":-1}}', '{"$and":{}}', '{"$or":[]}', '{"$and":[1]}',
    '{"a":{"$regex":"("}}', '{"a":{"$regex":"[a"}}', '{"a":{"$regex":"x","$options":"q"}}',
    '{"a":{"$regex":"' + "a" * 257 + '"}}', '{"a":{"$not":5}}', '{"a":{"$elemMatch":5}}',
    '{"a":{"$all":"x"}}', '{"a":{"$type":"nosuch"}}', '{"a":{"$gt":1,"b":2}}',
    '{"a":' * 40 + "1" + "}" * 40, '{"$and":[' * 40 + "{}" + "]}" * 40,
], ids=lambda v: v[:40])
def test_wrong_filters(db3, table, query):
    reply = db3.reply("FIND", table, query)
    assert isinstance(reply, RespError), reply
    assert reply.code in ("INVALID", "LIMIT"), reply.text
    assert db3.code("COUNT", table, query) == reply.code


def test_a_pattern_has_a_bound(db3, table):
    reply = db3.reply("COUNT", table, '{"a":{"$regex":"' + "a" * 257 + '"}}')
    assert reply.code == "LIMIT" and "256" in reply.text
    assert db3.call("COUNT", table, '{"a":{"$regex":"' + "a" * 256 + '"}}') == 0


def test_sorts(db3, table):
    # Null and absent come first; ties stand by id.
    assert find(db3, table, "{}", "SORT", "a").ids == "d4 d5 d6 d1 d2 d3".split()
    assert find(db3, table, "{}", "SORT", "a:-1").ids == "d3 d2 d1 d6 d4 d5".split()
    assert find(db3, table, "{}", "SORT", "n.l:-1,a:1").ids == "d6 d1 d4 d5 d2 d3".split()
    assert find(db3, table, "{}", "SORT", '[["s",1],["a",-1]]').ids == "d6 d2 d5 d3 d4 d1".split()
    assert find(db3, table, "{}", "SORT", "_id:-1").ids == "d6 d5 d4 d3 d2 d1".split()
    assert find(db3, table, "{}", "SORT", "a", "SKIP", 2, "LIMIT", 2).ids == ["d6", "d1"]


@pytest.mark.parametrize("options,code", [
    (["LIMIT", "1001"], "LIMIT INVALID"), (["LIMIT", "x"], "INVALID SYNTAX"),
    (["LIMIT", "-1"], "INVALID LIMIT SYNTAX"), (["SKIP", "100001"], "LIMIT INVALID"),
    (["SORT", "a:2"], "SYNTAX INVALID"), (["FIELDS", "a,-b"], "SYNTAX"),
    (["LIMIT", "1", "LIMIT", "2"], "SYNTAX"), (["NOSUCH"], "SYNTAX"), (["SORT"], "SYNTAX"),
    (["AFTER", "nonsense"], "INVALID"), (["TIMEOUT", "fast"], "INVALID SYNTAX"),
    (["SKIP", "1", "AFTER", "x"], "SYNTAX INVALID"), (["PARAMS", "[]"], "INVALID"),
    (["FACET", '[{"field"]'], "INVALID SYNTAX"),
])
def test_wrong_options(db3, table, options, code):
    assert db3.code("FIND", table, "{}", *options) in code.split()


def test_the_default_limit_is_ten(db3, name):
    db3.call("CREATE", name, '{"fields":{}}')
    db3.pipeline([("PUT", name, str(n), "{}") for n in range(25)])
    answer = find(db3, name, "{}")
    assert len(answer.hits) == 10 and answer.total == 25 and answer.cursor


def test_hits_carry_what_is_asked(db3, table):
    hit = find(db3, table, '{"a":1}', "FIELDS", "a,n.k", "META").hits[0]
    assert hit["id"] == "d1" and json.loads(hit["doc"]) == {"a": 1, "n": {"k": 1}}
    assert isinstance(hit["version"], int)


# Parameters

def test_parameters(db3, table):
    params = json.dumps({"low": 1, "tags": ["x", "z"], "s": "red"})
    answer = find(db3, table, '{"a":{"$gte":"$low"},"t":{"$in":"$tags"}}', "PARAMS", params)
    assert answer.ids == ["d1"]
    assert find(db3, table, '{"s":"$s"}').ids == []
    assert db3.code("FIND", table, '{"s":"$none"}', "PARAMS", params) == "INVALID"
    assert find(db3, table, '{"s":{"$literal":"$none"}}', "PARAMS", params).ids == []
    assert find(db3, table, "{}", "LIMIT", "$n", "PARAMS", '{"n":2}').total == 6
    assert len(find(db3, table, "{}", "LIMIT", "$n", "PARAMS", '{"n":2}').hits) == 2


# Cursors

CURSOR_SCHEMA = json.dumps({"fields": {"p": {"type": "int", "index": True, "sort": True},
                                       "g": {"type": "keyword", "index": True}}})


def pages(db, name, query, *options):
    """All ids page by page."""
    ids, cursor = [], None
    while True:
        page = find(db, name, query, *options, *(["AFTER", cursor] if cursor else []))
        ids += page.ids
        cursor = page.cursor
        if not cursor:
            return ids


@pytest.mark.parametrize("sort", ["p:1", "p:-1", "u:1", "g,p:-1", None])
def test_cursors_neither_repeat_nor_skip(db3, name, sort):
    db3.call("CREATE", name, CURSOR_SCHEMA)
    rng = random.Random(5)
    documents = {f"k{n:03}": {"p": rng.choice([None, 1, 2, 3, 4]), "u": rng.randrange(9),
                              "g": rng.choice("abc")} for n in range(400)}
    db3.pipeline([("PUT", name, k, json.dumps(d)) for k, d in documents.items()])
    for limit in (7, 100, 400):
        ids = pages(db3, name, "{}", *(["SORT", sort] if sort else []), "LIMIT", limit)
        assert len(ids) == 400 and set(ids) == set(documents)


def test_cursors_hold_under_concurrent_writes(server, db3, name):
    db3.call("CREATE", name, CURSOR_SCHEMA)
    stable = {f"s{n:04}" for n in range(1000)}
    db3.pipeline([("PUT", name, k, json.dumps({"p": int(k[1:]) % 50})) for k in stable])
    stop = threading.Event()

    def writer():
        rng = random.Random(1)
        with server.connect() as mine:
            while not stop.is_set():
                key = f"w{rng.randrange(300)}"
                if rng.random() < 0.5:
                    mine.call("PUT", name, key, json.dumps({"p": rng.randrange(50)}))
                else:
                    mine.call("REMOVE", name, key)

    thread = threading.Thread(target=writer)
    thread.start()
    try:
        for sort in ("p:1", "p:-1"):
            for _ in range(5):
                ids = [i for i in pages(db3, name, "{}", "SORT", sort, "LIMIT", 37) if i[0] == "s"]
                assert len(ids) == 1000 and set(ids) == stable
    finally:
        stop.set()
        thread.join()


def test_foreign_and_altered_cursors_are_invalid(db3, name):
    db3.call("CREATE", name, CURSOR_SCHEMA)
    db3.pipeline([("PUT", name, str(n), json.dumps({"p": n})) for n in range(30)])
    cursor = find(db3, name, "{}", "SORT", "p", "LIMIT", 5).cursor
    assert find(db3, name, "{}", "SORT", "p", "LIMIT", 5, "AFTER", cursor).ids[0] == "5"
    assert db3.code("FIND", name, "{}", "SORT", "p:-1", "AFTER", cursor) == "INVALID"
    assert db3.code("FIND", name, '{"p":{"$gt":1}}', "SORT", "p", "AFTER", cursor) == "INVALID"
    middle = len(cursor) // 2
    other = "A" if cursor[middle] != "A" else "B"
    altered = cursor[:middle] + other + cursor[middle + 1:]
    assert db3.code("FIND", name, "{}", "SORT", "p", "AFTER", altered) == "INVALID"


# Facets, statistics, distinct

def shop(db, name):
    db.call("CREATE", name, json.dumps({"fields": {
        "cat": {"type": "keyword", "index": True, "facet": True},
        "tags": {"type": "keyword", "array": True, "index": True, "facet": True},
        "price": {"type": "decimal", "scale": 2, "index": True, "facet": True, "sort": True}}}))
    rows = [("a", ["x", "y"], "1.00"), ("a", ["x"], "2.50"), ("b", [], "99.99"),
            ("b", ["y"], "50.00"), ("c", ["x", "x"], None), ("a", ["z"], "10.01")]
    for n, (cat, tags, price) in enumerate(rows):
        db.call("PUT", name, str(n), json.dumps({"cat": cat, "tags": tags, "price": price}))


def test_facets(db, name):
    shop(db, name)
    answer = find(db, name, "{}", "FACET", "cat,tags:2,price:[0,10,50,100]")
    assert answer.facets["cat"] == [["a", 3], ["b", 2], ["c", 1]]
    assert answer.facets["tags"] == [["x", 3], ["y", 2]]
    ranges = {(float(r[0]), float(r[1])): n for r, n in answer.facets["price"]}
    assert ranges == {(0, 10): 2, (10, 50): 1, (50, 100): 2}
    same = find(db, name, "{}", "FACET", json.dumps(
        ["cat", {"field": "price", "ranges": [0, 10, 50, 100]}]))
    assert same.facets["price"] == answer.facets["price"]
    under = find(db, name, '{"cat":"b"}', "FACET", "tags")
    assert under.facets["tags"] == [["y", 1]]


def test_stats(db, name):
    shop(db, name)
    stats = find(db, name, "{}", "STATS", "price").stats["price"]
    assert {k: str(v) for k, v in stats.items()} == {
        "count": "5", "min": "1.00", "max": "99.99", "sum": "163.50", "avg": "32.700000"}
    by = find(db, name, "{}", "STATS", "price", "BY", "cat").stats["price"]
    by = dict(by)
    assert str(by["a"]["avg"]) == "4.503333" and by["b"]["count"] == 2
    empty = find(db, name, '{"cat":"none"}', "STATS", "price").stats["price"]
    assert empty["count"] == 0 and empty.get("min") is None


def test_distinct(db, name):
    shop(db, name)
    values = find(db, name, '{"cat":{"$ne":"b"}}', "DISTINCT", "tags").distinct
    assert sorted(v[0] if isinstance(v, list) else v for v in values) == ["x", "y", "z"]


# Versions in time

def test_at_a_version(db, name):
    db.call("CREATE", name, CURSOR_SCHEMA)
    first = as_map(db.call("PUT", name, "1", '{"p":1}'))["version"]
    db.call("PUT", name, "2", '{"p":2}')
    db.call("PUT", name, "1", '{"p":10}')
    last = as_map(db.call("PUT", name, "3", '{"p":3}'))["version"]
    db.call("REMOVE", name, "3")
    assert db.call("FETCH", name, "1", "AT", first) == '{"p":1}'
    assert db.call("FETCH", name, "3", "AT", last) == '{"p":3}'
    assert db.call("FETCH", name, "2", "AT", first) is None
    assert db.call("COUNT", name, "{}", "AT", first) == 1
    assert sorted(find(db, name, "{}", "AT", last).ids) == ["1", "2", "3"]
    assert find(db, name, '{"p":{"$gte":3}}', "AT", last, "SORT", "p").ids == ["3", "1"]
    assert db.call("MFETCH", name, "1", "2", "AT", first) == ['{"p":1}', None]
    assert db.reply("FETCH", name, "1", "AT", last + 10**9).code in ("GAP", "INVALID", "NOTFOUND")


# EXPLAIN

def test_explain_tells_the_plan(db, table):
    reply = db.call("EXPLAIN", "FIND", table, '{"a":{"$gt":1}}', "SORT", "s")
    text = json.dumps(reply)
    assert "plan" in text
    assert db.code("EXPLAIN", "PUT", table, "x", "{}") in ("SYNTAX", "INVALID", "ERR")
    assert db.code("EXPLAIN", "FIND", table, "{") == "INVALID"


def test_explain_warns_of_a_scan(db, name):
    db.call("CREATE", name, '{"fields":{"a":{"type":"int","index":true}}}')
    db.call("PUT", name, "1", '{"a":1,"b":1}')
    assert "scan" in json.dumps(db.call("EXPLAIN", "FIND", name, '{"b":1}')).lower()


# Timeouts

def test_a_timeout_stops_the_work(db3, name):
    db3.call("CREATE", name, '{"fields":{}}')
    for start in range(0, 30_000, 1000):
        db3.pipeline([("PUT", name, str(n), json.dumps({"b": f"{'x' * 400}{n}"}))
                      for n in range(start, start + 1000)])
    query = json.dumps({"$or": [{"b": {"$regex": f"(x+)+{n}y$"}} for n in range(20)]})
    before = time.monotonic()
    assert db3.code("FIND", name, query, "TIMEOUT", "5ms") == "TIMEOUT"
    assert time.monotonic() - before < 2
    partial = find(db3, name, query, "TIMEOUT", "5ms", "PARTIAL")
    assert partial.raw.get("partial") in (True, 1)


# EXPORT and MORE

def exported(db, name, *options):
    """All lines of an export, and how many chunks they came in."""
    reply = as_map(db.call("EXPORT", name, *options))
    chunks = [reply["chunk"]]
    while reply.get("cursor"):
        reply = as_map(db.call("MORE", reply["cursor"]))
        chunks.append(reply["chunk"])
    return "".join(chunks).splitlines(), len(chunks)


def test_export_as_json_lines(db, name):
    db.call("CREATE", name, CURSOR_SCHEMA)
    db.pipeline([("PUT", name, f"k{n}", json.dumps({"p": n})) for n in range(2500)])
    lines, chunks = exported(db, name)
    assert chunks in (3, 4)
    assert sorted(json.loads(line)["p"] for line in lines) == list(range(2500))
    lines, chunks = exported(db, name, "WHERE", '{"p":{"$lt":50}}', "BATCH", 20)
    assert len(lines) == 50 and chunks in (3, 4)


def test_an_export_is_one_version(server, db3, name):
    db3.call("CREATE", name, CURSOR_SCHEMA)
    db3.pipeline([("PUT", name, f"k{n}", '{"p":1}') for n in range(2000)])
    reply = as_map(db3.call("EXPORT", name, "BATCH", 100))
    lines = reply["chunk"].splitlines()
    db3.pipeline([("PUT", name, f"k{n}", '{"p":2}') for n in range(2000)])
    db3.call("REMOVE", name, "k1", "k1999")
    while reply.get("cursor"):
        reply = as_map(db3.call("MORE", reply["cursor"]))
        lines += reply["chunk"].splitlines()
    assert len(lines) == 2000 and {json.loads(line)["p"] for line in lines} == {1}


def test_export_as_csv(db, name):
    db.call("CREATE", name, CURSOR_SCHEMA)
    db.call("PUT", name, "1", '{"p":1,"g":"a,\\"b\\"\\nc"}')
    lines, _ = exported(db, name, "AS", "csv")
    assert "p" in lines[0] and "g" in lines[0]
    assert '"a,""b""' in lines[1]


def test_a_gone_more_cursor_is_not_found(db, name):
    assert db.code("MORE", "nosuchcursor") in ("NOTFOUND", "INVALID")


# One version

def test_an_answer_is_of_one_version(server, db3, name):
    """Every transfer keeps the sum: total, hits and stats must agree in each answer."""
    db3.call("CREATE", name, '{"fields":{"v":{"type":"int","index":true,"sort":true}}}')
    db3.pipeline([("PUT", name, f"a{n}", '{"v":100}') for n in range(20)])
    stop = threading.Event()

    def mover():
        rng = random.Random(2)
        with server.connect() as mine:
            while not stop.is_set():
                a, b = rng.sample(range(20), 2)
                amount = rng.randrange(50)
                mine.pipeline([("MULTI",),
                               ("PATCH", name, f"a{a}", json.dumps({"$inc": {"v": amount}})),
                               ("PATCH", name, f"a{b}", json.dumps({"$inc": {"v": -amount}})),
                               ("EXEC",)])

    threads = [threading.Thread(target=mover) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            answer = Lookup(db3.call("FIND", name, "{}", "LIMIT", 20, "STATS", "v"))
            assert answer.total == 20
            assert sum(json.loads(h["doc"])["v"] for h in answer.hits) == 2000
            assert int(answer.stats["v"]["sum"]) == 2000
    finally:
        stop.set()
        for thread in threads:
            thread.join()

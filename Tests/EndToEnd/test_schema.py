"""CREATE, ALTER, DROP, DESCRIBE, COLLECTIONS, ALIAS and the rules of schemas."""

import json
import threading
import time

import pytest

from aisle_resp import RespError, as_map, find
from aisle_server import PATIENCE


def create(db, name, **fields):
    db.call("CREATE", name, json.dumps({"fields": fields}))
    return name


def flat(value):
    """Every scalar in a nested reply, as text."""
    if isinstance(value, dict):
        return [t for pair in value.items() for part in pair for t in flat(part)]
    if isinstance(value, list):
        return [t for part in value for t in flat(part)]
    return [str(value)]


def wait_for_job(db, job, wanted="done", seconds=60):
    """Waits until JOBS shows the job in a final state and returns that entry."""
    end = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < end:
        entries = db.call("JOBS")
        for entry in entries.values() if isinstance(entries, dict) else entries:
            entry = as_map(entry)
            if str(entry.get("id")) == str(job) and entry["state"] != "running":
                assert entry["state"] == wanted, entry
                return entry
        time.sleep(0.02)
    raise AssertionError(f"job {job} did not end: {db.call('JOBS')}")


def job_of(reply):
    """The job id in a reply: the reply itself or its part `job`."""
    return as_map(reply)["job"] if isinstance(reply, (dict, list)) else reply


# Collections

def test_create_describe_drop(db, name):
    assert db.call("CREATE", name, '{"fields":{"a":{"type":"int","index":true}}}') == "OK"
    assert name in flat(db.call("COLLECTIONS"))
    described = flat(db.call("DESCRIBE", name))
    assert "ready" in described
    assert any('"a"' in text or text == "a" for text in described)
    assert db.call("DROP", name) == "OK"
    assert name not in flat(db.call("COLLECTIONS"))
    assert db.code("FIND", name, "{}") == "NOTFOUND"
    assert db.call("CREATE", name, '{"fields":{}}') == "OK"
    assert db.call("COUNT", name, "{}") == 0


def test_a_name_is_taken_once(db, name):
    create(db, name)
    assert db.reply("CREATE", name, '{"fields":{}}').code in ("DUPLICATE", "CONFLICT")


def test_describe_gives_a_json_schema(db, name):
    create(db, name, price={"type": "decimal", "scale": 2, "min": 0, "required": True})
    text = " ".join(flat(db.call("DESCRIBE", name)))
    assert "json-schema.org" in text and "price" in text


@pytest.mark.parametrize("bad", ["1a", "a b", "", "a" * 65, "a.b", "ä", "a/b"])
def test_wrong_collection_names(db, bad):
    assert db.code("CREATE", bad, '{"fields":{}}') == "INVALID"


@pytest.mark.parametrize("schema", [
    "{", "[]", '{"fields":[]}', '{"fields":{"a":{}}}', '{"fields":{"a":{"type":"nosuch"}}}',
    '{"fields":{"a":{"type":"decimal"}}}', '{"fields":{"a":{"type":"decimal","scale":99}}}',
    '{"fields":{"a":{"type":"int","frobnicate":1}}}', '{"fields":{"_id":{"type":"int"}}}',
    '{"fields":{"a.b":{"type":"int"}}}', '{"fields":{"a":{"type":"int","min":5,"max":1}}}',
    '{"fields":{"a":{"type":"int","default":"x"}}}', '{"fields":{"a":{"type":"vector"}}}',
    '{"fields":{"a":{"type":"vector","dimensions":5000,"metric":"cosine"}}}',
    '{"fields":{"a":{"type":"keyword","array":true,"unique":true}}}',
    '{"fields":{},"unknown":"perhaps"}',
])
def test_wrong_schemas(db, name, schema):
    assert db.code("CREATE", name, schema) in ("INVALID", "LIMIT")
    assert db.code("COUNT", name, "{}") == "NOTFOUND"


# Rules

RULES = [
    # field definition, values that fit, values that do not
    ({"type": "int", "min": 0, "max": 10}, [0, 10, 10.0], [-1, 11, 1.5, "1", True, [1], {}]),
    ({"type": "int"}, [-2**63, 2**63 - 1], [2**63, 1e30]),
    ({"type": "float"}, [1, 1.5, -1e300], ["1", True, []]),
    ({"type": "bool"}, [True, False], [0, 1, "true"]),
    ({"type": "keyword", "enum": ["a", "b"]}, ["a", "b"], ["c", 1]),
    ({"type": "keyword"}, ["", "x" * 100], [1, True, ["a"]]),
    ({"type": "text"}, ["any words"], [1, ["a"]]),
    ({"type": "decimal", "scale": 2, "min": 0}, [0, 1.5, "19.99", "1.500", 1e2],
     [-0.01, 1.005, "1.005", "abc", "", True, 1e30, "99999999999999999999"]),
    ({"type": "datetime"}, ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678+05:30", "2026-01-02",
                            "2024-02-29", 0, 1700000000000],
     ["2026-13-01", "2025-02-29", "yesterday", True, "2026-01-02T25:00:00Z", 1.5]),
    ({"type": "geopoint"}, [{"type": "Point", "coordinates": [-87.6, 41.9]}, [-87.6, 41.9],
                            [-180, 90], [1, 2, 300]],
     [[181, 0], [0, 91], [1], "1,2", {"type": "Point"}, {"type": "Polygon", "coordinates": []}]),
    ({"type": "geoshape"},
     [{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}],
     [{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}, {"type": "Blob"}, 5,
      {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]},
      {"type": "Polygon", "coordinates": [[0, 0], [1, 0], [1, 1], [0, 0]]},
      {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 91], [0, 0]]]}]),
    ({"type": "hours"}, [{"timezone": "America/Chicago",
                          "weekly": {"mon": [["10:00", "21:30"]], "sat": [["18:00", "02:00"]]},
                          "exceptions": {"2026-12-25": []}}],
     [{"weekly": {"mon": [["25:00", "26:00"]]}}, {"weekly": {"xyz": []}}, 5,
      {"timezone": "America/Nowhere", "weekly": {}}, {"timezone": "../UTC", "weekly": {}}]),
    ({"type": "2d"}, [[0, 0], [-180, 180], {"type": "Point", "coordinates": [1, 170]}],
     [[181, 0], [1], {"x": 1, "y": 2}, "1,2"]),
    ({"type": "geopoint", "index": "2d"}, [[0, 170]], [[0, 181]]),
    ({"type": "geopoint", "index": True, "earth": "wgs84"}, [[1, 2]], [[1, 92]]),
    ({"type": "keyword", "array": True}, [[], ["a"], ["a", "b"]], ["a", [1], [None]]),
    ({"type": "array", "items": {"type": "int"}}, [[], [1, 2]], [1, ["a"]]),
    ({"type": "object", "fields": {"x": {"type": "int", "required": True}}}, [{"x": 1},
                                                                             {"x": 1, "y": 2}],
     [{}, {"x": "a"}, 5]),
    ({"type": "json"}, [1, "a", [1, {"b": None}], {}], []),
]


@pytest.mark.parametrize("field,good,bad", RULES, ids=lambda v: json.dumps(v)[:50])
def test_rules(db, name, field, good, bad):
    create(db, name, f=field)
    for n, value in enumerate(good):
        document = json.dumps({"f": value})
        reply = db.reply("PUT", name, f"g{n}", document)
        assert not isinstance(reply, RespError), f"{document}: {reply}"
        assert json.loads(db.call("FETCH", name, f"g{n}")) == {"f": value}
    for value in bad:
        document = json.dumps({"f": value})
        reply = db.reply("PUT", name, "bad", document)
        assert isinstance(reply, RespError), f"accepted {document}"
        assert reply.code == "INVALID" and "f" in reply.text.split(":")[0], f"{document}: {reply}"
    assert db.call("FETCH", name, "bad") is None


def test_required_counts_null_as_absent(db, name):
    create(db, name, a={"type": "keyword", "required": True})
    for document in ("{}", '{"a":null}'):
        reply = db.reply("PUT", name, "1", document)
        assert reply.code == "INVALID" and "a" in reply.text and "required" in reply.text


def test_defaults_and_stamps(db, name):
    create(db, name, stock={"type": "int", "default": 0, "index": True},
           created_at={"type": "datetime", "stamp": "created", "index": True},
           updated_at={"type": "datetime", "stamp": "updated"})
    db.call("PUT", name, "1", '{"x":1}')
    first = json.loads(db.call("FETCH", name, "1"))
    assert first["stock"] == 0 and first["created_at"].endswith("Z")
    assert db.call("COUNT", name, '{"stock":0,"created_at":{"$gte":"now-1h"}}') == 1
    time.sleep(0.01)
    db.call("PUT", name, "1", '{"x":2,"created_at":"2001-01-01","updated_at":"2001-01-01"}')
    second = json.loads(db.call("FETCH", name, "1"))
    assert second["created_at"] == first["created_at"]
    assert second["updated_at"] > first["updated_at"]
    time.sleep(0.01)
    db.call("PATCH", name, "1", '{"x":3}')
    third = json.loads(db.call("FETCH", name, "1"))
    assert third["updated_at"] > second["updated_at"]
    assert third["created_at"] == first["created_at"]


@pytest.mark.parametrize("unknown", ["keep", "drop", "refuse"])
def test_unknown_fields(db, name, unknown):
    db.call("CREATE", name, json.dumps({"fields": {"a": {"type": "int"}}, "unknown": unknown}))
    reply = db.reply("PUT", name, "1", '{"a":1,"b":2}')
    if unknown == "refuse":
        assert reply.code == "INVALID" and "b" in reply.text
    else:
        expected = {"a": 1, "b": 2} if unknown == "keep" else {"a": 1}
        assert json.loads(db.call("FETCH", name, "1")) == expected


def test_nested_paths_have_rules_and_indexes(db, name):
    create(db, name, address={"type": "object", "fields": {
        "state": {"type": "keyword", "index": True, "required": True},
        "zip": {"type": "keyword"}}}, lines={"type": "array", "items": {
            "type": "object", "fields": {"qty": {"type": "int", "min": 1, "index": True}}}})
    db.call("PUT", name, "1", '{"address":{"state":"IL"},"lines":[{"qty":1},{"qty":5}]}')
    assert db.call("COUNT", name, '{"address.state":"IL","lines.qty":{"$gt":4}}') == 1
    assert db.call("COUNT", name, '{"lines.qty":{"$gt":5}}') == 0
    reply = db.reply("PUT", name, "2", '{"address":{"state":"IL"},"lines":[{"qty":1},{"qty":0}]}')
    assert reply.code == "INVALID" and "lines" in reply.text and "qty" in reply.text
    reply = db.reply("PUT", name, "2", '{"address":{}}')
    assert reply.code == "INVALID" and "address.state" in reply.text


# ALTER

def test_alter_adds_an_index_online(server, db3, name):
    create(db3, name)
    total = 20_000
    for start in range(0, total, 1000):
        db3.pipeline([("PUT", name, f"{n}", json.dumps({"a": n, "pad": "x" * 50}))
                      for n in range(start, start + 1000)])
    stop = threading.Event()
    problems = []
    counted = []

    def traffic():
        with server.connect(3) as mine:
            number = total
            while not stop.is_set():
                count = mine.reply("COUNT", name, '{"a":{"$lt":100}}')
                # A lookup that is under way while the schema changes may be asked to come again.
                if count != 100 and getattr(count, "code", None) != "BUSY":
                    problems.append(count)
                counted.append(count)
                reply = mine.reply("PUT", name, str(number), json.dumps({"a": number}))
                if isinstance(reply, RespError):
                    problems.append(reply.text)
                number += 1

    thread = threading.Thread(target=traffic)
    thread.start()
    job = job_of(db3.call("ALTER", name, '{"add":{"a":{"type":"int","index":true,"sort":true}}}'))
    wait_for_job(db3, job)
    stop.set()
    thread.join()
    assert not problems and counted.count(100) > len(counted) / 2
    assert "building" not in flat(db3.call("DESCRIBE", name))
    count = db3.call("COUNT", name, "{}")
    assert find(db3, name, "{}", "SORT", "a:-1", "LIMIT", 1).ids == [str(count - 1)]


def test_writes_that_wait_while_the_schema_changes_obey_the_new_one(server, db3, name):
    """No write is refused because an ALTER came between; what the new schema refuses is."""
    create(db3, name, a={"type": "int", "index": True})
    stop = threading.Event()
    replies = []

    def writer(number):
        with server.connect(3) as mine:
            while not stop.is_set():
                replies.extend(mine.pipeline(
                    [("PUT", name, f"w{number}", '{"a":1,"b":"x"}', "IF", '{"a":{"$gte":0}}')]
                    + [("PUT", name, f"w{number}", '{"a":1,"b":"x"}'),
                       ("PATCH", name, f"w{number}", '{"$inc":{"a":1}}')] * 10))

    threads = [threading.Thread(target=writer, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for n in range(8):
        wait_for_job(db3, job_of(db3.call("ALTER", name, json.dumps(
            {"add": {f"f{n}": {"type": "int", "default": n, "index": True}},
             "set": {"a": {"sort": n % 2 == 0}}}))))
    stop.set()
    for thread in threads:
        thread.join()
    errors = {reply.text for reply in replies if isinstance(reply, RespError)}
    assert all(text.startswith("CONFLICT") for text in errors), errors
    assert len(replies) > 100
    db3.call("PUT", name, "w0", '{"a":5}')
    assert json.loads(db3.call("FETCH", name, "w0")) == {"a": 5, **{f"f{n}": n for n in range(8)}}
    for n in range(8):
        assert db3.call("COUNT", name, json.dumps({f"f{n}": n})) == 3


def test_alter_checks_stored_documents_first(db, name):
    create(db, name)
    for n in range(30):
        db.call("PUT", name, f"id{n:02}", json.dumps({"a": n if n % 2 else "word"}))
    reply = db.reply("ALTER", name, '{"add":{"a":{"type":"int","index":true}}}')
    if isinstance(reply, RespError):
        text = reply.text
    else:
        text = " ".join(flat(wait_for_job(db, job_of(reply), "failed")))
    assert "id00" in text and "id18" in text
    assert db.call("COUNT", name, '{"a":"word"}') == 15
    db.call("PUT", name, "more", '{"a":"still a word"}')


def test_alter_refuses_duplicates_for_a_new_unique_key(db, name):
    create(db, name, sku={"type": "keyword"})
    db.call("PUT", name, "1", '{"sku":"a"}')
    db.call("PUT", name, "2", '{"sku":"a"}')
    reply = db.reply("ALTER", name, '{"set":{"sku":{"unique":true}}}')
    if not isinstance(reply, RespError):
        wait_for_job(db, job_of(reply), "failed")
    db.call("PUT", name, "3", '{"sku":"a"}')
    db.call("REMOVE", name, "2", "3")
    wait_for_job(db, job_of(db.call("ALTER", name, '{"set":{"sku":{"unique":true}}}')))
    assert db.code("PUT", name, "4", '{"sku":"a"}') == "DUPLICATE"


def test_alter_drops_and_sets(db, name):
    create(db, name, a={"type": "int", "index": True}, b={"type": "keyword", "required": True})
    db.call("PUT", name, "1", '{"a":1,"b":"x"}')
    change = '{"drop":["a"],"set":{"b":{"required":false}}}'
    wait_for_job(db, job_of(db.call("ALTER", name, change)))
    assert db.call("COUNT", name, '{"a":1}') == 1
    db.call("PUT", name, "2", '{"a":"now anything"}')
    assert db.call("COUNT", name, "{}") == 2


def test_a_new_default_fills_reads(db, name):
    create(db, name)
    db.call("PUT", name, "1", '{"a":1}')
    wait_for_job(db, job_of(db.call(
        "ALTER", name, '{"add":{"stock":{"type":"int","default":7,"index":true}}}')))
    assert json.loads(db.call("FETCH", name, "1")) == {"a": 1, "stock": 7}
    assert db.call("COUNT", name, '{"stock":7}') == 1


@pytest.mark.parametrize("change", ['{"drop":["nosuch"]}', '{"set":{"nosuch":{"index":true}}}',
                                    '{"add":{"a":{"type":"int"}}}', '{"frob":1}', "{", "[]"])
def test_wrong_alters(db, name, change):
    create(db, name, a={"type": "int"})
    assert db.reply("ALTER", name, change).code in ("INVALID", "NOTFOUND", "DUPLICATE")


# ALIAS

def test_an_alias_switches_atomically(server, db, name):
    for version in ("1", "2"):
        create(db, name + "v" + version)
        for n in range(10):
            db.call("PUT", name + "v" + version, str(n), json.dumps({"v": version}))
    alias = name + "live"
    assert db.call("ALIAS", alias, name + "v1") == "OK"
    assert db.call("COUNT", alias, '{"v":"1"}') == 10
    stop = threading.Event()
    seen = []

    def reader():
        with server.connect(3) as mine:
            while not stop.is_set():
                hits = find(mine, alias, "{}").hits
                seen.append((len(hits), len({json.loads(h["doc"])["v"] for h in hits})))

    thread = threading.Thread(target=reader)
    thread.start()
    for n in range(50):
        db.call("ALIAS", alias, name + "v" + str(n % 2 + 1))
    stop.set()
    thread.join()
    assert set(seen) == {(10, 1)}
    assert db.call("COUNT", alias, '{"v":"2"}') == 10
    db.call("PUT", alias, "new", '{"v":"2"}')
    assert db.call("COUNT", name + "v2", "{}") == 11


def test_wrong_aliases(db, name):
    create(db, name)
    assert db.code("ALIAS", name + "x", "nosuch") == "NOTFOUND"
    assert db.reply("ALIAS", name, name).code in ("DUPLICATE", "INVALID", "CONFLICT")
    assert db.code("ALIAS", "1x", name) == "INVALID"

"""PUT, PATCH, FETCH, MFETCH, REMOVE, conditions, idempotency keys and time to live."""

import base64
import json
import struct
import threading
import time

import pytest

from aisle_resp import RespError, as_map, find
from aisle_server import PATIENCE

SCHEMA = json.dumps({"fields": {
    "sku": {"type": "keyword", "unique": True},
    "price": {"type": "decimal", "scale": 2, "min": 0, "index": True, "sort": True},
    "stock": {"type": "int", "min": 0, "index": True},
    "category": {"type": "keyword", "index": True, "facet": True},
    "tags": {"type": "keyword", "array": True, "index": True},
    "released": {"type": "datetime", "index": True},
    "embedding": {"type": "vector", "dimensions": 3, "metric": "cosine"},
}})


@pytest.fixture
def c(db, name):
    db.call("CREATE", name, SCHEMA)
    return name


def fetch(db, c, key):
    text = db.call("FETCH", c, key)
    return None if text is None else json.loads(text)


# PUT and FETCH

def test_put_answers_id_and_version(db, c):
    first = as_map(db.call("PUT", c, "1", '{"price":1}'))
    second = as_map(db.call("PUT", c, "1", '{"price":2}'))
    assert list(first) == ["id", "version"]
    assert first["id"] == "1" and second["version"] > first["version"]


def test_documents_come_back_minified_with_their_order_and_number_text(db, c):
    sent = ' { "z" : 1.50 , "a" : [ 1e3 , 12345678901234567890123 , -0.0 ],\n"s":"ä\\u00e4" } '
    db.call("PUT", c, "1", sent)
    assert db.call("FETCH", c, "1") == (
        '{"z":1.50,"a":[1e3,12345678901234567890123,-0.0],"s":"ä\\u00e4"}')


def test_a_put_replaces_the_whole_document(db, c):
    db.call("PUT", c, "1", '{"price":1,"x":1}')
    db.call("PUT", c, "1", '{"stock":2}')
    assert fetch(db, c, "1") == {"stock": 2}
    assert db.call("COUNT", c, '{"price":1}') == 0


def test_put_conditions(db, c):
    assert db.code("PUT", c, "1", "{}", "PRESENT") == "CONFLICT"
    first = as_map(db.call("PUT", c, "1", '{"stock":1}', "ABSENT"))["version"]
    assert db.code("PUT", c, "1", "{}", "ABSENT") == "CONFLICT"
    second = as_map(db.call("PUT", c, "1", '{"stock":2}', "VERSION", first))["version"]
    assert db.code("PUT", c, "1", "{}", "VERSION", first) == "CONFLICT"
    db.call("PUT", c, "1", '{"stock":3}', "IF", '{"stock":2}')
    assert db.code("PUT", c, "1", "{}", "IF", '{"stock":2}') == "CONFLICT"
    assert db.code("PUT", c, "none", "{}", "IF", "{}") == "CONFLICT"
    db.call("PUT", c, "1", '{"stock":4}', "PRESENT")
    assert fetch(db, c, "1") == {"stock": 4}
    assert second > first


@pytest.mark.parametrize("more,code", [
    (["ABSENT", "PRESENT"], "SYNTAX"), (["ABSENT", "ABSENT"], "SYNTAX"), (["NOSUCH"], "SYNTAX"),
    (["IF"], "SYNTAX"), (["VERSION", "x"], "SYNTAX INVALID"), (["IF", "{"], "INVALID"),
    (["TTL", "5parsecs"], "INVALID SYNTAX"), (["RETURN", "both"], "SYNTAX"),
    (["IF", '{"a":{"$frob":1}}'], "INVALID"),
])
def test_wrong_put_options(db, c, more, code):
    assert db.code("PUT", c, "1", "{}", *more) in code.split()
    assert fetch(db, c, "1") is None


def test_return_old_and_new(db, c):
    first = as_map(db.call("PUT", c, "1", '{"stock":1}', "RETURN", "old"))
    assert first.get("doc") is None
    again = as_map(db.call("PUT", c, "1", '{"stock":2}', "RETURN", "old"))
    assert json.loads(again["doc"]) == {"stock": 1}
    patched = as_map(db.call("PATCH", c, "1", '{"$inc":{"stock":5}}', "RETURN", "new"))
    assert json.loads(patched["doc"]) == {"stock": 7}


def test_options_come_in_any_order(db, c):
    db.call("PUT", c, "1", '{"stock":1}', "TTL", "1h", "ABSENT", "RETURN", "new", "KEY",
            c + "k-order")
    meta = as_map(db.call("FETCH", c, "1", "META", "FIELDS", "stock"))
    assert json.loads(meta["doc"]) == {"stock": 1}


def test_fetch_meta(db, c):
    version = as_map(db.call("PUT", c, "1", '{"stock":1}'))["version"]
    meta = as_map(db.call("FETCH", c, "1", "META"))
    assert meta["id"] == "1" and meta["version"] == version and meta["doc"] == '{"stock":1}'
    assert meta.get("expires_at") is None
    before = time.time()
    db.call("PUT", c, "1", '{"stock":1}', "TTL", "5m")
    expires = as_map(db.call("FETCH", c, "1", "META"))["expires_at"]
    if isinstance(expires, str) and not expires.isdigit():
        assert expires.startswith("20") and expires.endswith("Z")
    else:
        assert before + 299 < int(expires) / 1000 < time.time() + 301


def test_fetch_fields(db, c):
    db.call("PUT", c, "1", '{"a":{"b":1,"c":2},"tags":["x"],"l":[{"p":1,"q":2},{"q":3}],"z":null}')
    table = [("a.b,z", {"a": {"b": 1}, "z": None}), ("-a.b,-l", {"a": {"c": 2}, "tags": ["x"],
                                                                 "z": None}),
             ("l.q", {"l": [{"q": 2}, {"q": 3}]}), ("nosuch", {}),
             ('["a.c","tags"]', {"a": {"c": 2}, "tags": ["x"]})]
    for fields, expected in table:
        assert json.loads(db.call("FETCH", c, "1", "FIELDS", fields)) == expected, fields
    assert db.code("FETCH", c, "1", "FIELDS", "a,-l") == "SYNTAX"


def test_mfetch_keeps_the_order_asked(db, c):
    for n in range(20):
        db.call("PUT", c, f"id{n}", json.dumps({"stock": n}))
    got = db.call("MFETCH", c, "id7", "no", "id3", "id7")
    assert got == ['{"stock":7}', None, '{"stock":3}', '{"stock":7}']
    assert db.call("MFETCH", c, "id1", "id2", "FIELDS", "nosuch") == ["{}", "{}"]
    assert db.call("MFETCH", c, "IDS", '["id1","META"]') == ['{"stock":1}', None]
    meta = db.call("MFETCH", c, "id1", "no", "META")
    assert as_map(meta[0])["id"] == "id1" and meta[1] is None


def test_ids(db, c):
    for key in ["a/b", "FIELDS", " ", "ä" * 256, "x" * 512, "$x", "[1]", "-1", "\x00"]:
        assert as_map(db.call("PUT", c, key, '{"stock":1}'))["id"] == key
        assert fetch(db, c, key) == {"stock": 1}
    for key in ["", "x" * 513, b"\xff\xfe"]:
        assert db.code("PUT", c, key, "{}") in ("INVALID", "LIMIT"), key


def test_id_is_not_stored(db, c):
    db.call("PUT", c, "1", '{"stock":1}')
    assert db.call("COUNT", c, '{"_id":"1"}') == 1
    assert db.call("COUNT", c, '{"_id":{"$in":["0","1"]}}') == 1
    assert find(db, c, '{"_id":{"$gte":"1"}}').ids == ["1"]
    assert "_id" not in fetch(db, c, "1")


def test_an_absent_collection_is_not_found(db):
    for command in (["PUT", "nope", "1", "{}"], ["FETCH", "nope", "1"], ["FIND", "nope", "{}"],
                    ["COUNT", "nope", "{}"], ["REMOVE", "nope", "1"], ["DESCRIBE", "nope"],
                    ["PATCH", "nope", "1", "{}"], ["DROP", "nope"], ["EXPORT", "nope"]):
        assert db.code(*command) == "NOTFOUND", command


# PATCH

PATCHES = [
    ({"a": 1}, {"$set": {"b.c": 2}}, {"a": 1, "b": {"c": 2}}),
    ({"a": [1, 2, 3]}, {"$set": {"a.1": 9}}, {"a": [1, 9, 3]}),
    ({"a": 1, "b": 2}, {"$unset": {"a": ""}}, {"b": 2}),
    ({"n": 1}, {"$inc": {"n": 2, "m": 5}}, {"n": 3, "m": 5}),
    ({"n": 0.1}, {"$inc": {"n": 0.2}}, {"n": 0.3}),
    ({"n": 3}, {"$mul": {"n": 4, "z": 9}}, {"n": 12, "z": 0}),
    ({"n": 3}, {"$min": {"n": 1}}, {"n": 1}),
    ({"n": 3}, {"$max": {"n": 1}}, {"n": 3}),
    ({}, {"$push": {"l": 1}}, {"l": [1]}),
    ({"l": [1, 5]}, {"$push": {"l": {"$each": [3, 2], "$sort": 1, "$slice": 3}}},
     {"l": [1, 2, 3]}),
    ({"l": [1]}, {"$push": {"l": {"$each": [8, 9], "$position": 0}}}, {"l": [8, 9, 1]}),
    ({"l": [1]}, {"$addToSet": {"l": {"$each": [1, 2]}}}, {"l": [1, 2]}),
    ({}, {"$addToSet": {"l": {"$each": ["r", "n", "r"]}}}, {"l": ["r", "n"]}),
    ({"l": [1, 2, 1, 3]}, {"$pull": {"l": 1}}, {"l": [2, 3]}),
    ({"l": [1, 2, 9]}, {"$pull": {"l": {"$gt": 1}}}, {"l": [1]}),
    ({"l": [{"k": 1, "v": 1}, {"k": 2}]}, {"$pull": {"l": {"k": 1}}}, {"l": [{"k": 2}]}),
    # Without operators: merge patch, RFC 7396.
    ({"a": {"b": 1, "c": 2}, "d": 1}, {"a": {"b": None, "e": [1]}, "d": None},
     {"a": {"c": 2, "e": [1]}}),
    ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
    ({"a": 1}, {}, {"a": 1}),
]


@pytest.mark.parametrize("before,update,after", PATCHES, ids=lambda v: json.dumps(v)[:40])
def test_patches(db, name, before, update, after):
    db.call("CREATE", name, '{"fields":{}}')
    db.call("PUT", name, "1", json.dumps(before))
    db.call("PATCH", name, "1", json.dumps(update))
    assert fetch(db, name, "1") == after


def test_current_date(db, c):
    db.call("PUT", c, "1", "{}")
    db.call("PATCH", c, "1", '{"$currentDate":{"released":true}}')
    assert db.call("COUNT", c, '{"released":{"$gte":"now-1h"}}') == 1


@pytest.mark.parametrize("before,update", [
    ({"a": "s"}, {"$inc": {"a": 1}}), ({"a": 1}, {"$push": {"a": 1}}),
    ({"a": 1}, {"$set": {"a": 1, "b": 2}, "c": 3}), ({"a": 1}, {"$frobnicate": {"a": 1}}),
    ({"a": 1}, {"$set": {"a": 1}, "$inc": {"a": 1}}),
    ({"a": {"b": 1}}, {"$set": {"a": 1, "a.b": 2}}), ({"a": 1}, {"$set": {"a.b": 1}}),
    ({"a": 9223372036854775807}, {"$inc": {"a": 1}}), ({"a": 1}, {"$inc": {"a": "1"}}),
    ({"a": 1}, {"$set": {"_id": "2"}}), ({"a": 1}, {"$set": 5}), ({"a": 1}, [1]),
], ids=lambda v: json.dumps(v)[:40])
def test_wrong_patches_change_nothing(db, name, before, update):
    db.call("CREATE", name, '{"fields":{}}')
    db.call("PUT", name, "1", json.dumps(before))
    assert db.code("PATCH", name, "1", json.dumps(update)) == "INVALID"
    assert fetch(db, name, "1") == before


def test_patch_of_an_absent_id(db, c):
    assert db.code("PATCH", c, "1", '{"stock":1}') == "NOTFOUND"
    assert as_map(db.call("PATCH", c, "1", '{"$inc":{"stock":3}}', "UPSERT"))["id"] == "1"
    assert fetch(db, c, "1") == {"stock": 3}


def test_patch_conditions(db, c):
    version = as_map(db.call("PUT", c, "1", '{"stock":1}'))["version"]
    assert db.code("PATCH", c, "1", '{"stock":5}', "IF", '{"stock":2}') == "CONFLICT"
    db.call("PATCH", c, "1", '{"stock":5}', "VERSION", version)
    assert db.code("PATCH", c, "1", '{"stock":6}', "VERSION", version) == "CONFLICT"
    assert fetch(db, c, "1") == {"stock": 5}


def test_a_patch_obeys_the_schema(db, c):
    db.call("PUT", c, "1", '{"stock":1,"sku":"a"}')
    db.call("PUT", c, "2", '{"stock":1,"sku":"b"}')
    reply = db.reply("PATCH", c, "1", '{"$inc":{"stock":-2}}')
    assert reply.code == "INVALID" and "stock" in reply.text
    assert db.code("PATCH", c, "1", '{"$set":{"sku":"b"}}') == "DUPLICATE"
    assert fetch(db, c, "1") == {"stock": 1, "sku": "a"}


def test_stock_never_goes_below_zero_under_contention(server, db, c):
    db.call("PUT", c, "1", '{"stock":100}')
    taken = []

    def buyer():
        with server.connect() as mine:
            for _ in range(50):
                reply = mine.reply("PATCH", c, "1", '{"$inc":{"stock":-1}}', "IF",
                                   '{"stock":{"$gt":0}}')
                taken.append(reply.code if isinstance(reply, RespError) else "sold")

    threads = [threading.Thread(target=buyer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count("sold") == 100 and taken.count("CONFLICT") == 100
    assert fetch(db, c, "1") == {"stock": 0}


# REMOVE

def test_remove(db, c):
    for n in range(10):
        db.call("PUT", c, f"id{n}", json.dumps({"stock": n}))
    assert db.call("REMOVE", c, "id0", "nosuch", "id1") == 2
    assert db.call("REMOVE", c, "id0") == 0
    assert fetch(db, c, "id1") is None
    assert db.call("REMOVE", c, "IDS", '["id2","WHERE"]') == 1
    assert db.call("REMOVE", c, "WHERE", '{"stock":{"$gte":5}}', "LIMIT", 2) == 2
    assert db.call("COUNT", c, '{"stock":{"$gte":5}}') == 3
    assert db.call("REMOVE", c, "WHERE", '{"stock":{"$gte":5}}') == 3
    assert db.call("COUNT", c, "{}") == 2
    assert sorted(find(db, c, "{}").ids) == ["id3", "id4"]


def test_a_removed_id_can_be_put_again(db, c):
    db.call("PUT", c, "1", '{"sku":"a"}')
    db.call("REMOVE", c, "1")
    db.call("PUT", c, "2", '{"sku":"a"}')
    assert as_map(db.reply("PUT", c, "1", '{"sku":"b"}', "ABSENT"))["id"] == "1"


def test_remove_where_goes_through_many_batches(db3, name):
    db3.call("CREATE", name, SCHEMA)
    db3.pipeline([("PUT", name, f"{n}", json.dumps({"stock": n % 3})) for n in range(3500)])
    assert db3.call("REMOVE", name, "WHERE", '{"stock":{"$ne":0}}') == 3500 - 1167
    assert db3.call("COUNT", name, "{}") == 1167


# Unique keys

def test_duplicates_name_the_field_and_the_holder(db, c):
    db.call("PUT", c, "first", '{"sku":"X-1"}')
    reply = db.reply("PUT", c, "second", '{"sku":"X-1"}')
    assert reply.code == "DUPLICATE" and "sku" in reply.text and "first" in reply.text
    db.call("PUT", c, "first", '{"sku":"X-1","stock":3}')
    db.call("PUT", c, "first", '{"sku":"X-2"}')
    db.call("PUT", c, "second", '{"sku":"X-1"}')


def test_absent_unique_fields_do_not_collide(db, c):
    for key in "abc":
        db.call("PUT", c, key, '{"stock":1}')
    assert db.call("COUNT", c, "{}") == 3


def test_a_race_for_a_unique_key_has_one_winner(server, db, c):
    outcomes = []
    barrier = threading.Barrier(6)

    def racer(number):
        with server.connect() as mine:
            for n in range(30):
                barrier.wait()
                reply = mine.reply("PUT", c, f"r{number}-{n}", json.dumps({"sku": f"race{n}"}))
                outcomes.append(reply.code if isinstance(reply, RespError) else "won")

    threads = [threading.Thread(target=racer, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("won") == 30 and outcomes.count("DUPLICATE") == 150
    assert db.call("COUNT", c, "{}") == 30


# Idempotency keys

def test_a_key_makes_a_write_happen_once(db, c):
    db.call("PUT", c, "1", '{"stock":1}')
    first = as_map(db.call("PATCH", c, "1", '{"$inc":{"stock":1}}', "KEY", c + "k1"))
    again = as_map(db.call("PATCH", c, "1", '{"$inc":{"stock":1}}', "KEY", c + "k1"))
    assert again == first
    assert fetch(db, c, "1") == {"stock": 2}
    db.call("PATCH", c, "1", '{"$inc":{"stock":1}}', "KEY", c + "k2")
    assert fetch(db, c, "1") == {"stock": 3}
    assert db.call("REMOVE", c, "1", "KEY", c + "k3") == 1
    assert db.call("REMOVE", c, "1", "KEY", c + "k3") == 1


def test_a_key_answers_the_first_error_or_writes(db, c):
    assert db.code("PUT", c, "1", "{}", "PRESENT", "KEY", c + "e1") == "CONFLICT"
    assert fetch(db, c, "1") is None


# Time to live

def wait_for(condition, seconds=5):
    end = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_ttl_removes_within_a_second(db, c):
    db.call("PUT", c, "1", '{"stock":1,"sku":"s"}', "TTL", "300ms")
    assert fetch(db, c, "1") is not None
    assert wait_for(lambda: fetch(db, c, "1") is None, 1.6)
    assert db.call("COUNT", c, "{}") == 0
    db.call("PUT", c, "2", '{"sku":"s"}')


def test_put_clears_ttl_and_patch_keeps_it(db, c):
    db.call("PUT", c, "cleared", '{"stock":1}', "TTL", "500ms")
    db.call("PUT", c, "cleared", '{"stock":2}')
    db.call("PUT", c, "kept", '{"stock":1}', "TTL", "500ms")
    db.call("PATCH", c, "kept", '{"stock":2}')
    db.call("PUT", c, "persisted", '{"stock":1}', "TTL", "500ms")
    db.call("PATCH", c, "persisted", '{"stock":2}', "PERSIST")
    db.call("PUT", c, "given", '{"stock":1}')
    db.call("PATCH", c, "given", '{"stock":2}', "TTL", "500ms")
    assert wait_for(lambda: db.call("COUNT", c, "{}") == 2)
    time.sleep(0.3)
    assert sorted(find(db, c, "{}").ids) == ["cleared", "persisted"]


# Vectors

def test_vectors_are_kept_apart_from_the_document(db, c):
    vector = struct.pack("<3f", 1, 0.5, 0)
    db.call("PUT", c, "1", '{"stock":1}', "VEC", "embedding", vector)
    assert fetch(db, c, "1") == {"stock": 1}
    got = json.loads(db.call("FETCH", c, "1", "FIELDS", "stock,embedding"))
    assert got == {"stock": 1, "embedding": [1, 0.5, 0]}
    db.call("PUT", c, "2", '{"stock":1,"embedding":[0,1,0]}')
    assert fetch(db, c, "2") == {"stock": 1}
    assert json.loads(db.call("FETCH", c, "2", "FIELDS", "embedding")) == {"embedding": [0, 1, 0]}
    text = base64.b64encode(vector).decode()
    db.call("PUT", c, "3", json.dumps({"embedding": text}))
    assert json.loads(db.call("FETCH", c, "3", "FIELDS", "embedding"))["embedding"] == [1, 0.5, 0]


def test_a_patch_leaves_the_vector_alone(db, c):
    db.call("PUT", c, "1", '{"stock":1,"embedding":[0,1,0]}')
    db.call("PATCH", c, "1", '{"$inc":{"stock":1}}')
    got = json.loads(db.call("FETCH", c, "1", "FIELDS", "stock,embedding"))
    assert got == {"stock": 2, "embedding": [0, 1, 0]}


@pytest.mark.parametrize("vector", [struct.pack("<2f", 1, 2), b"abc", b"",
                                    struct.pack("<3f", float("nan"), 1, 1),
                                    struct.pack("<3f", 0, 0, 0)])
def test_wrong_vectors_are_refused_by_name(db, c, vector):
    reply = db.reply("PUT", c, "1", "{}", "VEC", "embedding", vector)
    assert isinstance(reply, RespError)
    assert reply.code == "INVALID" and "embedding" in reply.text
    assert db.code("PUT", c, "1", "{}", "VEC", "nosuch", struct.pack("<3f", 1, 2, 3)) == "INVALID"

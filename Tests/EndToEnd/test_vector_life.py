"""Vectors through their lives: what is refused, ALTER, growth, and many hands at once."""

import json
import random
import threading
import time

import pytest

from aisle_resp import Lookup, RespError, as_map
from aisle_server import PATIENCE
from test_schema import job_of, wait_for_job
from vector_shelf import (
    FIELDS, KINDS, SMALL, Shelf, gauss, index_entry, likeness, narrow, pack, similar, vector_field,
    wait_until_linked)

NAN, INFINITY = float("nan"), float("inf")


def alter(db, name, change, wanted="done"):
    """Starts an ALTER and waits for its end."""
    return wait_for_job(db, job_of(db.call("ALTER", name, json.dumps(change))), wanted)


# What is refused

WRONG = [
    ("cosine", SMALL, [0, 0, 0]), ("cosine", SMALL, [1, 2]), ("cosine", SMALL, [1, 2, 3, 4]),
    ("cosine", SMALL, []), ("cosine", SMALL, [1, NAN, 3]), ("l2", SMALL, [1, 2, INFINITY]),
    ("ip", SMALL, [-INFINITY, 0, 0]), ("l2", SMALL, [1e38, 0, 0]), ("ip", SMALL, [0, -1e38, 0]),
    ("l2", {"storage": "f16"}, [70000, 0, 0]), ("ip", {"originals": "f16"}, [0, 0, -70000]),
]


@pytest.mark.parametrize("metric,index,vector", WRONG, ids=lambda v: str(v)[:40])
def test_wrong_vectors_are_refused_with_their_field(db, name, metric, index, vector):
    db.call("CREATE", name, json.dumps({"fields": {
        "a": vector_field(3, "l2", SMALL), "meaning": vector_field(3, metric, index)}}))
    db.call("PUT", name, "x", '{"meaning":[1,2,3]}')
    text = json.dumps(vector)
    attempts = [("PUT", name, "y", "{}", "VEC", "meaning", pack(vector)),
                ("PATCH", name, "x", '{"n":1}', "VEC", "meaning", pack(vector)),
                ("SIMILAR", name, "FIELD", "meaning", "VEC", pack(vector))]
    if "NaN" not in text and "Inf" not in text:
        attempts += [("PUT", name, "y", json.dumps({"meaning": vector})),
                     ("PATCH", name, "x", json.dumps({"meaning": vector})),
                     ("PATCH", name, "x", json.dumps({"$set": {"meaning": vector}})),
                     ("SIMILAR", name, "FIELD", "meaning", "VEC", text)]
    for words in attempts:
        reply = db.reply(*words)
        assert isinstance(reply, RespError) and reply.code == "INVALID", (words, reply)
        assert reply.text.startswith("INVALID meaning"), reply.text
    assert db.call("FETCH", name, "y") is None
    assert json.loads(db.call("FETCH", name, "x", "FIELDS", "meaning")) == {"meaning": [1, 2, 3]}
    assert similar(db, name, "FIELD", "meaning", "VEC", "[1,2,3]").ids == ["x"]


@pytest.mark.parametrize("storage", ["f32", "f16", "int8"])
def test_the_ends_of_the_range(db3, name, storage):
    """Under cosine only the direction counts, however long or short the vector is."""
    index = {"storage": storage, "originals": "f32", "m": 4, "efConstruction": 8}
    shelf = Shelf(db3, name, random.Random(1), dimensions=4, index=index)
    # Subnormal numbers have few digits: those that are powers of two lose none.
    for key, vector in {"huge": [3e38, 3e38, -3e38, 0], "large": [1e20, 2e20, 0, 0],
                        "small": [1e-30, -1e-30, 0, 0], "subnormal": [2.0**-140, 0, 0, 2.0**-141],
                        "least": [0, 2.0**-149, 0, 0], "uneven": [1e38, 1e-38, 0, 0]}.items():
        shelf.documents[key], shelf.vectors[key] = {"n": 1}, narrow(vector)
        db3.call("PUT", name, key, '{"n":1}', "VEC", "v", pack(vector))
    shelf.tolerance = 1e-4
    for target in [*shelf.vectors.values(), gauss(shelf.rng, 4)]:
        for words in ([], ["EXACT"]):
            answer = similar(db3, name, "VEC", pack(target), *words)
            assert all(-1 <= hit["score"] <= 1 for hit in answer.hits)
            shelf.check(answer, target, 10)
    for key in shelf.vectors:
        shelf.check(similar(db3, name, "ID", key), shelf.vectors[key], 10, without={key})
        db3.call("RECOMMEND", name, "LIKE", key, "UNLIKE", "least" if key != "least" else "huge")


def test_the_bounds_of_a_schema(db3, name, seed):
    rng = random.Random(seed)
    db3.call("CREATE", name, json.dumps({"fields": {"v": vector_field(
        4096, "cosine", {"kind": "hnsw", "m": 100, "efConstruction": 200, "storage": "int8"})}}))
    vectors = {f"p{n}": gauss(rng, 4096) for n in range(12)}
    for key, vector in vectors.items():
        db3.call("PUT", name, key, "{}", "VEC", "v", pack(vector))
    wait_until_linked(db3, name)
    for key, vector in vectors.items():
        hit = similar(db3, name, "VEC", pack(vector), "K", 1).hits[0]
        assert hit["id"] == key and hit["score"] == pytest.approx(1, abs=1e-3)
    text = json.dumps([round(x, 3) for x in vectors["p3"]])
    assert similar(db3, name, "VEC", text, "K", 1).ids == ["p3"]
    for index in ({"m": 101}, {"m": 1}, {"efConstruction": 0}, {"kind": "tree"}, {"storage": "f8"},
                  {"originals": "int8"}, {"numLists": 0}, {"nProbes": 0}, {"frob": 1}, 5):
        assert db3.code("CREATE", name + "x", json.dumps(
            {"fields": {"v": vector_field(4, "l2", index)}})) in ("INVALID", "LIMIT"), index
    for dimensions in (0, -1, 4097, 1.5):
        assert db3.code("CREATE", name + "x", json.dumps(
            {"fields": {"v": vector_field(dimensions, "l2", True)}})) in ("INVALID", "LIMIT")


def test_collections_without_an_index_of_vectors(db, name):
    db.call("CREATE", name, json.dumps({"fields": {
        "n": {"type": "int"}, "v": {"type": "vector", "dimensions": 2, "metric": "l2"}}}))
    db.call("PUT", name, "a", '{"v":[1,2]}')
    assert db.code("SIMILAR", name, "ID", "a") == "NOINDEX"
    assert db.code("SIMILAR", name, "VEC", "[1,2]", "FIELD", "v") == "NOINDEX"
    assert db.code("RECOMMEND", name, "LIKE", "a") == "NOINDEX"
    assert db.code("SIMILAR", name + "nosuch", "ID", "a") == "NOTFOUND"
    db.call("DROP", name)
    db.call("CREATE", name, json.dumps({"fields": {"v": vector_field(2, "l2", SMALL)}}))
    answer = similar(db, name, "VEC", "[1,2]")
    assert answer.hits == [] and answer.total == 0 and answer.exact
    assert db.code("SIMILAR", name, "ID", "a") == "NOTFOUND"
    assert db.code("RECOMMEND", name, "LIKE", "a") == "NOTFOUND"


def test_required_vectors_and_nested_ones(db, name):
    inner = {**vector_field(2, "l2", SMALL)}
    db.call("CREATE", name, json.dumps({"fields": {
        "v": {**vector_field(2, "l2", SMALL), "required": True},
        "meta": {"type": "object", "fields": {"v": inner, "n": {"type": "int"}}}}}))
    assert db.code("PUT", name, "a", '{"n":1}') == "INVALID"
    db.call("PUT", name, "a", '{"meta":{"v":[5,6],"n":1},"v":[1,2]}')
    for update in ('{"$unset":{"v":1}}', '{"v":null}'):
        assert db.code("PATCH", name, "a", update) == "INVALID", update

    def nested():
        return similar(db, name, "FIELD", "meta.v", "VEC", "[5,6]").ids

    for update in ('{"meta":{"n":2}}', '{"$set":{"meta.n":3}}', '{"$inc":{"meta.n":1}}',
                   '{"$set":{"v":[1,3]}}', '{"meta":{"v":[5,7]}}', '{"$set":{"meta.v":[5,6]}}',
                   '{"$set":{"meta":{"v":[5,8],"n":9}}}'):
        db.call("PATCH", name, "a", update)
        assert nested() == ["a"], update
    assert json.loads(db.call("FETCH", name, "a", "FIELDS", "meta.v,v")) == {
        "meta": {"v": [5, 8]}, "v": [1, 3]}
    for update in ('{"$set":{"meta":{"n":1}}}', '{"$unset":{"meta":1}}', '{"meta":null}',
                   '{"meta":{"v":null}}', '{"$unset":{"meta.v":1}}'):
        db.call("PATCH", name, "a", '{"$set":{"meta":{"v":[5,6],"n":1}}}')
        assert nested() == ["a"]
        db.call("PATCH", name, "a", update)
        assert nested() == [], update
    assert similar(db, name, "FIELD", "v", "VEC", "[1,3]").ids == ["a"]


def test_a_transaction_moves_vectors_as_one(db, name):
    db.call("CREATE", name, json.dumps({"fields": {"v": vector_field(2, "l2", SMALL)}}))
    db.call("PUT", name, "a", '{"v":[1,1]}')
    db.pipeline([("MULTI",), ("PUT", name, "b", '{"v":[2,2]}'), ("PATCH", name, "b", '{"n":1}'),
                 ("PUT", name, "b", '{"n":2,"v":[2,2]}'), ("PATCH", name, "a", '{"v":[9,9]}'),
                 ("PUT", name, "c", '{"v":[3,3]}'), ("REMOVE", name, "c"), ("EXEC",)])
    answer = similar(db, name, "VEC", "[2,2]")
    assert answer.ids == ["b", "a"] and float(answer.hits[0]["distance"]) == 0
    db.pipeline([("MULTI",), ("PATCH", name, "a", '{"v":[2,2]}'), ("PUT", name, "d", '{"v":[1]}'),
                 ("EXEC",)])
    again = similar(db, name, "VEC", "[2,2]")
    assert again.ids == ["b", "a"] and again.hits[1]["distance"] == answer.hits[1]["distance"]


def test_a_transaction_reads_vectors_that_are_named(db, name):
    small = {"fields": {"n": {"type": "int"}, "v": vector_field(2, "l2", SMALL),
                        "meta": {"type": "object", "fields": {"w": vector_field(2, "l2", SMALL)}}}}
    db.call("CREATE", name, json.dumps(small))
    db.call("PUT", name, "a", '{"n":1,"v":[1,2],"meta":{"w":[7,8]}}')
    db.call("PUT", name, "b", '{"v":[3,4]}')
    replies = db.pipeline([
        ("MULTI",), ("FETCH", name, "a", "FIELDS", "v,n,meta.w"),
        ("MFETCH", name, "a", "b", "FIELDS", "v"),
        ("PUT", name, "c", '{"n":1,"v":[5,6]}'), ("FETCH", name, "c", "FIELDS", "v"),
        ("PATCH", name, "a", '{"n":7}'), ("FETCH", name, "a", "FIELDS", "v,n"),
        ("PUT", name, "b", '{"v":[9,9]}'), ("FETCH", name, "b", "FIELDS", "v"),
        ("FETCH", name, "b"), ("FETCH", name, "a", "FIELDS", "n"), ("EXEC",)])[-1]
    texts = [r if isinstance(r, list) else [r] for r in replies]
    documents = [[json.loads(text) for text in group]
                 for n, group in enumerate(texts) if n not in (2, 4, 6)]
    assert documents == [
        [{"n": 1, "v": [1, 2], "meta": {"w": [7, 8]}}], [{"v": [1, 2]}, {"v": [3, 4]}],
        [{"v": [5, 6]}], [{"n": 7, "v": [1, 2]}], [{"v": [9, 9]}], [{}], [{"n": 7}]]


@pytest.mark.parametrize("update", [
    '{"$pull":{"v":1}}', '{"$pull":{"v":99}}', '{"$max":{"v":null}}', '{"$min":{"v":1}}',
    '{"$push":{"v":5}}', '{"$addToSet":{"v":5}}', '{"$inc":{"v":1}}', '{"$mul":{"v":2}}',
    '{"$currentDate":{"v":true}}', '{"$set":{"v.0":5}}', '{"$unset":{"v.0":1}}',
    '{"$pull":{"v.x":1}}', '{"$max":{"meta":null}}', '{"$pull":{"meta.w":1}}'])
def test_operators_that_would_look_at_a_vector_are_refused(db, name, update):
    db.call("CREATE", name, json.dumps({"fields": {
        "v": vector_field(3, "l2", SMALL),
        "meta": {"type": "object", "fields": {"w": vector_field(2, "l2", SMALL)}}}}))
    db.call("PUT", name, "a", '{"n":1,"v":[1,2,3],"meta":{"w":[4,5],"z":1}}')
    assert db.code("PATCH", name, "a", update) == "INVALID"
    assert db.code("PATCH", name, "new", update, "UPSERT") == "INVALID"
    assert json.loads(db.call("FETCH", name, "a", "FIELDS", "v,meta.w,n")) == {
        "n": 1, "v": [1, 2, 3], "meta": {"w": [4, 5]}}


def test_filters_on_vectors_are_refused(db, name):
    db.call("CREATE", name, json.dumps({"fields": {
        "v": vector_field(2, "l2", SMALL), "w": {"type": "int"},
        "meta": {"type": "object", "fields": {"v": vector_field(2, "l2", SMALL)}}}}))
    db.call("PUT", name, "a", '{"v":[1,2],"w":1}')
    for filter in ('{"v":{"$exists":true}}', '{"v":null}', '{"v":[1,2]}', '{"v.0":1}',
                   '{"meta.v":{"$exists":false}}', '{"$or":[{"w":1},{"v":null}]}',
                   '{"$nor":[{"v":{"$size":2}}]}'):
        for words in (("COUNT", name, filter), ("FIND", name, filter),
                      ("SIMILAR", name, "FIELD", "v", "ID", "a", "WHERE", filter),
                      ("REMOVE", name, "WHERE", filter),
                      ("PUT", name, "a", '{"w":2}', "IF", filter)):
            reply = db.reply(*words)
            assert isinstance(reply, RespError) and reply.code == "INVALID", (words, reply)
            assert "v" in reply.text.split(":")[0], reply.text
    assert db.call("COUNT", name, '{"meta":{"$exists":false}}') == 1


# ALTER

def test_an_index_is_added_to_stored_vectors(db3, name, seed):
    rng = random.Random(seed)
    db3.call("CREATE", name, json.dumps({"fields": {
        **FIELDS, "v": {"type": "vector", "dimensions": 12, "metric": "cosine"}}}))
    shelf = Shelf(db3, name, rng, create=False).fill(300, without=0.1).churn(100)
    assert db3.code("SIMILAR", name, "VEC", pack(gauss(rng, 12))) == "NOINDEX"
    job = job_of(db3.call("ALTER", name, json.dumps({"set": {"v": {"index": SMALL}}})))
    shelf.churn(150)
    wait_for_job(db3, job)
    shelf.ask_much(15)
    shelf.churn(50).ask_much(5)
    alter(db3, name, {"set": {"v": {"index": False}}})
    assert db3.code("SIMILAR", name, "VEC", pack(gauss(rng, 12))) == "NOINDEX"
    key = sorted(shelf.vectors)[0]
    assert narrow(json.loads(db3.call("FETCH", name, key, "FIELDS", "v"))["v"]) == (
        shelf.vectors[key])


def test_arrays_in_documents_become_vectors(db3, name, seed):
    rng = random.Random(seed)
    db3.call("CREATE", name, json.dumps({"fields": FIELDS}))
    shelf = Shelf(db3, name, rng, "l2", index=KINDS["flat"], create=False)
    commands = []
    for n in range(200):
        key, vector = f"p{n}", gauss(rng, 12)
        shelf.documents[key] = {"n": n, "cat": "a", "on": True, "plain": n % 10}
        if n % 7:
            shelf.vectors[key] = vector
        commands.append(("PUT", name, key, json.dumps(
            {**shelf.documents[key], **({"v": vector} if n % 7 else {})})))
    shelf.sent(commands)
    field = vector_field(12, "l2", KINDS["flat"])
    job = job_of(db3.call("ALTER", name, json.dumps({"add": {"v": field}})))
    # Written while the field is being declared, some before its schema is in force.
    shelf.sent([shelf.put_whole(f"q{n}") for n in range(300)])
    shelf.sent([("PATCH", name, f"q{n}", '{"n":%d}' % n) for n in range(0, 300, 5)])
    for n in range(0, 300, 5):
        shelf.documents[f"q{n}"]["n"] = n
    wait_for_job(db3, job)
    shelf.ask_much(10)
    # Those that are touched afterwards are moved out of their documents: nothing is lost.
    shelf.sent([("PATCH", name, f"p{n}", '{"plain":3}') for n in range(0, 200, 3)])
    for n in range(0, 200, 3):
        shelf.documents[f"p{n}"]["plain"] = 3
    shelf.churn(100).ask_much(10)
    for key in sorted(shelf.vectors)[::9]:
        got = json.loads(db3.call("FETCH", name, key, "FIELDS", "v"))
        assert narrow(got["v"]) == shelf.vectors[key]
    # One that is none stops the change.
    db3.call("CREATE", name + "x", '{"fields":{}}')
    db3.call("PUT", name + "x", "good", json.dumps({"v": gauss(rng, 12)}))
    db3.call("PUT", name + "x", "bad", '{"v":[1,2]}')
    failed = alter(db3, name + "x", {"add": {"v": field}}, "failed")
    assert "bad" in failed["text"], failed


def test_kind_metric_and_settings_change_while_writes_go_on(server, db3, name, seed):
    shelf = Shelf(db3, name, random.Random(seed), index={**SMALL, "m": 4}).fill(400, without=0.1)
    end, failures = threading.Event(), []

    def write():
        with server.connect(3) as other:
            writer = Shelf(other, name, random.Random(seed + 1), create=False)
            # Its own ids: the twins do not see each other's documents.
            for turn in range(10_000):
                key = f"w{turn % 97}"
                for reply in other.pipeline([writer.made(key), ("REMOVE", name, f"w{turn % 89}"),
                                             ("PATCH", name, "p1", '{"other":%d}' % turn)]):
                    if isinstance(reply, RespError) and reply.code != "BUSY":
                        failures.append(reply)
                if end.is_set():
                    break
            other.call("REMOVE", name, *[f"w{n}" for n in range(97)])

    thread = threading.Thread(target=write)
    thread.start()
    shelf.documents.setdefault("p1", {"n": 0, "cat": "a", "on": True, "plain": 0})
    changes = [("l2", KINDS["flat"]), ("l2", {**SMALL, "m": 12}), ("ip", KINDS["ivf"]),
               ("cosine", {**SMALL, "storage": "int8"}), ("cosine", KINDS["ivf"])]
    try:
        for metric, index in changes:
            alter(db3, name, {"set": {"v": {"metric": metric, "index": index}}})
            shelf.metric, shelf.index = metric, index
            # Others write: what is found of our own is right.
            for _ in range(5):
                target = gauss(shelf.rng, 12)
                answer = similar(db3, name, "VEC", pack(target), "K", 500, "EXACT", "FIELDS", "v")
                own = [hit for hit in answer.hits if hit["id"].startswith("p")]
                assert {hit["id"] for hit in own} == set(shelf.vectors)
                for hit in answer.hits:
                    vector = json.loads(hit["doc"])["v"]
                    assert abs(hit["score"] - likeness(metric, target, vector)) <= 1e-3, hit
    finally:
        end.set()
        thread.join()
    assert not failures, failures[:3]
    shelf.ask_much(10)
    alter(db3, name, {"drop": ["v"]})
    assert db3.code("SIMILAR", name, "VEC", pack(gauss(shelf.rng, 12))) == "NOINDEX"


def test_a_zero_vector_keeps_l2_from_becoming_cosine(db3, name, seed):
    shelf = Shelf(db3, name, random.Random(seed), "l2").fill(60)
    db3.call("PUT", name, "zero", json.dumps({"v": [0] * 12, "n": 1}))
    before = db3.call("DESCRIBE", name)["schema"]
    failed = alter(db3, name, {"set": {"v": {"metric": "cosine"}}}, "failed")
    assert "v" in failed["text"] and "vector" in failed["text"], failed
    assert db3.call("DESCRIBE", name)["schema"] == before
    db3.call("REMOVE", name, "zero")
    shelf.ask_much(5)
    shelf.churn(60).ask_much(5)
    alter(db3, name, {"set": {"v": {"metric": "cosine"}}})
    shelf.metric = "cosine"
    shelf.ask_much(10)
    assert db3.code("PUT", name, "zero", json.dumps({"v": [0] * 12})) == "INVALID"


def test_a_change_of_metric_outlives_a_kill(own_server, seed):
    server = own_server()
    with server.connect(3) as db:
        shelf = Shelf(db, "c", random.Random(seed), "l2").fill(800)
        db.call("ALTER", "c", json.dumps(
            {"set": {"v": {"metric": "cosine", "index": KINDS["ivf"]}}}))
    server.restart(kill=True)
    with server.connect(3) as db:
        shelf.db, shelf.metric = db, "cosine"
        wait_until_linked(db, "c")
        assert '"cosine"' in db.call("DESCRIBE", "c")["schema"]
        shelf.ask_much(10)
        shelf.churn(80).ask_much(5)


def small_collection(db, name, **options):
    """Two documents with vectors of three dimensions under l2."""
    field = {**vector_field(3, "l2", True), **options}
    db.call("CREATE", name, json.dumps({"fields": {"n": {"type": "int"}, "v": field}}))
    db.call("PUT", name, "0", '{"v":[1,2,3]}')
    db.call("PUT", name, "1", '{"v":[1,2,4]}')


@pytest.mark.parametrize("changes", [
    {"dimensions": 3}, {"type": "vector"}, {"array": False}, {"array": None},
    {"dimensions": 3, "type": "vector", "metric": "cosine"},
    {"type": "vector", "index": {"kind": "flat"}},
], ids=str)
def test_saying_what_holds_already_keeps_the_vectors(db, name, changes):
    small_collection(db, name)
    alter(db, name, {"set": {"v": changes}})
    assert json.loads(db.call("FETCH", name, "0", "FIELDS", "v")) == {"v": [1, 2, 3]}
    assert similar(db, name, "ID", "0").ids == ["1"]


@pytest.mark.parametrize("changes,rule", [
    ({"dimensions": 2}, "2 dimensions"), ({"dimensions": 4}, "4 dimensions"),
    ({"type": "keyword", "dimensions": None, "metric": None, "index": None}, "type keyword"),
], ids=str)
def test_a_form_that_stored_vectors_do_not_fit_is_refused(db, name, changes, rule):
    small_collection(db, name)
    before = db.call("DESCRIBE", name)
    failed = alter(db, name, {"set": {"v": changes}}, "failed")
    assert rule in failed["text"] and "0 (v" in failed["text"] and "1 (v" in failed["text"], failed
    assert as_map(db.call("DESCRIBE", name))["schema"] == as_map(before)["schema"]
    assert json.loads(db.call("FETCH", name, "1", "FIELDS", "v")) == {"v": [1, 2, 4]}
    assert similar(db, name, "ID", "0").ids == ["1"]
    db.call("REMOVE", name, "0", "1")
    alter(db, name, {"set": {"v": changes}})


def test_the_first_ten_vectors_that_stop_a_change_are_named(db, name):
    small_collection(db, name, index={"originals": "f32", "storage": "f32"})
    for n in range(12):
        db.call("PUT", name, f"zero{n:02}", '{"v":[0,0,0]}')
    db.call("PUT", name, "big", '{"v":[1e10,0,0]}')
    failed = alter(db, name, {"set": {"v": {"metric": "cosine"}}}, "failed")
    named = [n for n in range(12) if f"zero{n:02} (v" in failed["text"]]
    assert named == list(range(10)), failed
    failed = alter(db, name, {"set": {"v": {"index": True}}}, "failed")
    assert "big (v" in failed["text"] and "zero" not in failed["text"], failed


def test_measuring_goes_on_when_a_field_changes(own_server):
    """Lookups that were kept for measuring are of the index as it was."""
    server = own_server("--shards", "1")
    with server.connect(3) as db:
        # What was asked, and a change that makes another question of it.
        cases = [
            ("[1,2,3]", True, {"index": {"originals": "store"}}),
            ("[1,2,3]", {"originals": "store"}, {"index": {"originals": "f16"}}),
            ("[0,0,0]", True, {"metric": "cosine"}),
            ("[1e12,0,0]", {"originals": "f32", "storage": "f32"},
             {"index": {"originals": "f16", "storage": "f16"}}),
            ("[1,1,1]", True, {"index": {"kind": "ivf"}}),
        ]
        for turn, (target, index, change) in enumerate(cases):
            name = f"c{turn}"
            small_collection(db, name, index=index)
            for _ in range(130):
                similar(db, name, "VEC", target)
            assert as_map(db.call("RECALL", name, "v"))["recent"] >= 2
            alter(db, name, {"set": {"v": change}})
            for _ in range(2):
                found = as_map(db.call("RECALL", name, "v"))
                assert found["recent"] == 0 and found["sampled"] == 2, found
            assert len(similar(db, name, "VEC", "[1,1,1]").hits) == 2
        time.sleep(0.5)
        assert server.alive()


def test_recall_of_nothing_says_nothing(db, name):
    db.call("CREATE", name, json.dumps({"fields": {"v": vector_field(3, "l2", SMALL)}}))
    found = as_map(db.call("RECALL", name, "v"))
    assert found["lookups"] == 0 and "recall" not in found and found["bands"] == []
    db.call("PUT", name, "0", '{"v":[1,2,3]}')
    found = as_map(db.call("RECALL", name, "v"))
    assert (found["lookups"], found["recent"], found["sampled"]) == (1, 0, 1)
    assert float(found["recall"]) == 1


@pytest.mark.parametrize("changes", [
    [{"index": {"kind": "flat", "originals": "store"}}, {"index": {"kind": "flat"}}],
    [{"metric": "cosine"}, {"metric": "l2"}],
], ids=["originals", "metric"])
def test_lookups_while_an_index_takes_the_place_of_another(own_server, seed, changes):
    """Every score is of one metric, and is that of the document."""
    server = own_server("--shards", "2")
    rng = random.Random(seed)
    vectors = {str(n): gauss(rng, 4) for n in range(60)}
    target, failures, asked = [1, 0, 1, 0], [], [0]
    end = threading.Event()
    with server.connect(3) as db:
        db.call("CREATE", "c", json.dumps({"fields": {
            "n": {"type": "int"}, "v": vector_field(4, "l2", {"kind": "flat"})}}))
        for key, vector in vectors.items():
            db.call("PUT", "c", key, json.dumps({"v": vector}))

        def ask(words):
            with server.connect(3) as mine:
                while not end.is_set():
                    reply = mine.reply("SIMILAR", "c", "K", 50, *words)
                    if isinstance(reply, RespError):
                        if reply.code not in ("BUSY",):
                            failures.append(reply)
                            return
                        continue
                    asked[0] += 1
                    for hit in Lookup(reply).hits:
                        metric = "l2" if "distance" in hit else "cosine"
                        score = likeness(metric, target, vectors[hit["id"]])
                        if abs(score - float(hit["score"])) > 0.01:
                            failures.append((hit, score))
                            return

        threads = [threading.Thread(target=ask, args=(words,)) for words in (
            ["VEC", json.dumps(target)], ["VEC", json.dumps(target), "EXACT"],
            ["VEC", json.dumps(target), "WHERE", '{"_id":{"$gte":"0"}}'])]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 5
        try:
            while time.monotonic() < until and not failures and server.alive():
                for change in changes:
                    alter(db, "c", {"set": {"v": change}})
        finally:
            end.set()
            for thread in threads:
                thread.join()
        assert not failures and asked[0] > 20, (failures[:3], asked)


def test_scores_while_an_index_is_rebuilt_are_the_old_ones(db3, name, seed):
    """Many documents, so that the change takes a while."""
    rng = random.Random(seed)
    db3.call("CREATE", name, json.dumps({"fields": {
        "n": {"type": "int", "index": True},
        "v": vector_field(4, "l2", {"kind": "flat", "originals": "store"})}}))
    vectors = {str(n): gauss(rng, 4) for n in range(6000)}
    db3.pipeline([("PUT", name, key, json.dumps({"n": int(key), "v": vector}))
                  for key, vector in vectors.items()])
    target, metric, seen = [1, 0, 1, 0], "l2", 0
    for change, after in [({"metric": "cosine"}, "cosine"), ({"metric": "ip"}, "ip"),
                          ({"index": {"kind": "flat"}, "metric": "l2"}, "l2")]:
        job = job_of(db3.call("ALTER", name, json.dumps({"set": {"v": change}})))
        while any(str(entry["id"]) == str(job) and entry["state"] == "running"
                  for entry in map(as_map, db3.call("JOBS"))):
            for words in (["VEC", json.dumps(target)], ["VEC", json.dumps(target), "EXACT"]):
                reply = db3.reply("SIMILAR", name, *words, "K", 5, "WHERE", '{"n":{"$lt":60}}')
                if isinstance(reply, RespError):
                    assert reply.code == "BUSY", reply.text
                    continue
                seen += 1
                assert len(Lookup(reply).hits) == 5
                for hit in Lookup(reply).hits:
                    scores = [likeness(m, target, vectors[hit["id"]]) for m in (metric, after)]
                    assert min(abs(s - float(hit["score"])) for s in scores) < 0.01, (hit, scores)
        wait_for_job(db3, job)
        metric = after
    assert seen > 3


@pytest.mark.parametrize("declared", [True, False], ids=["stored", "in the text"])
def test_what_has_no_index_yet_is_compared_one_by_one(db3, name, seed, declared):
    rng = random.Random(seed)
    bare = {"type": "vector", "dimensions": 12, "metric": "l2"}
    own = {"v": bare} if declared else {}
    db3.call("CREATE", name, json.dumps({"fields": {**FIELDS, **own}}))
    shelf = Shelf(db3, name, rng, "l2", index=KINDS["flat"], create=False)
    shelf.sent([shelf.put_whole(f"p{n}") for n in range(8000)])
    field = vector_field(12, "l2", KINDS["flat"])
    change = {"set": {"v": {"index": KINDS["flat"]}}} if declared else {"add": {"v": field}}
    job = job_of(db3.call("ALTER", name, json.dumps(change)))
    # Paused while the vectors are being brought in: before, no index is there yet.
    while True:
        db3.call("JOBS", "PAUSE", job)
        reply = db3.reply("SIMILAR", name, "ID", "p1", "K", 3)
        if not isinstance(reply, RespError):
            break
        assert reply.code in ("NOINDEX", "BUSY"), reply.text
        db3.call("JOBS", "RESUME", job)
        # On a busy machine the job's thread, of the lowest priority, needs some time to go on.
        time.sleep(0.001)
    for _ in range(200):
        [entry] = [e for e in map(as_map, db3.call("JOBS")) if str(e["id"]) == str(job)]
        if entry["text"] == "paused":
            break
        time.sleep(0.05 * PATIENCE)
    assert entry["state"] == "running" and entry["text"] == "paused", entry
    answer = similar(db3, name, "ID", "p1", "K", 3)
    assert answer.exact and answer.total == 8000
    shelf.check(answer, shelf.vectors["p1"], 3, without={"p1"})
    shelf.ask_much(10)
    # What is written now stays in the text where the old schema knows no vectors.
    shelf.sent([shelf.put_whole(f"p{n}") for n in range(40)])
    shelf.ask_much(5)
    key = sorted(shelf.vectors)[0]
    spread_out = similar(db3, name, "ID", key, "K", 3, "DIVERSE", 0.3, "NOT", "p2")
    assert len(spread_out.hits) == 3 and not {key, "p2"} & set(spread_out.ids)
    liked = Lookup(db3.call("RECOMMEND", name, "LIKE", key, "K", 3))
    assert liked.ids == similar(db3, name, "ID", key, "K", 3).ids
    plan = as_map(db3.call("EXPLAIN", "SIMILAR", name, "ID", key))
    assert "exact scan of stored vectors" in str(plan)
    db3.call("JOBS", "RESUME", job)
    wait_for_job(db3, job)
    shelf.ask_much(5)


# Growth

@pytest.mark.parametrize("kind", KINDS)
def test_what_leaves_a_vector_alone_leaves_its_index_alone(db3, name, kind):
    rng = random.Random(8)
    shelf = Shelf(db3, name, rng, index=KINDS[kind]).fill(200)
    wait_until_linked(db3, name)
    db3.pipeline([("PATCH", name, f"p{n}", '{"stock":0}') for n in range(200)] * 6)
    before = index_entry(db3, name)
    assert before["state"] == "ready"
    for _ in range(5):
        replies = db3.pipeline([("PATCH", name, f"p{n}", '{"$inc":{"stock":1}}')
                                for n in range(200)])
        assert not [r for r in replies if isinstance(r, RespError)]
        assert index_entry(db3, name)["state"] == "ready"
    assert index_entry(db3, name)["bytes"] <= before["bytes"] + 64 * 1024
    db3.pipeline([("PUT", name, f"p{n}", json.dumps(
        {**shelf.documents[f"p{n}"], "v": shelf.vectors[f"p{n}"]})) for n in range(200)])
    assert index_entry(db3, name)["state"] == "ready"
    shelf.ask_much(10)


# Many hands

def test_many_hands_write_and_search(server, db3, name, seed):
    """Each hit's document has the vector that its score is of, whatever goes on."""
    Shelf(db3, name, random.Random(seed), "l2", index={**SMALL, "storage": "int8"}).fill(800)
    end = time.monotonic() + 8
    failures = []

    def work(number):
        rng = random.Random(seed + number)
        with server.connect(3) as mine:
            shelf = Shelf(mine, name, rng, "l2", create=False)
            turns = 0
            while time.monotonic() < end and not failures:
                turns += 1
                if number < 2:
                    keys = [f"p{rng.randrange(1200)}" for _ in range(20)]
                    commands = [shelf.made(key) for key in keys]
                    commands += [("REMOVE", name, key) for key in keys[:4]]
                    commands += [("PATCH", name, key, '{"plain":7}', "UPSERT") for key in keys[4:8]]
                    for reply in mine.pipeline(commands):
                        if isinstance(reply, RespError):
                            failures.append(reply.text)
                    continue
                target = gauss(rng, 12)
                filter, fits = shelf.condition()
                words = ["WHERE", filter] if filter else []
                words += rng.choice([[], ["EXACT"], ["DIVERSE", 0.3], ["EF", 300]])
                answer = similar(mine, name, "VEC", pack(target), "K", 20, "FIELDS",
                                 "v,n,cat,on,plain", *words)
                if len(answer.hits) != min(20, answer.total):
                    failures.append((len(answer.hits), answer.total, words))
                for hit in answer.hits:
                    document = json.loads(hit["doc"])
                    score = likeness("l2", target, document["v"])
                    if abs(score - hit["score"]) > 1e-3 or "cat" in document and not fits(document):
                        failures.append((hit, score, words))
            if turns < 5:
                failures.append(f"only {turns} turns")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    wait_until_linked(db3, name)
    shelf = Shelf(db3, name, random.Random(seed), "l2", index=SMALL, create=False).reload()
    for document in shelf.documents.values():
        document.update({"n": -9, "cat": "?", "on": False} if "n" not in document else {})
    assert shelf.ask_much(20, exact=False) >= 0.95
    shelf.ask_much(10)

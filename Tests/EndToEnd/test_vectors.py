"""SIMILAR: exact answers and approximate ones, against brute force."""

import base64
import json
import math
import random
import time

import pytest

from aisle_resp import RespError, as_map
from aisle_server import PATIENCE, Server
from test_schema import job_of, wait_for_job
from vector_shelf import (
    KINDS, SMALL, Shelf, gauss, index_entry, likeness, narrow, pack, similar, vector_field,
    wait_until_linked)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A collection whose one partition is large enough for walks over the graph, linked."""
    server = Server(tmp_path_factory.mktemp("large") / "data", "--partitions", "1").start()
    with server.connect(3) as db:
        shelf = Shelf(db, "large", random.Random(11), dimensions=12,
                      index={**SMALL, "m": 12, "efConstruction": 64})
        shelf.fill(6000, without=0.02)
        wait_until_linked(db, shelf.name)
        yield shelf
    assert server.stop() == 0, server.log_tail()
    server.remove()


@pytest.mark.parametrize("index", [
    {"kind": "flat", "m": 16}, {"kind": "flat", "efSearch": 10}, {"kind": "hnsw", "numLists": 4},
    {"kind": "ivf", "efConstruction": 100}, {"kind": "ivf", "efSearch": 100}, {"nProbes": 4},
    {"kind": "ivf", "numLists": 4, "nProbes": 5}, {"kind": "ivf", "nProbes": 1025},
    {"efSearch": 0}, {"efSearch": 10_001}, {"efSearch": "96"}], ids=str)
def test_options_that_would_say_nothing_are_refused(db, name, index):
    assert db.code("CREATE", name, json.dumps(
        {"fields": {"v": vector_field(4, "l2", index)}})) == "INVALID"


def test_an_index_has_a_width_of_its_own(own_server, seed):
    """The narrowest searches find less than the widest, and a change of width builds nothing."""
    server = own_server("--partitions", "1")
    with server.connect(3) as db3:
        check_width(db3, "c", seed)


def check_width(db3, name, seed):
    index = {"kind": "hnsw", "m": 2, "efConstruction": 8, "storage": "f32", "originals": "f32"}
    shelf = Shelf(db3, name, random.Random(seed), index={**index, "efSearch": 1}).fill(4000)
    wait_until_linked(db3, name)
    assert '"efSearch":1' in as_map(db3.call("DESCRIBE", name))["schema"]
    shelf_bytes = index_entry(db3, name)["bytes"]

    def recall(*words):
        found = 0
        for turn in range(40):
            target = pack(gauss(random.Random(turn), 12))
            truth = similar(db3, name, "VEC", target, "EXACT").ids
            found += len(set(truth) & set(similar(db3, name, "VEC", target, *words).ids))
        return found / 400

    narrow, wide = recall(), recall("EF", 400)
    assert narrow < wide - 0.1, (narrow, wide)
    job = job_of(db3.call("ALTER", name, json.dumps(
        {"set": {"v": {"index": {**index, "efSearch": 400}}}})))
    wait_for_job(db3, job)
    assert index_entry(db3, name)["state"] == "ready"
    assert index_entry(db3, name)["bytes"] == shelf_bytes
    assert abs(recall() - wide) < 0.02 and recall("EF", 1) == narrow


# Exact answers

@pytest.mark.parametrize("originals", ["f32", "f16", "store"])
@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("kind", KINDS)
def test_exact_is_brute_force(db3, name, seed, kind, metric, originals):
    storage = random.Random(seed).choice(["f32", "f16", "int8"])
    index = {**KINDS[kind], "originals": originals, "storage": storage}
    shelf = Shelf(db3, name, random.Random(seed), metric, index=index).fill(250, without=0.1)
    # At once, while most of them are not linked; then while they are moved about.
    shelf.ask_much(8)
    for _ in range(3):
        shelf.churn(60).ask_much(5)
    wait_until_linked(db3, name)
    shelf.ask_much(5)
    db3.call("DROP", name)


@pytest.mark.parametrize("kind", KINDS)
def test_overdue_documents_are_no_hits(db3, name, seed, kind):
    shelf = Shelf(db3, name, random.Random(seed), index=KINDS[kind]).fill(60)
    keys = sorted(shelf.vectors)[:30]
    shelf.sent([("PATCH", name, key, '{"plain":1}', "TTL", "1ms") for key in keys])
    for key in keys:
        del shelf.documents[key], shelf.vectors[key]
    end = time.monotonic() + 10 * PATIENCE
    while db3.call("COUNT", name, "{}") != 30:
        assert time.monotonic() < end
        time.sleep(0.02)
    shelf.ask_much(10)
    assert similar(db3, name, "VEC", pack(gauss(shelf.rng, 12)), "K", 100).total == 30


@pytest.mark.parametrize("kind", KINDS)
def test_answers_outlive_restarts(own_server, seed, kind):
    server = own_server("--shards", "2", "--partitions", "2")
    with server.connect(3) as db:
        shelf = Shelf(db, "c", random.Random(seed), "l2", index=KINDS[kind])
        shelf.fill(300, without=0.1).churn(150).ask_much(4)
    for kill in (False, True):
        server.restart(kill=kill)
        with server.connect(3) as db:
            shelf.db = db
            shelf.ask_much(6)
            shelf.churn(60).ask_much(4)
    with server.connect(3) as db:
        shelf.db = db
        for partitions in ("1", "3"):
            job = job_of(db.call("RESHARD", partitions))
            shelf.churn(40).ask_much(4)
            wait_for_job(db, job)
            shelf.ask_much(4)
            shelf.churn(40).ask_much(4)
            wait_until_linked(db, "c")
            assert shelf.ask_much(10, exact=False) >= 0.9
    server.restart(kill=True)
    with server.connect(3) as db:
        shelf.db = db
        shelf.ask_much(6)


def test_a_kill_between_syncs_leaves_documents_and_vectors_together(own_server, seed):
    server = own_server("--durability", "interval:200ms")
    with server.connect(3) as db:
        shelf = Shelf(db, "c", random.Random(seed), index={**SMALL, "m": 4})
        shelf.fill(200).churn(100).ask_much(4)
    server.restart()
    with server.connect(3) as db:
        shelf.db = db
        shelf.ask_much(5)
        shelf.churn(300)
    server.restart(kill=True)
    with server.connect(3) as db:
        shelf.db = db
        shelf.reload().ask_much(8)
        shelf.churn(50).ask_much(4)


# Approximate answers

def test_recall_is_high_and_k_hits_are_found(large, seed):
    large.rng = random.Random(seed)
    assert large.ask_much(30, exact=False) >= 0.97
    # So narrow that the graph is walked, also where a filter lets few through.
    assert large.ask_much(60, exact=False, width=40) >= 0.93


@pytest.mark.parametrize("kind,metric,storage,originals", [
    ("hnsw", "ip", "int8", "f16"), ("hnsw", "l2", "f16", "f16"), ("hnsw", "l2", "int8", "store"),
    ("hnsw", "cosine", "int8", "store"), ("ivf", "cosine", "int8", "f16"),
    ("ivf", "l2", "f32", "f16"), ("ivf", "ip", "int8", "store"), ("flat", "cosine", "int8", "f16"),
    ("flat", "ip", "f16", "f16"), ("flat", "l2", "int8", "store")])
def test_recall_of_every_kind(db3, name, seed, kind, metric, storage, originals):
    index = {**KINDS[kind], "storage": storage, "originals": originals}
    if kind == "hnsw":
        index |= {"m": 16, "efConstruction": 100}
    if kind == "ivf":
        index["nProbes"] = 8
    shelf = Shelf(db3, name, random.Random(seed), metric, 16, index).fill(1800)
    assert shelf.ask_much(10, exact=False) >= 0.95
    wait_until_linked(db3, name)
    assert shelf.ask_much(15, exact=False) >= 0.95
    shelf.churn(300)
    assert shelf.ask_much(10, exact=False) >= 0.95
    db3.call("DROP", name)


def test_originals_in_the_store_answer_as_those_in_memory(db3, name, seed):
    index = {**SMALL, "storage": "int8", "m": 16, "efConstruction": 100}
    memory = Shelf(db3, name, random.Random(seed), "cosine", 16, index).fill(1500)
    store = Shelf(db3, name + "s", random.Random(seed), "cosine", 16,
                  {**index, "originals": "store"}).fill(1500)
    rng = random.Random(seed)
    for _ in range(20):
        words = ("VEC", pack(gauss(rng, 16)), "K", 20, "EXACT")
        ours, theirs = (similar(db3, shelf.name, *words).hits for shelf in (store, memory))
        assert [hit["id"] for hit in ours] == [hit["id"] for hit in theirs]
    key = sorted(store.vectors)[0]
    for option in (("EXACT",), ("DIVERSE", "0.4"), ("WHERE", '{"n":{"$lt":900}}')):
        ours = similar(db3, store.name, "ID", key, "K", 5, *option)
        assert len(ours.hits) == 5 and ours.hits[0]["id"] != key
    stages = {stage["stage"]: stage["how"] for stage in db3.call(
        "EXPLAIN", "SIMILAR", store.name, "ID", key)["stages"]}
    assert stages["originals"] == "read from the store"
    bytes_of = {shelf.name: db3.call("DESCRIBE", shelf.name)["indexes"][-1]["bytes"]
                for shelf in (store, memory)}
    for shelf in (store, memory):
        db3.call("DROP", shelf.name)
    assert bytes_of[store.name] < bytes_of[memory.name]


def how(db, *words):
    """How the search was done, from EXPLAIN."""
    return next(stage["how"] for stage in db.call("EXPLAIN", "SIMILAR", *words)["stages"]
                if stage["stage"] == "search")


def test_explain_shows_the_method(large, db3, name):
    words = (large.db, large.name, "VEC", pack(gauss(large.rng, 12)))
    assert how(*words, "EF", 30) == "graph"
    assert how(*words, "EF", 10, "WHERE", '{"on":true}') == "graph"
    assert how(*words, "EF", 1, "K", 1, "WHERE", '{"n":{"$lt":230}}') == "graph under the filter"
    assert how(*words, "EF", 1000) == "scan of codes"
    assert how(*words, "EXACT") == how(*words, "WHERE", '{"n":{"$lt":50}}') == "exact scan"
    assert how(*words, "WHERE", '{"n":-1}') == "no vectors"
    for filter in ("{}", '{"n":{"$lt":50}}'):
        plan = large.db.call("EXPLAIN", "SIMILAR", *words[1:], "WHERE", filter)
        assert plan["estimate"] == large.db.call("COUNT", large.name, filter)
    for kind, method in (("ivf", "inverted lists"), ("flat", "scan of codes")):
        shelf = Shelf(db3, name + kind, random.Random(1), index=KINDS[kind]).fill(1800)
        assert how(db3, shelf.name, "VEC", pack(gauss(shelf.rng, 12))) == method
        db3.call("DROP", shelf.name)


def test_the_bounds_of_options(large):
    db, name, vector = large.db, large.name, pack(gauss(large.rng, 12))
    assert len(similar(db, name, "VEC", vector).hits) == 10
    assert len(similar(db, name, "VEC", vector, "K", 1000).hits) == 1000
    assert len(similar(db, name, "VEC", vector, "K", 1).hits) == 1
    for words, codes in [
            (("K", 0), "INVALID LIMIT"), (("K", 1001), "LIMIT INVALID"),
            (("K", -1), "INVALID LIMIT"),
            (("K", "x"), "INVALID SYNTAX"), (("EF", 0), "INVALID LIMIT"),
            (("EF", 10**9), "LIMIT INVALID"), (("EF", 10, "EXACT"), "SYNTAX"),
            (("DIVERSE", 1.1), "INVALID LIMIT"), (("DIVERSE", -0.1), "INVALID LIMIT"),
            (("DIVERSE", "nan"), "INVALID SYNTAX"), (("MIN", "nan"), "INVALID SYNTAX"),
            (("MIN", "x"), "INVALID SYNTAX"), (("AT", 5), "SYNTAX"), (("SORT", "n"), "SYNTAX"),
            (("SKIP", 5), "SYNTAX"), (("VEC", vector), "SYNTAX"), (("ID", "p1"), "SYNTAX"),
            (("K", 1, "K", 2), "SYNTAX"), (("FIELDS", "n,-v"), "SYNTAX"),
            (("TIMEOUT", "x"), "INVALID SYNTAX"),
            (("WHERE", "{"), "INVALID"), (("WHERE", '{"n":{"$frob":1}}'), "INVALID"),
            (("NOT", "[1"), "INVALID SYNTAX"), (("FIELD", "n"), "NOINDEX"),
            (("FIELD", "nosuch"), "NOINDEX"), (("FIELD", "x" * 5000), "NOINDEX"),
            (("LIKE", "p1"), "SYNTAX"), (("FROM", "a", "{}"), "SYNTAX")]:
        assert db.code("SIMILAR", name, "VEC", vector, *words) in codes.split(), words
    for words, code in [
            ((), "ERR SYNTAX"), (("K", 3), "SYNTAX"), (("TEXT", "green tea"), "NOINDEX"),
            (("ID", "nosuch"), "NOTFOUND"), (("ID", ""), "INVALID"),
            (("ID", "x" * 513), "LIMIT INVALID"),
            (("VEC", "$v", "BLOB", "w", vector), "INVALID"), (("VEC", ""), "INVALID")]:
        assert db.code("SIMILAR", name, *words) in code.split(), words


def test_width_min_and_exact_agree(large):
    db, name, vector = large.db, large.name, gauss(large.rng, 12)
    truth = large.best(vector)
    for width in (1, 10, 10_000):
        large.check(similar(db, name, "VEC", pack(vector), "EF", width), vector, 10, exact=False)
    wide = similar(db, name, "VEC", pack(vector), "EF", 10_000, "K", 50)
    large.check(wide, vector, 50)
    least = (truth[4][0] + truth[5][0]) / 2
    for exact in ([], ["EXACT"]):
        some = similar(db, name, "VEC", pack(vector), "MIN", repr(least), *exact)
        assert some.ids == [key for _, key in truth[:5]]
    assert similar(db, name, "VEC", pack(vector), "MIN", 2).hits == []
    assert len(similar(db, name, "VEC", pack(vector), "MIN", -1).hits) == 10


def test_excluded_ids_make_room_for_others(large):
    vector = gauss(large.rng, 12)
    best = [key for _, key in large.best(vector)]
    for words in ([], ["WHERE", "{}"], ["EXACT"]):
        answer = similar(large.db, large.name, "VEC", pack(vector), "NOT", json.dumps(best[:100]),
                         *words)
        assert len(answer.hits) == 10 and not set(answer.ids) & set(best[:100])
    assert answer.ids == best[100:110]
    answer = similar(large.db, large.name, "VEC", pack(vector), "NOT", json.dumps(best[:1000]))
    assert answer.ids == best[1000:1010]
    assert large.db.code("SIMILAR", large.name, "VEC", pack(vector), "NOT",
                         json.dumps(best[:1001])) == "LIMIT"


def test_one_hit_out_of_many_documents(large):
    db, name = large.db, large.name
    key = sorted(large.vectors)[5]
    vector = gauss(large.rng, 12)
    answer = similar(db, name, "VEC", pack(vector), "WHERE", json.dumps({"_id": key}))
    assert answer.ids == [key] and answer.total == 1
    answer = similar(db, name, "ID", key, "WHERE", json.dumps({"_id": key}))
    assert answer.hits == []
    bare = sorted(set(large.documents) - set(large.vectors))
    assert db.code("SIMILAR", name, "ID", bare[0]) == "NOVECTOR"
    answer = similar(db, name, "VEC", pack(vector), "WHERE", json.dumps({"_id": {"$in": bare}}))
    assert answer.hits == [] and answer.total == 0


# What goes in and comes out

def test_the_forms_of_a_vector(db, name):
    db.call("CREATE", name, json.dumps({"fields": {"v": vector_field(3, "l2", SMALL)}}))
    vector = [1.5, -2.0, 0.25]
    blob = pack(vector)
    text = base64.b64encode(blob).decode()
    db.call("PUT", name, "array", json.dumps({"v": vector}))
    db.call("PUT", name, "text", json.dumps({"v": text}))
    db.call("PUT", name, "bytes", "{}", "VEC", "v", blob)
    db.call("PUT", name, "far", '{"v":[100,100,100]}')
    db.call("PATCH", name, "far", '{"$set":{"v":[200,200,200]}}')
    forms = [["VEC", blob], ["VEC", json.dumps(vector)], ["VEC", text], ["VEC", text.rstrip("=")],
             ["VEC", "$v", "BLOB", "v", blob], ["VEC", "$v", "PARAMS", json.dumps({"v": vector})],
             ["VEC", "$v", "PARAMS", json.dumps({"v": text})]]
    for form in forms:
        answer = similar(db, name, *form, "K", 3)
        assert answer.ids == ["array", "bytes", "text"], form
        assert all(float(hit["score"]) == 1 and float(hit["distance"]) == 0 for hit in answer.hits)
    # A text may be as long as the bytes would be.
    for text in ("[1.5,-2,0.2]", "[1.5,  -2,0]", "[1,2,3.5,67]"):
        assert len(text) == len(blob)
        reply = db.reply("SIMILAR", name, "VEC", text, "K", 1)
        if text.count(",") == 3:
            assert reply.code == "INVALID" and "dimensions" in reply.text
            continue
        hit = as_map(as_map(reply)["hits"][0])
        assert hit["id"] == "array" and float(hit["distance"]) < 0.3
    got = json.loads(db.call("FETCH", name, "text", "FIELDS", "v"))
    assert got == {"v": vector}


def test_bytes_may_begin_with_a_dollar_sign(db3, name):
    db3.call("CREATE", name, json.dumps({"fields": {"v": vector_field(2, "cosine", SMALL)}}))
    for number, blob in enumerate([b"$abcdefg", b"$a=\x00bcde", b"$$$$$$$$", b"[1,2]  ]"]):
        db3.call("PUT", name, str(number), "{}", "VEC", "v", blob)
        answer = similar(db3, name, "VEC", "$query", "BLOB", "query", blob, "K", 1)
        assert answer.hits[0]["score"] == pytest.approx(1)
        if blob == b"$abcdefg":
            # Bytes that read as a parameter's name are one.
            assert db3.code("SIMILAR", name, "VEC", blob) == "INVALID"
            continue
        again = similar(db3, name, "VEC", blob, "K", 1)
        assert again.ids == answer.ids and again.hits[0]["score"] == pytest.approx(1)


def test_scores_and_distances(db, name):
    for metric in ("cosine", "ip", "l2"):
        own = f"{name}{metric}"
        db.call("CREATE", own, json.dumps({"fields": {"v": vector_field(2, metric, SMALL)}}))
        for key, vector in (("a", [3, 4]), ("b", [-6, -8]), ("c", [-4, 3]), ("d", [6, 8])):
            db.call("PUT", own, key, json.dumps({"v": vector, "k": key}))
        answer = similar(db, own, "VEC", "[3,4]", "K", 4, "META", "FIELDS", "k")
        got = [(hit["id"], round(float(hit["score"]), 6)) for hit in answer.hits]
        assert all(json.loads(hit["doc"]) == {"k": hit["id"]} for hit in answer.hits)
        assert all(isinstance(hit["version"], int) for hit in answer.hits)
        if metric == "cosine":
            assert got == [("a", 1), ("d", 1), ("c", 0), ("b", -1)]
        elif metric == "ip":
            assert got == [("d", 50), ("a", 25), ("c", 0), ("b", -50)]
        else:
            distances = [float(hit["distance"]) for hit in answer.hits]
            assert answer.ids == ["a", "d", "c", "b"]
            assert distances == pytest.approx([0, 5, math.sqrt(50), 15])
            assert [s for _, s in got] == pytest.approx([1 / (1 + d) for d in distances], rel=1e-5)
        assert ("distance" in answer.hits[0]) == (metric == "l2")


@pytest.mark.parametrize("kind", KINDS)
def test_ties_stand_by_id(db3, name, kind):
    db3.call("CREATE", name, json.dumps({"fields": {
        "g": {"type": "int", "index": True}, "v": vector_field(4, "cosine", KINDS[kind])}}))
    keys = [f"k{n}" for n in range(200)]
    random.Random(4).shuffle(keys)
    db3.pipeline([("PUT", name, key, json.dumps({"g": n % 3, "v": [1, 2, 3, 4]}))
                  for n, key in enumerate(keys)])
    for words in (["EXACT"], [], ["WHERE", '{"g":{"$lt":2}}']):
        answer = similar(db3, name, "VEC", "[1,2,3,4]", "K", 300, "FIELDS", "g", *words)
        assert answer.ids == sorted(answer.ids) and len(answer.ids) == answer.total
    answer = similar(db3, name, "VEC", "[1,2,3,4]", "K", 7, "EXACT")
    assert answer.ids == sorted(keys)[:7]


def test_fields_bring_vectors_only_when_named(large):
    key = sorted(large.vectors)[0]
    hit = similar(large.db, large.name, "VEC", pack(large.vectors[key]), "K", 1).hits[0]
    assert hit["id"] == key and json.loads(hit["doc"]) == large.documents[key]
    for words, wanted in [(["n,v"], {"n", "v"}), (["v"], {"v"}), (["-n"], {"cat", "on", "plain"}),
                          (["n"], {"n"})]:
        hit = similar(large.db, large.name, "VEC", pack(large.vectors[key]), "K", 1, "FIELDS",
                      *words).hits[0]
        document = json.loads(hit["doc"])
        assert set(document) == wanted
        if "v" in wanted:
            assert narrow(document["v"]) == large.vectors[key]


def spread(candidates, vectors, metric, diversity, count):
    """Maximal marginal relevance, written anew."""
    chosen, left = [], list(candidates)
    while left and len(chosen) < count:
        def worth(pair):
            score, key = pair
            most = max((likeness(metric, vectors[key], vectors[other]) for _, other in chosen),
                       default=0)
            return (1 - diversity) * score - diversity * most
        best = max(left, key=worth)
        left.remove(best)
        chosen.append(best)
    return [key for _, key in chosen]


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_diverse_hits(db3, name, seed, metric):
    shelf = Shelf(db3, name, random.Random(seed), metric, 8, SMALL).fill(60)
    for _ in range(4):
        target = gauss(shelf.rng, 8)
        truth = shelf.best(target)
        plain = similar(db3, name, "VEC", pack(target), "K", 12)
        assert similar(db3, name, "VEC", pack(target), "K", 12, "DIVERSE", 0).ids == plain.ids
        for diversity in (0.3, 0.7, 1):
            answer = similar(db3, name, "VEC", pack(target), "K", 12, "DIVERSE", diversity)
            assert answer.ids == spread(truth, shelf.vectors, metric, diversity, 12)
        def closeness(ids):
            return max(likeness(metric, shelf.vectors[a], shelf.vectors[b])
                       for a in ids for b in ids if a < b)
        assert closeness(answer.ids) <= closeness(plain.ids)
        answer = similar(db3, name, "VEC", pack(target), "K", 12, "DIVERSE", 0.5, "NOT",
                         ",".join(plain.ids))
        assert answer.ids == spread(truth[12:], shelf.vectors, metric, 0.5, 12)


def test_time_that_is_over(large):
    words = (large.name, "VEC", pack(gauss(large.rng, 12)), "EXACT", "WHERE",
             '{"plain":{"$gte":0}}')
    for _ in range(3):
        reply = large.db.reply("SIMILAR", *words, "TIMEOUT", "1ms")
        if isinstance(reply, RespError):
            assert reply.code == "TIMEOUT"
        part = similar(large.db, *words, "TIMEOUT", "1ms", "PARTIAL")
        assert part.raw.get("partial") or part.exact
        assert not (part.raw.get("partial") and part.exact)
    # Spreading a thousand hits out takes long: the time is kept, and others are not held up.
    words = (large.name, "VEC", pack(gauss(large.rng, 12)), "K", 1000, "DIVERSE", 0.5)
    start = time.monotonic()
    reply = large.db.reply("SIMILAR", *words, "TIMEOUT", "10ms")
    assert not isinstance(reply, RespError) or reply.code == "TIMEOUT"
    part = similar(large.db, *words, "TIMEOUT", "10ms", "PARTIAL")
    assert part.raw.get("partial") or len(part.hits) == 1000
    assert time.monotonic() - start < 2 * PATIENCE


def test_several_vector_fields(db, name, seed):
    rng = random.Random(seed)
    db.call("CREATE", name, json.dumps({"fields": {
        "image": vector_field(4, "l2", KINDS["flat"]),
        "words": vector_field(6, "cosine", KINDS["hnsw"]),
        "stored": {"type": "vector", "dimensions": 3, "metric": "ip"}}}))
    truth = {}
    for n in range(80):
        truth[f"p{n}"] = (gauss(rng, 4) if n % 3 else None, gauss(rng, 6) if n % 4 else None)
        image, words = truth[f"p{n}"]
        document = {"stored": [1, 2, n], **({"image": image} if image else {})}
        db.call("PUT", name, f"p{n}", json.dumps(document),
                *(["VEC", "words", pack(words)] if words else []))
    reply = db.reply("SIMILAR", name, "VEC", pack(gauss(rng, 4)))
    assert reply.code == "SYNTAX" and "image" in reply.text and "words" in reply.text
    assert db.code("SIMILAR", name, "ID", "p1") == "SYNTAX"
    assert db.code("SIMILAR", name, "ID", "p1", "FIELD", "stored") == "NOINDEX"
    for place, (field, metric, dimensions) in enumerate(
            [("image", "l2", 4), ("words", "cosine", 6)]):
        target = gauss(rng, dimensions)
        best = sorted((-likeness(metric, target, pair[place]), key)
                      for key, pair in truth.items() if pair[place])
        answer = similar(db, name, "VEC", pack(target), "FIELD", field, "EXACT")
        assert answer.ids == [key for _, key in best[:10]] and answer.total == len(best)
        assert db.code("SIMILAR", name, "ID", "p0", "FIELD", field) == "NOVECTOR"
        assert db.reply("SIMILAR", name, "VEC", "[1,2]", "FIELD", field).text.startswith(
            f"INVALID {field}")
    both = json.loads(db.call("FETCH", name, "p1", "FIELDS", "image,words,stored"))
    assert narrow(both["image"]) == truth["p1"][0] and narrow(both["words"]) == truth["p1"][1]

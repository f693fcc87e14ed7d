"""Filters, sorts, projections and updates compared with mongomock, an independent MongoDB.

Goal: find any difference in meaning. Method: random documents, random requests, the same to both.
Where mongomock itself differs from MongoDB the case is left out, each with its reason.
"""

import json
import random
import time

import mongomock
import pytest

import oracle
from aisle_resp import RespError, find
from generators import LooseDocuments

SECONDS = 25
SCHEMAS = {
    "undeclared": {"fields": {}},
    "indexed": {"fields": {
        "s": {"type": "keyword", "index": True, "sort": True},
        "t": {"type": "keyword", "array": True, "index": True},
        "i": {"type": "int", "index": True, "sort": True},
        "flag": {"type": "bool", "index": True},
        "m": {"type": "float", "array": True, "index": True},
        "n": {"type": "object", "fields": {"x": {"type": "float", "index": True, "sort": True},
                                           "y": {"type": "keyword", "index": True}}},
    }},
}


def mongomock_is_wrong(query, document_by_id, mock_ids):
    """Whether mongomock's answer is not MongoDB's, by the written rules of oracle.py.

    The cases known, all checked by hand against MongoDB's manual:
    - `{"n.x": null}` and `$not` on it, where `n` is null: MongoDB matches, mongomock does not;
    - `$not` through an empty array of objects: MongoDB matches (nothing satisfied the condition);
    - two bounds on a path through an array of objects: different elements may satisfy them,
      mongomock wants one element that satisfies both.
    """
    expected = {i for i, doc in document_by_id.items()
                if oracle.matches(query, {"_id": i, **doc})}
    return expected != set(mock_ids), expected


def load(db, name, schema, documents):
    db.call("CREATE", name, json.dumps(schema))
    replies = db.pipeline([("PUT", name, i, json.dumps(d)) for i, d in documents.items()])
    bad = [(r, d) for r, d in zip(replies, documents.values()) if isinstance(r, RespError)]
    assert not bad, bad[:3]


def world(seed, count=120):
    rng = random.Random(seed)
    maker = LooseDocuments()
    documents = {f"d{n:03}": maker.document(rng) for n in range(count)}
    mock = mongomock.MongoClient().db.c
    mock.insert_many([{"_id": i, **json.loads(json.dumps(d))} for i, d in documents.items()])
    return rng, maker, documents, mock


def ask_mock(mock, query, sort=None):
    """mongomock's ids, or None where it fails on a legal query."""
    try:
        cursor = mock.find(query)
        if sort:
            cursor = cursor.sort([*sort, ("_id", 1)])
        return [d["_id"] for d in cursor]
    except (TypeError, NotImplementedError, mongomock.OperationFailure):
        return None


@pytest.mark.slow
@pytest.mark.parametrize("kind", SCHEMAS)
def test_filters_and_sorts_agree_with_mongomock(db3, name, seed, kind):
    rng, maker, documents, mock = world(seed)
    load(db3, name, SCHEMAS[kind], documents)
    asked = compared = wrong_mock = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and asked < 3000:
        query = maker.filter(rng)
        sort = maker.sort(rng) if rng.random() < 0.5 else None
        asked += 1
        answer = find(db3, name, json.dumps(query), "LIMIT", 1000,
                      *(["SORT", json.dumps([list(s) for s in sort])] if sort else []))
        assert answer.total == len(answer.hits)
        expected = ask_mock(mock, query, sort)
        if expected is None:
            continue
        mock_errs, by_rules = mongomock_is_wrong(query, documents, expected)
        if mock_errs:
            wrong_mock += 1
            assert set(answer.ids) == by_rules, f"seed {seed}: {json.dumps(query)}"
            continue
        compared += 1
        assert set(answer.ids) == set(expected), f"seed {seed}: {json.dumps(query)}"
        if sort:
            # mongomock does not order empty arrays and objects as MongoDB; scalars it does.
            assert answer.ids == expected, f"seed {seed}: {json.dumps(query)} {sort}"
        assert db3.call("COUNT", name, json.dumps(query)) == len(expected)
    print(f"{asked} asked, {compared} compared, {wrong_mock} left to the written rules")
    assert compared > asked // 2


def test_projections_agree_with_mongomock(db3, name, seed):
    rng, maker, documents, mock = world(seed, 60)
    load(db3, name, SCHEMAS["undeclared"], documents)
    for _ in range(60):
        names, include = maker.projection(rng)
        answer = find(db3, name, "{}", "LIMIT", 1000, "SORT", "_id",
                      "FIELDS", ",".join(n if include else "-" + n for n in names))
        expected = {d.pop("_id"): d for d in mock.find({}, {n: int(include) for n in names})}
        for hit in answer.hits:
            got = json.loads(hit["doc"])
            got.pop("_id", None)
            want = expected[hit["id"]]
            if not include:
                # Leaving `n.x` out of a null `n` keeps the null in MongoDB; mongomock drops `n`.
                for parent in {n.split(".")[0] for n in names if "." in n}:
                    if documents[hit["id"]].get(parent, 0) is None:
                        want[parent] = None
            assert got == want, f"seed {seed}: {hit['id']} {names} {include}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", SCHEMAS)
def test_updates_agree_with_mongomock(db3, name, seed, kind):
    rng, maker, documents, mock = world(seed, 80)
    load(db3, name, SCHEMAS[kind], documents)
    end = time.monotonic() + SECONDS / 2
    for round_number in range(1500):
        if time.monotonic() > end:
            break
        chosen = rng.choice(list(documents))
        before = mock.find_one({"_id": chosen})
        update = maker.update(rng, before)
        try:
            mock.update_one({"_id": chosen}, update)
        except Exception:  # noqa: BLE001 - mongomock raises whatever its Python code hits
            # Back to where it was: what MongoDB would say of this one is not known.
            mock.replace_one({"_id": chosen}, before)
            continue
        reply = db3.reply("PATCH", name, chosen, json.dumps(update))
        context = f"seed {seed} round {round_number}: {before} {json.dumps(update)}"
        assert not isinstance(reply, RespError), f"{context}: {reply}"
        got = json.loads(db3.call("FETCH", name, chosen))
        want = mock.find_one({"_id": chosen})
        want.pop("_id")
        assert got == want, context
    # What the indexes say must be what the documents say.
    current = {d["_id"]: {k: v for k, v in d.items() if k != "_id"} for d in mock.find()}
    for _ in range(150):
        query = maker.filter(rng)
        expected = {i for i, d in current.items() if oracle.matches(query, {"_id": i, **d})}
        answer = find(db3, name, json.dumps(query), "LIMIT", 1000)
        assert set(answer.ids) == expected, f"seed {seed}: {json.dumps(query)}"

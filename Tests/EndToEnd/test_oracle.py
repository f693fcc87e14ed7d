"""FIND, COUNT, FACET, STATS, DISTINCT, SORT, SKIP and AFTER against a plain full scan.

Goal: the indexes, the planner and the merge of partitions never change an answer. Method: random
typed documents and requests, under random updates, for several shard and partition counts; the
oracle holds the documents in a dict and scans them with exact numbers.
"""

import datetime
import json
import random
import time
from collections import Counter
from decimal import ROUND_HALF_EVEN, Decimal, getcontext

import pytest

import oracle
from aisle_resp import find

# Averages are rounded once, at the end.
getcontext().prec = 80

SCHEMA = {"fields": {
    "sku": {"type": "keyword", "unique": True, "required": True},
    "name": {"type": "text", "sort": True},
    "price": {"type": "decimal", "scale": 2, "index": True, "sort": True, "facet": True},
    "category": {"type": "keyword", "index": True, "facet": True},
    "brand": {"type": "keyword", "index": True, "facet": True, "sort": True},
    "tags": {"type": "keyword", "array": True, "index": True, "facet": True},
    "stock": {"type": "int", "index": True, "sort": True},
    "rating": {"type": "float", "index": True, "sort": True},
    "active": {"type": "bool", "index": True, "facet": True},
    "released": {"type": "datetime", "index": True, "sort": True},
    "sizes": {"type": "int", "array": True, "index": True},
    "maker": {"type": "object", "fields": {"state": {"type": "keyword", "index": True,
                                                     "facet": True}}},
    "shelf": {"type": "int"},
}}
CATEGORIES = ["audio", "books", "garden", "kitchen", "toys"]
TAGS = ["new", "sale", "eco", "gift", "bulk", "last"]
BRANDS = [f"brand {n}" for n in range(40)]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def stamp(milliseconds):
    when = EPOCH + datetime.timedelta(milliseconds=milliseconds)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03}Z"


class Model:
    """The documents as sent, and the same with values that compare exactly."""

    def __init__(self, rng):
        self.rng = rng
        self.sent = {}
        self.exact = {}
        self.number = 0

    def cents(self):
        return self.rng.choice([0, 1, 99, 999, 1999, 1999, 5000, self.rng.randrange(20000),
                                10**13 + self.rng.randrange(100)])

    def moment(self):
        return self.rng.choice([0, 86_400_000, 1_700_000_000_000,
                                self.rng.randrange(1_600_000_000_000, 1_800_000_000_000)])

    def document(self):
        rng = self.rng
        self.number += 1
        sent, exact = {"sku": f"S{self.number}"}, {"sku": f"S{self.number}"}

        def put(field, value, comparable=None, chance=0.9):
            if rng.random() < chance:
                sent[field] = value
                exact[field] = value if comparable is None else comparable
            elif rng.random() < 0.2:
                sent[field] = exact[field] = None

        price = self.cents()
        text = f"{price // 100}.{price % 100:02}"
        put("price", rng.choice([text, text + "0", Number(text)]), Decimal(price) / 100)
        put("name", rng.choice(["Lamp", "lamp", "Äpfel", "Chair", "Chair 2"]))
        put("category", rng.choice(CATEGORIES), chance=0.97)
        put("brand", rng.choice(BRANDS))
        put("tags", [rng.choice(TAGS) for _ in range(rng.randrange(4))])
        put("stock", rng.choice([0, 1, 5, rng.randrange(-10, 1000), 2**62]))
        rating = rng.choice([1, 4.5, 5, round(rng.uniform(1, 5), 1), round(rng.uniform(1, 5), 3)])
        put("rating", rating, oracle.exact(rating))
        put("active", rng.choice([True, False]))
        moment = self.moment()
        put("released", rng.choice([stamp(moment), moment]), moment)
        put("sizes", [rng.randrange(36, 46) for _ in range(rng.randrange(4))])
        put("maker", {"state": rng.choice(["IL", "NY", "TX"])})
        put("shelf", rng.randrange(10))
        return sent, exact

    def put(self, key, document):
        self.sent[key], self.exact[key] = document

    def all(self):
        return [{"_id": key, **doc} for key, doc in self.exact.items()]

    def matching(self, query):
        return [doc for doc in self.all() if oracle.matches(query, doc)]


class Number(str):
    """A decimal sent as a JSON number with exactly this text."""


def to_json(document):
    """JSON in which a Number stands as a number."""
    return "{" + ",".join(
        f"{json.dumps(k)}:{v if isinstance(v, Number) else json.dumps(v)}"
        for k, v in document.items()) + "}"


def bound(model, field):
    """A bound on a typed field: as sent in a filter, and as the oracle compares it."""
    rng = model.rng
    if field == "price":
        cents = model.cents()
        if rng.random() < 0.2:  # a finer scale than the field's own
            return f"{cents // 100}.{cents % 100:02}5", (Decimal(cents) / 100) + Decimal("0.005")
        value = Decimal(cents) / 100
        return rng.choice([str(value), Number(str(value))]), value
    if field == "released":
        moment = model.moment()
        return rng.choice([stamp(moment), moment]), moment
    if field == "rating":
        value = rng.choice([1, 2.5, 4.5, round(rng.uniform(1, 5), 1)])
        return value, oracle.exact(value)
    if field in ("stock", "shelf"):
        value = rng.choice([0, 1, 5, 100, 2**62, rng.randrange(-10, 1000)])
        return value, value
    value = rng.choice({"category": CATEGORIES + ["none"], "brand": BRANDS, "tags": TAGS,
                        "active": [True, False], "maker.state": ["IL", "NY", "ZZ"],
                        "sizes": list(range(35, 47)),
                        "name": ["Lamp", "lamp", "Chair"]}[field])
    return value, value


FIELDS = ["price", "category", "brand", "tags", "stock", "rating", "active", "released", "sizes",
          "maker.state", "shelf", "name"]


def condition(model):
    """One random condition, as sent and as compared."""
    rng = model.rng
    field = rng.choice(FIELDS)
    kind = rng.randrange(9)
    if kind == 0:
        flag = rng.choice([True, False])
        return {field: {"$exists": flag}}, {field: {"$exists": flag}}
    if kind == 1:
        return {field: None}, {field: None}
    if kind in (2, 3):
        pairs = [bound(model, field) for _ in range(rng.randrange(1, 4))]
        name = rng.choice(["$in", "$nin"])
        return {field: {name: [p[0] for p in pairs]}}, {field: {name: [p[1] for p in pairs]}}
    low, high = bound(model, field), bound(model, field)
    if kind in (4, 5) and field not in ("active", "tags", "sizes"):
        if low[1] > high[1]:
            low, high = high, low
        return ({field: {"$gte": low[0], "$lt": high[0]}},
                {field: {"$gte": low[1], "$lt": high[1]}})
    if kind == 6:
        return {field: {"$not": {"$gt": low[0]}}}, {field: {"$not": {"$gt": low[1]}}}
    if kind == 7:
        name = rng.choice(["$gt", "$gte", "$lt", "$lte", "$ne"])
        return {field: {name: low[0]}}, {field: {name: low[1]}}
    return {field: low[0]}, {field: low[1]}


def random_filter(model, depth=0):
    rng = model.rng
    if depth < 2 and rng.random() < 0.4:
        parts = [random_filter(model, depth + 1) for _ in range(rng.randrange(1, 4))]
        name = rng.choice(["$and", "$and", "$or", "$nor"])
        return {name: [p[0] for p in parts]}, {name: [p[1] for p in parts]}
    if rng.random() < 0.1:
        return {}, {}
    return condition(model)


def filter_json(query):
    """A filter as JSON, Numbers as numbers."""
    if isinstance(query, Number):
        return str(query)
    if isinstance(query, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{filter_json(v)}" for k, v in query.items()) + "}"
    if isinstance(query, list):
        return "[" + ",".join(filter_json(v) for v in query) + "]"
    return json.dumps(query)


def change(model, db, name, rounds):
    """Random writes, the same to the server and to the model."""
    rng = model.rng
    for _ in range(rounds):
        key = rng.choice(list(model.sent) + [f"new{model.number}"])
        kind = rng.random()
        if kind < 0.5:
            document = model.document()
            db.call("PUT", name, key, to_json(document[0]))
            model.put(key, document)
        elif kind < 0.75 and key in model.sent:
            stock = rng.randrange(100)
            db.call("PATCH", name, key, json.dumps({"$set": {"stock": stock}}))
            model.sent[key]["stock"] = model.exact[key]["stock"] = stock
        elif key in model.sent:
            assert db.call("REMOVE", name, key) == 1
            del model.sent[key], model.exact[key]


def check_page(model, db, name, context):
    """A filter with a sort and a page, then the same through a cursor."""
    rng = model.rng
    sent, exact = random_filter(model)
    query = filter_json(sent)
    expected = model.matching(exact)
    spec = [(f, rng.choice([1, -1])) for f in rng.sample(
        ["price", "brand", "stock", "rating", "released", "name", "shelf", "tags", "sizes"],
        rng.randrange(1, 3))]
    ordered = [d["_id"] for d in oracle.sort_documents(expected, spec)]
    where = f"{context} {query} {spec}"
    sort = ["SORT", ",".join(f"{f}:{w}" for f, w in spec)]
    skip, limit = rng.randrange(0, 30), rng.randrange(1, 40)
    page = find(db, name, query, *sort, "SKIP", skip, "LIMIT", limit)
    assert page.total == len(expected), where
    assert page.ids == ordered[skip:skip + limit], where
    for hit in page.hits:
        assert json.loads(hit["doc"]) == json.loads(to_json(model.sent[hit["id"]])), where
    assert db.call("COUNT", name, query) == len(expected), where
    collected, cursor = [], None
    while True:
        more = ["AFTER", cursor] if cursor else []
        page = find(db, name, query, *sort, "LIMIT", max(limit, 10), *more)
        collected += page.ids
        cursor = page.cursor
        if not cursor or not page.hits:
            break
    assert collected == ordered, where


def facet_value(value):
    """A facet's or group's value as this module compares it."""
    if isinstance(value, bool):
        return value
    return str(value)


def check_summary(model, db, name, context):
    """Facets, ranges, statistics and distinct values under a filter."""
    sent, exact = random_filter(model)
    query = filter_json(sent)
    expected = model.matching(exact)
    where = f"{context} {query}"
    answer = find(db, name, query, "LIMIT", 1, "FACET",
                  "category,tags,active,maker.state,price:[0,10,19.99,50]",
                  "STATS", "price,stock,rating")
    for field in ("category", "tags", "maker.state"):
        counts = Counter()
        for doc in expected:
            values = list(oracle.walk(doc, field.split(".")))
            flat = [v for value in values
                    for v in (value if isinstance(value, list) else [value])]
            counts.update({v for v in flat if isinstance(v, str)})
        want = sorted(([v, n] for v, n in counts.items()), key=lambda p: (-p[1], p[0].encode()))
        assert answer.facets[field] == want, f"{where} {field}"
    flags = Counter(doc["active"] for doc in expected if isinstance(doc.get("active"), bool))
    assert {bool(v): n for v, n in answer.facets["active"]} == dict(flags), where
    edges = [Decimal(0), Decimal(10), Decimal("19.99"), Decimal(50)]
    ranges = Counter()
    for doc in expected:
        for low, high in zip(edges, edges[1:]):
            if doc.get("price") is not None and low <= doc["price"] < high:
                ranges[(low, high)] += 1
    got = {(Decimal(str(r[0])), Decimal(str(r[1]))): n for r, n in answer.facets["price"]}
    assert {k: n for k, n in got.items() if n} == dict(ranges), where
    for field in ("price", "stock", "rating"):
        check_stats(answer.stats[field], field,
                    [d[field] for d in expected if d.get(field) is not None], where)
    grouped = find(db, name, query, "LIMIT", 1, "STATS", "price", "BY", "category")
    groups = {}
    for doc in expected:
        if isinstance(doc.get("category"), str):
            groups.setdefault(doc["category"], []).append(doc)
    got = dict(grouped.stats["price"])
    got.pop(None, None)
    for category, docs in groups.items():
        prices = [d["price"] for d in docs if d.get("price") is not None]
        if prices:
            check_stats(got[category], "price", prices, f"{where} {category}")
    distinct = find(db, name, query, "LIMIT", 1, "DISTINCT", "tags").distinct
    tags = {t for doc in expected for t in (doc.get("tags") or [])}
    assert sorted(v[0] if isinstance(v, list) else v for v in distinct) == sorted(tags), where


def check_stats(stats, field, values, where):
    assert int(stats["count"]) == len(values), f"{where} {field} {stats}"
    if not values:
        return
    total = sum(values)
    if field == "rating":
        for key, want in (("min", min(values)), ("max", max(values)), ("sum", total),
                          ("avg", total / len(values))):
            assert abs(float(stats[key]) - float(want)) < 1e-6 * max(1, abs(float(want))), (
                f"{where} {field} {stats}")
        return
    assert Decimal(str(stats["min"])) == min(values), f"{where} {field} {stats}"
    assert Decimal(str(stats["max"])) == max(values), f"{where} {field} {stats}"
    assert Decimal(str(stats["sum"])) == total, f"{where} {field} {stats}"
    if field == "price":
        average = (total / len(values)).quantize(Decimal("0.000001"), ROUND_HALF_EVEN)
        assert Decimal(str(stats["avg"])) == average, f"{where} {field} {stats}"
        assert stats["min"] == f"{min(values):.2f}", f"{where} {stats}"


@pytest.mark.slow
@pytest.mark.parametrize("shards,partitions", [(1, 1), (2, 3), (3, 7)])
def test_answers_are_those_of_a_full_scan(own_server, seed, shards, partitions):
    server = own_server("--shards", str(shards), "--partitions", str(partitions))
    model = Model(random.Random(seed))
    db = server.connect(3)
    name = "products"
    db.call("CREATE", name, json.dumps(SCHEMA))
    for n in range(300):
        document = model.document()
        db.call("PUT", name, f"p{n}", to_json(document[0]))
        model.put(f"p{n}", document)
    end = time.monotonic() + 20
    rounds = 0
    while time.monotonic() < end and rounds < 400:
        context = f"seed {seed} round {rounds}"
        check_page(model, db, name, context)
        check_summary(model, db, name, context)
        change(model, db, name, 10)
        rounds += 1
    print(f"{rounds} rounds, {len(model.sent)} documents")
    db.close()


@pytest.mark.slow
def test_answers_do_not_change_over_a_restart_with_other_shards(own_server, seed):
    server = own_server("--shards", "2", "--partitions", "4")
    model = Model(random.Random(seed))
    with server.connect(3) as db:
        db.call("CREATE", "products", json.dumps(SCHEMA))
        change(model, db, "products", 600)
    for shards in (1, 2, 3, 7):
        server.restart("--shards", str(shards), kill=shards == 3)
        with server.connect(3) as db:
            for number in range(15):
                context = f"seed {seed} shards {shards} check {number}"
                check_page(model, db, "products", context)
                check_summary(model, db, "products", context)
            change(model, db, "products", 30)

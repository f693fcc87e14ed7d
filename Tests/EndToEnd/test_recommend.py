"""RECOMMEND: from ids, from another collection's history, and who may ask."""

import json
import math
import random

import pytest

from aisle_resp import Lookup, RespError, as_map
from vector_shelf import SMALL, gauss, likeness, pack, vector_field

PRODUCTS = json.dumps({"fields": {
    "is_active": {"type": "bool", "index": True}, "stock": {"type": "int", "index": True},
    "embedding": vector_field(8, "cosine", SMALL)}})
ORDERS = json.dumps({"fields": {
    "customer_email": {"type": "keyword", "index": True},
    "status": {"type": "keyword", "index": True},
    "items": {"type": "array", "items": {"type": "object", "fields": {
        "product_id": {"type": "keyword"}, "quantity": {"type": "int"}}}}}})
BOUGHT = '{"customer_email":"%s","status":{"$in":["delivered","shipped"]}}'


class Shop:
    """A small shop: 200 products, some without a vector; orders of two customers."""

    def __init__(self, db, products, orders):
        rng = random.Random(5)
        self.db, self.products, self.orders = db, products, orders
        self.vectors, self.documents = {}, {}
        db.call("CREATE", products, PRODUCTS)
        db.call("CREATE", orders, ORDERS)
        for n in range(200):
            key = f"p{n:03}"
            self.documents[key] = {"is_active": rng.random() < 0.8, "stock": rng.randrange(4)}
            words = ["PUT", products, key, json.dumps(self.documents[key])]
            if n % 10:
                self.vectors[key] = gauss(rng, 8)
                words += ["VEC", "embedding", pack(self.vectors[key])]
            db.call(*words)
        for key, email, status, bought in [
                ("o1", "ann@x.io", "delivered", ["p001", "p002"]),
                ("o2", "ann@x.io", "cancelled", ["p003"]),
                ("o3", "ann@x.io", "shipped", ["p002", "p010", "gone"]),
                ("o4", "bob@x.io", "pending", ["p004"]),
                ("o5", "cid@x.io", "delivered", ["p010", "p020"]),
                ("o6", "dan@x.io", "delivered", [])]:
            db.call("PUT", orders, key, json.dumps({
                "customer_email": email, "status": status,
                "items": [{"product_id": p, "quantity": 1} for p in bought]}))

    def unit(self, key):
        length = math.hypot(*self.vectors[key])
        return [x / length for x in self.vectors[key]]

    def expected(self, likes, unlikes=(), count=10, fits=lambda d: True):
        """Nearest to the mean of the likes, moved away from that of the unlikes by half."""
        def mean(keys):
            return [sum(column) / len(keys) for column in zip(*map(self.unit, keys))]
        target = mean(likes)
        if unlikes:
            target = [t + (t - a) / 2 for t, a in zip(target, mean(unlikes))]
        pairs = sorted((-likeness("cosine", target, vector), key)
                       for key, vector in self.vectors.items()
                       if key not in {*likes, *unlikes} and fits(self.documents[key]))
        return [key for _, key in pairs[:count]]

    def recommend(self, *words, db=None):
        return Lookup((db or self.db).call("RECOMMEND", self.products, *words))


@pytest.fixture(scope="module")
def shop(server):
    with server.connect(3) as db:
        yield Shop(db, "shop_products", "shop_orders")


def test_like_and_unlike(shop, db):
    answer = shop.recommend("LIKE", "p001,p002", db=db)
    assert answer.ids == shop.expected(["p001", "p002"])
    assert answer.raw["based_on"] == ["p001", "p002"]
    answer = shop.recommend("LIKE", '["p001","p002"]', "UNLIKE", "p003,p004", "K", 25, "EXACT")
    assert answer.ids == shop.expected(["p001", "p002"], ["p003", "p004"], 25)
    # What is left out is left out whatever else matches.
    best = shop.expected(["p001"], count=3)
    assert shop.recommend("LIKE", "p001", "NOT", ",".join(best), "K", 1).ids == [
        shop.expected(["p001"], count=4)[3]]
    hit = shop.recommend("LIKE", "p001", "FIELDS", "stock", "META", "K", 1).hits[0]
    assert json.loads(hit["doc"]) == {"stock": shop.documents[hit["id"]]["stock"]}
    assert isinstance(hit["version"], int)
    one = Lookup(db.call("SIMILAR", shop.products, "ID", "p001"))
    assert shop.recommend("LIKE", "p001").ids == one.ids
    again = shop.recommend("LIKE", "p001,p001,p001")
    assert again.ids == one.ids and again.raw["based_on"] == ["p001"]
    assert shop.recommend("LIKE", "p001", "NOT", "[]").ids == one.ids


def test_from_what_was_bought(shop):
    active = '{"is_active":true,"stock":{"$gt":0}}'
    fits = lambda d: d["is_active"] and d["stock"] > 0  # noqa: E731
    bought = BOUGHT % "ann@x.io"
    answer = shop.recommend("FROM", shop.orders, bought, "PATH", "items.product_id",
                            "WHERE", active)
    # p010 has no vector and `gone` is none of ours: neither is a basis, neither is a hit.
    assert sorted(answer.raw["based_on"]) == ["p001", "p002"]
    assert answer.ids == shop.expected(["p001", "p002"], fits=fits)
    assert not {"p001", "p002", "p010"} & set(answer.ids) and len(answer.hits) == 10
    lower = Lookup(shop.db.call("recommend", shop.products, "from", shop.orders, bought, "path",
                                "items.product_id", "where", active))
    assert lower.ids == answer.ids
    with_params = shop.recommend(
        "FROM", shop.orders, '{"customer_email":"$who","status":{"$in":"$done"}}', "PATH",
        "items.product_id", "PARAMS",
        '{"who":"ann@x.io","done":["delivered","shipped"],"least":0}',
        "WHERE", '{"is_active":true,"stock":{"$gt":"$least"}}')
    assert with_params.ids == answer.ids
    plan = shop.db.call("EXPLAIN", "RECOMMEND", shop.products, "FROM", shop.orders, bought,
                        "PATH", "items.product_id")
    assert [stage["stage"] for stage in plan["stages"]][-2:] == ["search", "rank"]


def test_no_history_is_not_no_vectors(shop):
    def code(who, path="items.product_id"):
        return shop.db.code("RECOMMEND", shop.products, "FROM", shop.orders, BOUGHT % who,
                            "PATH", path)
    assert code("nobody@x.io") == "NOHISTORY"
    assert code("bob@x.io") == "NOHISTORY"
    assert code("dan@x.io") == "NOHISTORY"
    assert code("ann@x.io", "items.nosuch") == "NOHISTORY"
    # Numbers are ids as they are written; there is no product 1.
    assert code("ann@x.io", "items.quantity") == "NOVECTOR"
    assert code("cid@x.io") == "NOVECTOR"


@pytest.mark.parametrize("words,codes", [
    ((), "ERR SYNTAX"), (("K", 3), "SYNTAX"), (("UNLIKE", "p001"), "SYNTAX"),
    (("LIKE", "p001", "FROM", "shop_orders", "{}", "PATH", "a"), "SYNTAX"),
    (("UNLIKE", "p001", "FROM", "shop_orders", "{}", "PATH", "a"), "SYNTAX"),
    (("FROM", "shop_orders", "{}"), "SYNTAX"), (("LIKE", "p001", "PATH", "a"), "SYNTAX"),
    (("FROM", "shop_orders"), "SYNTAX"), (("FROM", "nosuch", "{}", "PATH", "a"), "NOTFOUND"),
    (("FROM", "shop_orders", "{", "PATH", "a"), "INVALID"),
    (("FROM", "shop_orders", "{}", "PATH", ""), "INVALID SYNTAX"),
    (("FROM", "shop_orders", "{}", "PATH", "a..b"), "INVALID"),
    (("LIKE", "nosuch"), "NOTFOUND"), (("LIKE", "p001", "UNLIKE", "nosuch"), "NOTFOUND"),
    (("LIKE", "p010"), "NOVECTOR"), (("LIKE", "p001", "UNLIKE", "p010"), "NOVECTOR"),
    (("LIKE", ""), "SYNTAX INVALID"), (("LIKE", "[]"), "SYNTAX INVALID"),
    (("LIKE", "[1]"), "SYNTAX INVALID"), (("LIKE", "p001", "UNLIKE", "p001"), "- INVALID"),
    (("LIKE", "p001", "ID", "p002"), "SYNTAX"), (("LIKE", "p001", "AT", 3), "SYNTAX"),
    (("LIKE", "p001", "FIELD", "stock"), "NOINDEX"), (("LIKE", "x" * 513), "LIMIT INVALID"),
], ids=lambda v: str(v)[:50])
def test_wrong_words(shop, words, codes):
    reply = shop.db.reply("RECOMMEND", shop.products, *words)
    if isinstance(reply, RespError):
        assert reply.code in codes.split(), reply.text
    else:
        assert codes.startswith("-"), reply


def test_likes_that_cancel_out(db, name):
    db.call("CREATE", name, json.dumps({"fields": {"v": vector_field(2, "cosine", SMALL)}}))
    for key, vector in {"east": [1, 0], "west": [-1, 0], "up": [0, 2], "far": [3, 0]}.items():
        db.call("PUT", name, key, json.dumps({"v": vector}))
    reply = db.reply("RECOMMEND", name, "LIKE", "east,west")
    assert reply.code == "INVALID" and reply.text.startswith("INVALID v")
    assert db.code("RECOMMEND", name, "LIKE", "east,west", "UNLIKE", "east,west") == "INVALID"
    assert Lookup(db.call("RECOMMEND", name, "LIKE", "east", "UNLIKE", "west")).ids == ["far", "up"]
    assert Lookup(db.call("RECOMMEND", name, "LIKE", "east", "UNLIKE", "far")).ids == ["up", "west"]


def test_far_away_likes_stay_within_bounds(db, name):
    for metric in ("ip", "l2"):
        own = name + metric
        db.call("CREATE", own, json.dumps({"fields": {"v": vector_field(
            2, metric, {"storage": "f16", "originals": "f16"})}}))
        for key, vector in {"a": [65504, 0], "b": [-65504, 0], "c": [1, 1]}.items():
            db.call("PUT", own, key, json.dumps({"v": vector}))
        assert Lookup(db.call("RECOMMEND", own, "LIKE", "a", "UNLIKE", "b")).ids == ["c"]


def test_the_rights_to_the_history_are_asked_for(server, shop, db3, name):
    user = "reader" + name
    db3.call("ALIAS", name + "alias", shop.orders)
    db3.call("ACL", "SETUSER", user, "on", ">p", f"~{shop.products}", f"~{name}*", "+@read")
    words = [shop.products, "FROM", shop.orders, BOUGHT % "ann@x.io", "PATH", "items.product_id"]
    with server.connect(2, user=user, password="p") as mine:
        assert mine.call("RECOMMEND", shop.products, "LIKE", "p001")
        for verb in ("RECOMMEND", "recommend"):
            for word in ("FROM", "from", "From"):
                for own in (shop.orders, name + "alias"):
                    changed = [verb, words[0], word, own, *words[3:]]
                    assert mine.code(*changed) == "NOPERM", changed
                    assert mine.code("EXPLAIN", *changed) == "NOPERM", changed
                    assert mine.code("explain", *changed) == "NOPERM", changed
        assert mine.code("RECOMMEND", shop.products, "K", "3", "PATH", "a", "FROM", shop.orders,
                         "{}") == "NOPERM"
        assert mine.code("SIMILAR", shop.orders, "ID", "o1") == "NOPERM"
    db3.call("ACL", "SETUSER", user, f"~{shop.orders}")
    with server.connect(2, user=user, password="p") as mine:
        assert as_map(mine.call("RECOMMEND", *words))["hits"]
    db3.call("ACL", "DELUSER", user)


def test_a_long_history_is_left_out_whole(db3, name):
    """More ids than one reply has hits, by orders large and small; all of them are known."""
    rng = random.Random(3)
    products, orders = name, name + "o"
    db3.call("CREATE", products, json.dumps({"fields": {
        "n": {"type": "int", "index": True}, "v": vector_field(8, "cosine", SMALL)}}))
    db3.call("CREATE", orders, '{"fields":{"who":{"type":"keyword","index":true}}}')
    db3.pipeline([("PUT", products, f"p{n}", json.dumps({"n": n}), "VEC", "v", pack(gauss(rng, 8)))
                  for n in range(3000)])
    bought = [f"p{n}" for n in range(2500)]
    db3.pipeline([("PUT", orders, f"o{n}", json.dumps(
        {"who": "bulk", "items": [{"p": p} for p in bought[n:n + 100]]}))
        for n in range(0, 2500, 100)])
    db3.pipeline([("PUT", orders, f"s{n}", json.dumps({"who": "often", "items": [{"p": p}]}))
                  for n, p in enumerate(bought)])
    for who in ("bulk", "often"):
        for words in ([], ["EXACT"], ["WHERE", '{"n":{"$gte":2400}}'], ["DIVERSE", 0.5]):
            answer = Lookup(db3.call(
                "RECOMMEND", products, "FROM", orders, json.dumps({"who": who}), "PATH", "items.p",
                "K", 10, *words))
            assert not set(answer.ids) & set(bought) and len(answer.hits) == 10, (who, words)
            assert set(answer.raw["based_on"]) == set(bought)
            assert answer.total == (600 if "WHERE" in words else 3000)
        none = Lookup(db3.call(
            "RECOMMEND", products, "FROM", orders, json.dumps({"who": who}), "PATH", "items.p",
            "WHERE", '{"n":{"$lt":2500}}'))
        assert none.hits == [] and none.total == 2500
    # Beyond the bound nothing is left out silently.
    db3.pipeline([("PUT", orders, f"b{n}", json.dumps(
        {"who": "all", "items": [{"p": f"x{n}-{m}"} for m in range(1000)]})) for n in range(11)])
    assert db3.code("RECOMMEND", products, "FROM", orders, '{"who":"all"}', "PATH", "items.p") == (
        "LIMIT")


def test_histories_of_numbers_and_of_ids(db, name):
    db.call("CREATE", name, json.dumps({"fields": {"v": vector_field(2, "cosine", SMALL)}}))
    for key, vector in {"1": [1, 0], "2": [1, 0.1], "3": [0, 1]}.items():
        db.call("PUT", name, key, json.dumps({"v": vector}))
    db.call("CREATE", name + "o", '{"fields":{"who":{"type":"keyword"}}}')
    db.call("PUT", name + "o", "3", '{"who":"ann","items":[{"p":1},{"p":[2,null]}]}')
    history = ("RECOMMEND", name, "FROM", name + "o", '{"who":"ann"}', "PATH")
    answer = Lookup(db.call(*history, "items.p"))
    assert answer.raw["based_on"] == ["1", "2"] and answer.ids == ["3"]
    answer = Lookup(db.call(*history, "_id"))
    assert answer.raw["based_on"] == ["3"] and answer.ids == ["2", "1"]

"""Random documents, filters and updates over untyped and typed fields."""

WORDS = ["red", "green", "blue", "Red", "", "a.b", "käse", "zz top", "10", "null"]
NUMBERS = [-3, -1, 0, 1, 2, 2.5, 3, 7, 10, 1000000, 0.5]


def maybe(rng, chance):
    return rng.random() < chance


class LooseDocuments:
    """Documents of mixed types, as a schemaless collection holds them.

    `flag` alone holds booleans and no field holds booleans and numbers: Python says True == 1.
    Keys of objects stand in alphabetic order: Python's dict equality does not see order.
    """

    def document(self, rng):
        doc = {}
        if maybe(rng, 0.8):
            doc["a"] = rng.choice([rng.choice(NUMBERS), rng.choice(NUMBERS), None,
                                   rng.choice(WORDS)])
        if maybe(rng, 0.7):
            doc["flag"] = rng.choice([True, False])
        if maybe(rng, 0.8):
            doc["n"] = self.nested(rng)
        if maybe(rng, 0.8):
            doc["t"] = [rng.choice(WORDS) for _ in range(rng.randrange(4))]
        if maybe(rng, 0.7):
            doc["e"] = [{"k": rng.choice(WORDS[:4]), "v": rng.choice(NUMBERS)}
                        for _ in range(rng.randrange(3))]
        if maybe(rng, 0.9):
            doc["s"] = rng.choice(WORDS)
        if maybe(rng, 0.9):
            doc["i"] = rng.randrange(-5, 6)
        if maybe(rng, 0.5):
            doc["m"] = [rng.choice(NUMBERS) for _ in range(rng.randrange(4))]
        return doc

    def nested(self, rng):
        if maybe(rng, 0.15):
            return None
        inner = {}
        if maybe(rng, 0.8):
            inner["x"] = rng.choice(NUMBERS)
        if maybe(rng, 0.8):
            inner["y"] = rng.choice(WORDS)
        return inner

    def scalar(self, rng, path):
        if path in ("a", "n.x", "e.v", "i", "m"):
            return rng.choice(NUMBERS)
        if path == "flag":
            return rng.choice([True, False])
        return rng.choice(WORDS)

    PATHS = ["a", "flag", "n.x", "n.y", "t", "e.k", "e.v", "s", "i", "m", "nosuch"]

    def filter(self, rng, depth=0):
        choice = rng.random()
        if depth < 3 and choice < 0.25:
            parts = [self.filter(rng, depth + 1) for _ in range(rng.randrange(1, 4))]
            return {rng.choice(["$and", "$or", "$nor"]): parts}
        query = {}
        for _ in range(rng.choice([1, 1, 2])):
            path = rng.choice(self.PATHS)
            query[path] = self.operand(rng, path)
        return query

    def operand(self, rng, path, inverted=False):
        kind = rng.randrange(14)
        value = self.scalar(rng, path)
        if kind == 0:
            return value
        if kind == 1:
            return None if path != "e.k" and path != "e.v" else value
        if kind == 2:
            return {rng.choice(["$eq", "$ne"]): value}
        if kind in (3, 4):
            return {rng.choice(["$gt", "$gte", "$lt", "$lte"]): value}
        if kind == 5:
            low, high = sorted([self.scalar(rng, "i"), self.scalar(rng, "i")])
            return {"$gte": low, "$lt": high}
        if kind == 6:
            return {rng.choice(["$in", "$nin"]): [self.scalar(rng, path)
                                                  for _ in range(rng.randrange(4))]}
        if kind == 7:
            return {"$exists": rng.choice([True, False])}
        if kind == 8 and path in ("t", "m"):
            return {"$all": [self.scalar(rng, path) for _ in range(rng.randrange(1, 3))]}
        if kind == 9 and path in ("t", "m"):
            return {"$size": rng.randrange(4)}
        if kind == 10 and path in ("t", "m"):
            return {"$elemMatch": {"$gte": value, "$ne": self.scalar(rng, path)}}
        if kind == 11 and not inverted:
            return {"$not": self.operator_only(rng, path)}
        if kind == 12 and path in ("s", "t", "n.y"):
            return {"$regex": rng.choice(["^r", "e", "^[Rr]ed$", "n$", "^a\\.", "z+ t", "^$"])}
        if path.startswith("e."):
            return {rng.choice(["$gt", "$lte"]): value}
        return {"$gte": value}

    def operator_only(self, rng, path):
        while True:
            operand = self.operand(rng, path, inverted=True)
            if isinstance(operand, dict):
                return operand

    def sort(self, rng):
        names = rng.sample(["a", "s", "i", "n.x", "n.y"], rng.randrange(1, 4))
        return [(name, rng.choice([1, -1])) for name in names]

    def projection(self, rng):
        names = rng.sample(["a", "flag", "n", "t", "s", "i"], rng.randrange(1, 4))
        if maybe(rng, 0.3):
            names[0] = "n.x" if "n" not in names else names[0]
        return names, rng.choice([True, False])

    def update(self, rng, document):
        """An update that fits the document's types, so that MongoDB would accept it."""
        makers = [
            lambda: ("$set", {rng.choice(["s", "new.deep.er", "w"]): rng.choice(WORDS)}),
            lambda: ("$set", {"e": [{"k": "red", "v": 1}]}),
            lambda: ("$unset", {rng.choice(["s", "a", "nosuch", "t"]): ""}),
            lambda: ("$inc", {"i": rng.randrange(-3, 4), "count.up": 2}),
            lambda: ("$mul", {"i": rng.choice([0, 2, -1])}),
            lambda: (rng.choice(["$min", "$max"]), {"i": rng.randrange(-5, 6)}),
            lambda: ("$push", {"t": rng.choice(WORDS)}),
            lambda: ("$push", {"t": {"$each": [rng.choice(WORDS), "x"]}}),
            lambda: ("$push", {"t": {"$each": ["p"], "$position": rng.randrange(3)}}),
            lambda: ("$push", {"t": {"$each": ["p", "q"], "$slice": rng.choice([-2, 3])}}),
            lambda: ("$addToSet", {"t": rng.choice(WORDS)}),
            # mongomock adds a value twice that stands twice in $each; MongoDB does not.
            lambda: ("$addToSet", {"t": {"$each": ["red", "new"]}}),
            lambda: ("$pull", {"t": rng.choice(WORDS)}),
            lambda: ("$pull", {"t": {"$in": ["red", "green"]}}),
            lambda: ("$pull", {"e": {"k": "red"}}),
            lambda: ("$pull", {"m": {"$gte": 2}}),
        ]
        update, used = {}, set()
        for _ in range(rng.randrange(1, 4)):
            name, change = rng.choice(makers)()
            roots = {path.split(".")[0] for path in change}
            if name not in update and not roots & used:
                update[name] = change
                used |= roots
        return update

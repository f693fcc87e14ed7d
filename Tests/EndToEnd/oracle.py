"""MongoDB's matching and ordering, written plainly over Python values.

It knows nothing of the server: a full scan with no index, no cleverness and exact numbers. Parse
documents with `loads` so that numbers stay exact.
"""

import functools
import json
import re
from decimal import Decimal

MISSING = object()


def loads(text):
    """JSON with exact numbers."""
    return json.loads(text, parse_float=Decimal)


def is_number(value):
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def rank(value):
    """The place of a value's type in MongoDB's order."""
    if value is MISSING or value is None:
        return 1
    if isinstance(value, bool):
        return 8
    if is_number(value):
        return 2
    if isinstance(value, str):
        return 3
    if isinstance(value, dict):
        return 4
    return 5


def compare(a, b):
    """-1, 0 or 1 in MongoDB's order of all values."""
    if rank(a) != rank(b):
        return -1 if rank(a) < rank(b) else 1
    kind = rank(a)
    if kind == 1:
        return 0
    if kind == 2:
        a, b = exact(a), exact(b)
    elif kind == 3:
        a, b = a.encode(), b.encode()
    elif kind == 4:
        for (name_a, value_a), (name_b, value_b) in zip(a.items(), b.items()):
            order = (compare_plain(rank(value_a), rank(value_b)) or compare(name_a, name_b)
                     or compare(value_a, value_b))
            if order:
                return order
        return compare_plain(len(a), len(b))
    elif kind == 5:
        for value_a, value_b in zip(a, b):
            order = compare(value_a, value_b)
            if order:
                return order
        return compare_plain(len(a), len(b))
    return compare_plain(a, b)


def compare_plain(a, b):
    return (a > b) - (a < b)


def exact(number):
    return Decimal(repr(number)) if isinstance(number, float) else number


order_key = functools.cmp_to_key(compare)


def equal(a, b):
    return compare(a, b) == 0


def walk(value, steps, inside_array=False):
    """Every value that a path reaches; MISSING where a branch ends early.

    As MongoDB: an array on the way is entered element by element, and a numeric step also indexes
    it. Elements that are not objects give nothing.
    """
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        if step in value:
            yield from walk(value[step], rest)
        else:
            yield MISSING
    elif isinstance(value, list):
        if step.isdigit() and int(step) < len(value):
            yield from walk(value[int(step)], rest)
        for element in value:
            if isinstance(element, dict):
                yield from walk(element, [step, *rest], True)
    else:
        yield MISSING


def candidates(document, path):
    """The values a condition is tried on: what the path reaches, and the elements of arrays."""
    for value in walk(document, path.split(".")):
        if isinstance(value, list):
            yield from value
        yield value


TYPES = {
    "double": lambda v: is_number(v) and not isinstance(v, int),
    "string": lambda v: isinstance(v, str), 2: lambda v: isinstance(v, str),
    "object": lambda v: isinstance(v, dict), 3: lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list), 4: lambda v: isinstance(v, list),
    "bool": lambda v: isinstance(v, bool), 8: lambda v: isinstance(v, bool),
    "null": lambda v: v is None, 10: lambda v: v is None,
    "number": is_number,
}


def in_order(value, operand, name):
    """$gt and its kin: only values of the operand's own type compare."""
    if value is MISSING and operand is not None:
        return False
    if rank(value) != rank(operand):
        return False
    order = compare(value, operand)
    return {"$gt": order > 0, "$gte": order >= 0, "$lt": order < 0, "$lte": order <= 0}[name]


def regex_matches(value, pattern, options):
    flags = 0
    for letter in options:
        flags |= {"i": re.I, "m": re.M, "s": re.S}[letter]
    return isinstance(value, str) and re.search(pattern, value, flags) is not None


def operator(document, path, name, operand, whole):
    """One operator of one path."""
    if name == "$eq":
        return any(equal(v, operand) for v in candidates(document, path))
    if name == "$ne":
        return not operator(document, path, "$eq", operand, whole)
    if name in ("$gt", "$gte", "$lt", "$lte"):
        return any(in_order(v, operand, name) for v in candidates(document, path))
    if name == "$in":
        return any(operator(document, path, "$eq", one, whole) for one in operand)
    if name == "$nin":
        return not operator(document, path, "$in", operand, whole)
    if name == "$not":
        return not condition(document, path, operand)
    if name == "$exists":
        found = any(v is not MISSING for v in walk(document, path.split(".")))
        return found == bool(operand)
    if name == "$type":
        kinds = operand if isinstance(operand, list) else [operand]
        return any(TYPES[kind](v) for v in candidates(document, path) for kind in kinds)
    if name == "$size":
        return any(isinstance(v, list) and len(v) == operand
                   for v in walk(document, path.split(".")))
    if name == "$all":
        return bool(operand) and all(
            operator(document, path, "$elemMatch", one["$elemMatch"], whole)
            if isinstance(one, dict) and "$elemMatch" in one
            else operator(document, path, "$eq", one, whole) for one in operand)
    if name == "$elemMatch":
        return any(isinstance(v, list) and any(element(e, operand) for e in v)
                   for v in walk(document, path.split(".")))
    if name == "$regex":
        options = whole.get("$options", "")
        return any(regex_matches(v, operand, options) for v in candidates(document, path))
    if name == "$options":
        return True
    raise AssertionError(f"no such operator {name}")


def element(value, operand):
    """One array element against the operand of $elemMatch."""
    if operand and all(name.startswith("$") and name not in ("$and", "$or", "$nor")
                       for name in operand):
        # The element itself: an array inside the array is not entered.
        return all(operator({"v": value}, "v", name, arg, operand)
                   for name, arg in operand.items())
    return isinstance(value, dict) and matches(operand, value)


def condition(document, path, operand):
    if isinstance(operand, dict) and any(name.startswith("$") for name in operand):
        return all(operator(document, path, name, arg, operand) for name, arg in operand.items())
    return operator(document, path, "$eq", operand, None)


def matches(query, document):
    """Whether a document (with its `_id`) matches a filter."""
    for name, operand in query.items():
        if name == "$and":
            good = all(matches(one, document) for one in operand)
        elif name == "$or":
            good = any(matches(one, document) for one in operand)
        elif name == "$nor":
            good = not any(matches(one, document) for one in operand)
        else:
            good = condition(document, name, operand)
        if not good:
            return False
    return True


def sort_value(document, path, direction):
    """The value a document sorts by: the least of an array upwards, the greatest downwards."""
    values = []
    for value in walk(document, path.split(".")):
        if isinstance(value, list):
            # An empty array sorts below null.
            values.extend([(1, v) for v in value] or [(0, None)])
        else:
            values.append((1, value))
    if not values:
        values = [(1, MISSING)]
    key = functools.cmp_to_key(
        lambda a, b: compare_plain(a[0], b[0]) or compare(a[1], b[1]))
    values.sort(key=key)
    return key(values[0] if direction > 0 else values[-1])


def sort_documents(documents, spec):
    """Sorted by [(path, direction)…], ties by id upwards."""
    ordered = sorted(documents, key=lambda d: d["_id"].encode())
    for path, direction in reversed(spec):
        ordered.sort(key=lambda d, p=path, w=direction: sort_value(d, p, w),
                     reverse=direction < 0)
    return ordered

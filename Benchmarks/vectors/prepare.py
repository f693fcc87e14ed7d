"""Prepares vector sets for the benchmark: base, held-out queries, exact answers, categories.

Each set is a folder of raw little-endian files that any language can read:

    base.f32       count x dimensions     the vectors to index
    query.f32      queries x dimensions   the vectors to ask for, none of them in the base
    truth.i32      queries x 100          exact nearest rows of the base, nearest first
    distance.f32   queries x 100          their distances (cosine: 1 - dot; l2: the squared one)
    category.i32   count                  a label of each row, for filters
    querycat.i32   queries                a label of each query (the nearest row's when unknown)
    meta.json      count, dimensions, metric, queries, origin (a sentence: what is real in it)

Sets made:
    minilm       100,000 x 384 cosine: product texts, widened (see `minilm`); another --count
                 makes another set, minilm-1000k for a million
    minilm-text  the same base asked with what shoppers typed: another distribution than the base
    images       60,000 x 784 L2: synthetic, in the shape of Fashion-MNIST (see `images`)
    low          100,000 x 32 L2: synthetic clusters of unequal size and density
    small        5,000 x 48 cosine: for tests of the benchmark itself
"""

import argparse
import json
import os
import subprocess

import numpy as np

TRUTH = 100


def exact(base, query, metric, k=TRUTH, block=200):
    """The k nearest rows of `base` for each row of `query`, by brute force.

    Candidates come from one float32 matrix product; the 2k best are then ordered by distances
    recomputed in float64, so that ties and rounding of the product do not decide.
    Returns (ids int32, distances float32), each queries x k.
    """
    ids = np.empty((len(query), k), np.int32)
    distances = np.empty((len(query), k), np.float32)
    squares = (base.astype(np.float64) ** 2).sum(1).astype(np.float32)
    wide = min(2 * k, len(base) - 1)
    for start in range(0, len(query), block):
        part = query[start : start + block]
        dots = part @ base.T
        rough = -dots if metric == "cosine" else squares[None, :] - 2 * dots
        found = np.argpartition(rough, wide, axis=1)[:, :wide]
        for row, candidates in enumerate(found):
            rows = base[candidates].astype(np.float64)
            one = part[row].astype(np.float64)
            fine = 1 - rows @ one if metric == "cosine" else ((rows - one) ** 2).sum(1)
            order = np.lexsort((candidates, fine))[:k]
            ids[start + row] = candidates[order]
            distances[start + row] = fine[order]
    return ids, distances


def save(folder, base, query, metric, category, querycat, origin, truth=None):
    """Writes one set; the answers are computed unless given."""
    os.makedirs(folder, exist_ok=True)
    ids, distances = truth or exact(base, query, metric)
    if querycat is None:
        querycat = category[ids[:, 0]]
    for name, array, kind in (
        ("base.f32", base, "<f4"),
        ("query.f32", query, "<f4"),
        ("truth.i32", ids, "<i4"),
        ("distance.f32", distances, "<f4"),
        ("category.i32", category, "<i4"),
        ("querycat.i32", querycat, "<i4"),
    ):
        np.ascontiguousarray(array, kind).tofile(os.path.join(folder, name))
    meta = {
        "count": int(base.shape[0]),
        "dimensions": int(base.shape[1]),
        "queries": int(query.shape[0]),
        "metric": metric,
        "origin": origin,
    }
    with open(os.path.join(folder, "meta.json"), "w", encoding="utf-8") as file:
        json.dump(meta, file, indent=1)
    print(os.path.basename(folder), json.dumps(meta), flush=True)


def unit(rows):
    """The rows scaled to length 1, as float32."""
    rows = rows.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def departments(source, ids):
    """A label per product id: its catalogue and the first step of its category path.

    Labels are numbered by falling size, so label 0 is the largest department.
    """
    text = subprocess.run(
        ["zstd", "-dc", os.path.join(source, "products.jsonl.zst")],
        check=True,
        capture_output=True,
    ).stdout
    names = {}
    for line in text.splitlines():
        product = json.loads(line)
        first = (product.get("category") or "").split(" > ")[0]
        names[product["id"]] = (product["source"], first)
    keys = [names.get(one, ("", "")) for one in ids]
    sizes = {}
    for key in keys:
        sizes[key] = sizes.get(key, 0) + 1
    rank = {key: n for n, key in enumerate(sorted(sizes, key=lambda k: (-sizes[k], k)))}
    return np.array([rank[key] for key in keys], np.int32)


def widen(rows, category, count, rng):
    """Adds rows until there are `count`: each lies between two real neighbours.

    A new row is a point at 0.3-0.7 of the way from a random real row to one of that row's 10
    nearest, so it keeps to the data's surface, and takes the first one's label. It is not a
    product: a set so widened is slightly easier than as many real products would be.
    """
    missing = max(count - len(rows), 0)
    parents = rng.choice(len(rows), missing, replace=missing > len(rows))
    distinct, place = np.unique(parents, return_inverse=True)
    near, _ = exact(rows, rows[distinct], "cosine", k=11)
    other = near[place, rng.integers(1, 11, missing)]
    share = rng.uniform(0.3, 0.7, (missing, 1)).astype(np.float32)
    added = unit(rows[parents] * (1 - share) + rows[other] * share)
    all_rows = np.concatenate([rows, added])
    labels = np.concatenate([category, category[parents]])
    order = rng.permutation(len(all_rows))[:count]
    return all_rows[order], labels[order]


def minilm(source, target, count):
    """Product embeddings: 2,000 held out as queries, the rest widened to `count` rows."""
    rng = np.random.default_rng(384)
    rows = unit(np.load(os.path.join(source, "products-minilm-f16.npy")))
    with open(os.path.join(source, "products-minilm-ids.txt"), encoding="utf-8") as file:
        ids = file.read().split("\n")[: len(rows)]
    category = departments(source, ids)
    held = rng.permutation(len(rows))
    query, rest = held[:2000], held[2000:]
    base, labels = widen(rows[rest], category[rest], count, rng)
    real = len(rest)
    origin = (
        f"{min(real, count)} all-MiniLM-L6-v2 embeddings of real products and "
        f"{max(count - real, 0)} points between neighbouring ones; queries: 2,000 real products "
        "held out"
    )
    name = "minilm" if count == 100000 else f"minilm-{count // 1000}k"
    save(
        os.path.join(target, name),
        base,
        rows[query],
        "cosine",
        labels,
        category[query],
        origin,
    )
    if count != 100000:
        return
    typed = unit(np.load(os.path.join(source, "queries-minilm-f16.npy")))
    origin = origin.split(";", maxsplit=1)[0] + "; queries: what shoppers typed, same model"
    save(os.path.join(target, "minilm-text"), base, typed, "cosine", labels, None, origin)


def images(target, count=60000, queries=2000):
    """784-d L2 rows in the shape of Fashion-MNIST: synthetic.

    10 classes; a class is a smooth 28 x 28 outline bent by 12 latent factors of falling weight
    (smooth fields times a sine of the factor), textured by 6 more, cut to 0...255 and rounded:
    non-negative, many zeros, neighbouring pixels alike, intrinsic dimension near 15.
    """
    rng = np.random.default_rng(784)
    total = count + queries

    def fields(n, coarse):
        grid = np.linspace(0, coarse - 1, 28)
        low = np.minimum(grid.astype(int), coarse - 2)
        mix = np.zeros((28, coarse), np.float32)
        mix[np.arange(28), low] = 1 - (grid - low)
        mix[np.arange(28), low + 1] += grid - low
        return (mix @ rng.normal(size=(n, coarse, coarse)) @ mix.T).reshape(n, 784)

    labels = rng.integers(0, 10, total).astype(np.int32)
    rows = np.empty((total, 784), np.float32)
    for label in range(10):
        mine = np.flatnonzero(labels == label)
        outline = fields(1, 5)[0] * 160
        bend, grain = fields(12, 6), fields(6, 14)
        weight = 90.0 * 0.85 ** np.arange(12)
        factors = rng.normal(size=(len(mine), 12))
        bent = (np.sin(1.3 * factors) + 0.3 * factors) * weight
        fine = rng.normal(size=(len(mine), 6)) * 18
        pixels = outline + bent @ bend + fine @ grain + rng.normal(size=(len(mine), 784)) * 3
        rows[mine] = np.clip(np.rint(pixels), 0, 255)
    origin = "synthetic, in the shape of Fashion-MNIST (10 classes of bent smooth images)"
    save(
        os.path.join(target, "images"),
        rows[:count],
        rows[count:],
        "l2",
        labels[:count],
        labels[count:],
        origin,
    )


def low(target, count=100000, queries=2000):
    """32-d L2 rows: 200 synthetic clusters, sizes by a power law, spreads over a decade."""
    rng = np.random.default_rng(32)
    total = count + queries
    share = 1 / np.arange(1, 201) ** 0.8
    labels = rng.choice(200, total, p=share / share.sum()).astype(np.int32)
    centres = rng.normal(size=(200, 32))
    spread = 10 ** rng.uniform(-1, 0, 200)
    rows = (centres[labels] + rng.normal(size=(total, 32)) * spread[labels, None]).astype(
        np.float32
    )
    origin = "synthetic: 200 Gaussian clusters of unequal size and spread"
    save(
        os.path.join(target, "low"),
        rows[:count],
        rows[count:],
        "l2",
        labels[:count],
        labels[count:],
        origin,
    )


def small(target, count=5000, queries=200):
    """48-d cosine rows in 20 synthetic clusters: seconds to run, for tests."""
    rng = np.random.default_rng(48)
    total = count + queries
    labels = rng.integers(0, 20, total).astype(np.int32)
    rows = unit(rng.normal(size=(20, 48))[labels] + 0.6 * rng.normal(size=(total, 48)))
    save(
        os.path.join(target, "small"),
        rows[:count],
        rows[count:],
        "cosine",
        labels[:count],
        labels[count:],
        "synthetic: 20 clusters on the sphere",
    )


def main():
    """Makes the sets that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("target", help="folder to write the sets to")
    parser.add_argument("--source", help="folder of products-minilm-f16.npy and its companions")
    parser.add_argument("--count", type=int, default=100000, help="rows of the product set")
    parser.add_argument("--sets", default="small,minilm,images,low", help="which to make")
    options = parser.parse_args()
    wanted = options.sets.split(",")
    if "small" in wanted:
        small(options.target)
    if "minilm" in wanted:
        if not options.source:
            parser.error("the product set needs --source")
        minilm(options.source, options.target, options.count)
    if "images" in wanted:
        images(options.target)
    if "low" in wanted:
        low(options.target)


if __name__ == "__main__":
    main()

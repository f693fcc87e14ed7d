"""What happens beside plain search: filters, deletions, and everything replaced many times.

Each function returns (results, Markdown text). A worker that cannot do a thing is left out.
"""

import os

import numpy as np

import figures
import prepare

SELECTIVITIES = (0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0)
ASKED = 500


def calm_ef(options, data, worker, wanted=0.99):
    """The smallest ef whose unfiltered recall is at least `wanted` (else the largest)."""
    for ef in options.efs:
        _, found = worker.search(options.k, ef)
        if data.recall(found, options.k) >= wanted:
            return ef
    return options.efs[-1]


def bitmap(mask):
    """A mask as 64-bit words, row i at bit i % 64 of word i / 64, a whole number of 8 words."""
    padded = np.zeros((len(mask) + 511) // 512 * 512, bool)
    padded[: len(mask)] = mask
    return np.packbits(padded, bitorder="little").view("<u8")


def filters(data, k):
    """(name, mask over rows, query numbers) of every filtered run."""
    rng = np.random.default_rng(7)
    asked = np.arange(min(ASKED, len(data.query)))
    for share in SELECTIVITIES:
        mask = np.zeros(len(data.base), bool)
        mask[rng.choice(len(mask), max(int(share * len(mask)), 1), replace=False)] = True
        yield f"random {share:.2%}", mask, asked
    sizes = np.bincount(data.category)
    for share in (0.2, 0.05, 0.01):
        label = int(np.abs(sizes - share * len(data.base)).argmin())
        if sizes[label] < k:
            continue
        mask = data.category == label
        others = np.flatnonzero(data.querycat != label)[:ASKED]
        yield f"away {mask.mean():.2%}", mask, others
        own = np.flatnonzero(data.querycat == label)[:ASKED]
        if len(own) >= 20:
            yield f"toward {mask.mean():.2%}", mask, own


def filtered(options, data, workers):
    """Filtered search: random sets of rows, and one category asked from outside and inside.

    "away": the matching rows are another category than the query's; "toward": its own.
    """
    efs, results, rows = {}, [], []
    for worker in workers:
        efs[worker.name] = calm_ef(options, data, worker)
    for name, mask, asked in filters(data, options.k):
        query = np.ascontiguousarray(data.query[asked])
        path = os.path.join(options.scratch, "asked.f32")
        query.tofile(path)
        words = os.path.join(options.scratch, "filter.u64")
        bitmap(mask).tofile(words)
        matching = np.flatnonzero(mask)
        k = min(options.k, len(matching))
        _, distance = (
            prepare.exact(data.base[matching], query, data.metric, k=k)
            if len(matching) > 2 * k
            else whole(data, matching, query, k)
        )
        for worker in workers:
            common = {"queries": path, "repeat": options.rounds, "least": 0.1}
            ef = efs[worker.name]
            plain, _ = worker.search(options.k, ef, **common)
            got = worker.search(options.k, ef, filter=words, match=len(matching), **common)
            if got is None:
                continue
            answer, found = got
            wrong = int((~mask[found[found >= 0]]).sum())
            full = float(((found >= 0).sum(1) >= k).mean())
            recall = figures.recall(found, data.base, query, distance, data.metric, k)
            rate, before = answer["rate"], plain["rate"]
            results.append(
                {
                    "filter": name,
                    "matches": len(matching),
                    "index": worker.name,
                    "ef": ef,
                    "recall": recall,
                    "rate": rate,
                    "unfiltered_rate": before,
                    "wrong": wrong,
                    "answers_with_k": full,
                }
            )
            rows.append(
                [
                    name,
                    worker.name,
                    ef,
                    figures.number(recall, 4),
                    figures.number(rate),
                    figures.ratio(rate, before),
                    f"{full:.1%}",
                    wrong,
                ]
            )
    head = ["filter", "index", "ef", "recall", "q/s", "to unfiltered", "with k", "wrong"]
    return results, figures.table(head, rows)


def whole(data, matching, query, k):
    """Exact answers over a handful of rows."""
    rows = data.base[matching].astype(np.float64)
    if data.metric == "cosine":
        distances = 1 - query.astype(np.float64) @ rows.T
    else:
        distances = ((query[:, None].astype(np.float64) - rows[None]) ** 2).sum(2)
    return None, np.sort(distances, axis=1)[:, :k]


def points(options, data, asked, distance, query):
    """(recall, rate) at each ef for each (worker, vectors of its rows) of `asked`, in turns."""
    out = [[] for _ in asked]
    path = os.path.join(options.scratch, "asked.f32")
    np.ascontiguousarray(query).tofile(path)
    for ef in options.efs:
        for curve, (worker, base) in zip(out, asked, strict=True):
            answer, found = worker.search(
                options.k, ef, queries=path, repeat=options.rounds, least=0.1
            )
            recall = figures.recall(found, base, query, distance, data.metric, options.k)
            curve.append((recall, answer["rate"]))
        if min(curve[-1][0] for curve in out) > 0.995:
            break
    return out


def both(curve):
    """Cells of a table: rates at recall 0.95 and 0.99."""
    return [figures.at_recall(curve, wanted) for wanted in (0.95, 0.99)]


def delete(options, data, workers):
    """Half of the rows go, in random order; then the rest is searched.

    The rate and the recall are compared with the same index before. Deleted rows that come back
    are counted: there must be none.
    """
    rng = np.random.default_rng(11)
    gone = rng.permutation(len(data.base))[: len(data.base) // 2].astype("<i4")
    path = os.path.join(options.scratch, "gone.i32")
    gone.tofile(path)
    kept = np.setdiff1d(np.arange(len(data.base)), gone)
    query = data.query[:ASKED]
    _, distance = prepare.exact(data.base[kept], query, data.metric, k=options.k)
    results, rows = [], []
    for worker in workers:
        asked = [(worker, data.base)]
        before = points(options, data, asked, data.distance[:ASKED], query)[0]
        answer = worker.ask(op="delete", rows=path)
        if answer.get("unsupported"):
            continue
        after = points(options, data, asked, distance, query)[0]
        _, found = worker.search(options.k, options.efs[-1])
        back = int(np.isin(found, gone).sum())
        results.append(
            {"index": worker.name, "before": before, "after": after, "came_back": back, **answer}
        )
        was, now = both(before), both(after)
        rows.append(
            [worker.name, figures.number(answer["seconds"], 1)]
            + [
                cell
                for a, b in zip(was, now, strict=True)
                for cell in (figures.number(a), figures.number(b), figures.ratio(b, a))
            ]
            + [back]
        )
        restore(options, data, worker, gone)
    head = [
        "index",
        "seconds",
        "0.95 before",
        "after",
        "ratio",
        "0.99 before",
        "after",
        "ratio",
        "came back",
    ]
    return results, figures.table(head, rows)


def restore(options, data, worker, gone):
    """Puts deleted rows back, so that the next scenario finds all of them."""
    rows = os.path.join(options.scratch, "rows.i32")
    vectors = os.path.join(options.scratch, "vectors.f32")
    np.ascontiguousarray(gone, "<i4").tofile(rows)
    np.ascontiguousarray(data.base[gone]).tofile(vectors)
    worker.ask(op="restore", rows=rows, vectors=vectors)


def churn(options, data, workers):
    """Every row replaced by another row's vector, `churn_rounds` times over.

    The vectors stay the same set, so the exact answers stay right up to the renaming of rows. The
    index is then measured in turns with a twin that was built afresh.
    """
    results, rows = [], []
    query = data.query[:ASKED]
    for worker in workers:
        rng = np.random.default_rng(13)
        seconds, order, answer = 0.0, np.arange(len(data.base)), None
        for _ in range(options.churn_rounds):
            order = rng.permutation(len(data.base))
            answer = replaced(options, data, worker, order, rng)
            if answer is None:
                break
            seconds += answer["seconds"]
        if answer is None:
            continue
        twin = worker.twin()
        asked = [(twin, data.base), (worker, data.base[order])]
        fresh, churned = points(options, data, asked, data.distance[:ASKED], query)
        twin.end()
        first = twin.built["bytes"]
        results.append(
            {
                "index": worker.name,
                "fresh": fresh,
                "churned": churned,
                "fresh_bytes": first,
                "bytes": answer["bytes"],
                "seconds": seconds,
            }
        )
        cells = [
            cell
            for a, b in zip(both(fresh), both(churned), strict=True)
            for cell in (figures.number(a), figures.number(b), figures.ratio(b, a))
        ]
        loss = max(a[0] - b[0] for a, b in zip(fresh, churned, strict=True))
        rows.append(
            [worker.name, figures.number(seconds, 1), *cells, f"{loss:.4f}"]
            + [figures.ratio(answer["bytes"], first)]
        )
    head = ["index", "seconds", "0.95 fresh", "churned", "ratio", "0.99 fresh", "churned", "ratio"]
    return results, figures.table([*head, "most recall lost", "bytes"], rows)


def replaced(options, data, worker, order, rng):
    """One round: row i gets the vector of row order[i], rows in random order."""
    sequence = rng.permutation(len(order)).astype("<i4")
    rows = os.path.join(options.scratch, "rows.i32")
    vectors = os.path.join(options.scratch, "vectors.f32")
    sequence.tofile(rows)
    np.ascontiguousarray(data.base[order[sequence]]).tofile(vectors)
    answer = worker.ask(op="replace", rows=rows, vectors=vectors)
    return None if answer.get("unsupported") else answer


SECTIONS = {"filter": filtered, "delete": delete, "churn": churn}

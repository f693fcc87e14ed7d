"""Restarts, shard counts, RESHARD, compaction, retention, TLS: the data directory's life."""

import json
import pathlib
import random
import ssl
import struct
import subprocess
import time

import pytest

from aisle_resp import RespError, as_map, find
from aisle_server import PATIENCE, Server, run_aisle
from test_schema import flat, job_of, wait_for_job

SCHEMA = json.dumps({"fields": {
    "sku": {"type": "keyword", "unique": True}, "price": {"type": "decimal", "scale": 2,
                                                         "index": True, "sort": True},
    "cat": {"type": "keyword", "index": True, "facet": True},
    "tags": {"type": "keyword", "array": True, "index": True, "facet": True},
    "v": {"type": "vector", "dimensions": 2, "metric": "l2"}}})
QUESTIONS = [
    ["{}", "SORT", "price:-1", "LIMIT", "50", "FACET", "cat,tags", "STATS", "price BY cat"],
    ['{"cat":"a","price":{"$gte":10,"$lt":500}}', "SORT", "price", "LIMIT", "30"],
    ['{"tags":{"$all":["x","y"]}}', "SORT", "cat,price", "SKIP", "5", "LIMIT", "20"],
    ['{"$or":[{"sku":"s7"},{"price":{"$lt":5}}]}', "SORT", "_id:-1", "LIMIT", "100"],
]


def fill(db, count=1200):
    rng = random.Random(9)
    db.call("CREATE", "products", SCHEMA)
    db.pipeline([("PUT", "products", f"p{n}", json.dumps(
        {"sku": f"s{n}", "price": f"{rng.randrange(100000) / 100:.2f}",
         "cat": rng.choice("abc"), "tags": rng.sample("xyz", rng.randrange(4)), "v": [1, n]}))
        for n in range(count)])
    db.pipeline([("PATCH", "products", f"p{n}", '{"price":"1.00"}') for n in range(0, count, 7)])
    db.pipeline([("REMOVE", "products", f"p{n}") for n in range(0, count, 11)])
    db.call("ALIAS", "live", "products")


def answers(db):
    """The replies to QUESTIONS without versions and times."""
    out = []
    for question in QUESTIONS:
        words = [w for part in question for w in (
            [part] if part[0] in "{[" else part.split(" "))]
        answer = find(db, "live", *words)
        out.append((answer.total, answer.ids, [h["doc"] for h in answer.hits],
                    answer.facets, answer.stats))
    return out


def test_all_is_there_after_a_restart_and_after_a_kill(own_server):
    server = own_server("--shards", "2")
    with server.connect(3) as db:
        fill(db)
        before = answers(db)
        described = flat(db.call("DESCRIBE", "products"))
        version = find(db, "live", "{}").version
    for kill in (False, True, True):
        server.restart(kill=kill)
        with server.connect(3) as db:
            assert answers(db) == before
            assert len(flat(db.call("DESCRIBE", "products"))) == len(described)
            assert find(db, "live", "{}").version >= version
            assert db.code("PUT", "products", "new", '{"sku":"s1"}') == "DUPLICATE"
            assert as_map(db.call("PUT", "products", "p1x", "{}"))["version"] > version
            db.call("REMOVE", "products", "p1x")
            got = json.loads(db.call("FETCH", "products", "p1", "FIELDS", "v"))
            assert got == {"v": [1, 1]}


def test_any_shard_count_gives_the_same_answers(own_server):
    server = own_server("--shards", "1", "--partitions", "4")
    with server.connect(3) as db:
        fill(db)
        before = answers(db)
    for shards in ("2", "3", "7", "1"):
        server.restart("--shards", shards)
        with server.connect(3) as db:
            assert answers(db) == before, f"{shards} shards"


def test_any_partition_count_gives_the_same_answers(own_server):
    seen = []
    for partitions in ("1", "2", "5"):
        server = own_server("--shards", "2", "--partitions", partitions)
        with server.connect(3) as db:
            fill(db)
            seen.append(answers(db))
        server.remove()
    assert seen[0] == seen[1] == seen[2]


def test_reshard_switches_while_serving(own_server):
    server = own_server("--shards", "2", "--partitions", "2")
    with server.connect(3) as db:
        fill(db)
        before = answers(db)
        for partitions in ("5", "1", "3"):
            job = job_of(db.call("RESHARD", partitions))
            assert answers(db) == before
            wait_for_job(db, job)
            assert answers(db) == before
            assert f"partitions:{partitions}" in db.call("INFO", "everything").replace(" ", "")
        assert db.reply("RESHARD", "0").code in ("INVALID", "LIMIT")
    server.restart(kill=True)
    with server.connect(3) as db:
        assert answers(db) == before
        assert "partitions:3" in db.call("INFO", "everything").replace(" ", "")


def test_an_index_build_resumes_after_a_kill(own_server):
    server = own_server()
    with server.connect(3) as db:
        db.call("CREATE", "c", '{"fields":{}}')
        for start in range(0, 30_000, 1000):
            db.pipeline([("PUT", "c", str(n), json.dumps({"a": n})) for n in
                         range(start, start + 1000)])
        db.call("ALTER", "c", '{"add":{"a":{"type":"int","index":true}}}')
    server.restart(kill=True)
    with server.connect(3) as db:
        counted = db.reply("COUNT", "c", '{"a":{"$lt":500}}')
        while isinstance(counted, RespError) and counted.code == "BUSY":
            # The change begins anew behind the ready line, and lookups that it meets are retried.
            counted = db.reply("COUNT", "c", '{"a":{"$lt":500}}')
        assert counted == 500
        end = time.monotonic() + 60 * PATIENCE
        while "building" in flat(db.call("DESCRIBE", "c")) and time.monotonic() < end:
            time.sleep(0.05)
        assert "ready" in flat(db.call("DESCRIBE", "c"))
        assert db.code("PUT", "c", "x", '{"a":"word"}') == "INVALID"


def test_overdue_documents_are_gone_before_ready(own_server):
    server = own_server()
    with server.connect(3) as db:
        db.call("CREATE", "c", SCHEMA)
        db.pipeline([("PUT", "c", str(n), json.dumps({"sku": f"s{n}"}), "TTL", "700ms")
                     for n in range(200)])
        db.call("PUT", "c", "stays", '{"sku":"s"}', "TTL", "1h")
    server.kill()
    time.sleep(0.8)
    server.start()
    with server.connect(3) as db:
        assert db.call("COUNT", "c", "{}") == 1
        assert db.call("FETCH", "c", "5") is None
        db.call("PUT", "c", "new", '{"sku":"s5"}')


def test_a_version_behind_the_horizon_is_a_gap(own_server):
    server = own_server("--retention", "1s")
    with server.connect(3) as db:
        db.call("CREATE", "c", '{"fields":{}}')
        first = as_map(db.call("PUT", "c", "1", '{"n":0}'))["version"]
        assert db.call("FETCH", "c", "1", "AT", first) == '{"n":0}'
        end = time.monotonic() + 20 * PATIENCE
        while time.monotonic() < end:
            db.pipeline([("PUT", "c", "1", json.dumps({"n": n})) for n in range(1, 200)])
            reply = db.reply("FETCH", "c", "1", "AT", first)
            if isinstance(reply, RespError):
                break
            time.sleep(0.2)
        assert isinstance(reply, RespError) and reply.code == "GAP", reply
        assert db.code("COUNT", "c", "{}", "AT", first) == "GAP"


def test_the_file_stays_within_its_bound_under_rewriting(own_server, tmp_path):
    server = own_server("--retention", "1s")
    rng = random.Random(3)
    with server.connect(3) as db:
        db.call("CREATE", "c", '{"fields":{"n":{"type":"int","index":true}}}')
        documents = 2000
        pad = "x" * 900
        for number in range(20):
            order = rng.sample(range(documents), documents)
            for start in range(0, documents, 100):
                db.pipeline([("PUT", "c", str(n), json.dumps({"n": number, "pad": pad}))
                             for n in order[start:start + 100]])
            time.sleep(0.15)
        assert db.call("COUNT", "c", '{"n":19}') == documents
    live = documents * 950
    used = sum(p.stat().st_blocks * 512 for p in
               pathlib.Path(server.data).rglob("*") if p.is_file())
    # The contract says three times the live bytes; retention holds a second of writes besides.
    assert used < 3 * live + 12_000_000, f"{used} bytes for {live} live"
    server.stop()
    done = run_aisle("compact", "--data", server.data)
    assert done.returncode == 0, done.stderr
    assert run_aisle("verify", "--data", server.data).returncode == 0
    server.start()
    with server.connect(3) as db:
        assert db.call("COUNT", "c", '{"n":19}') == documents


def test_two_servers_never_open_one_directory(own_server):
    server = own_server()
    second = Server(server.data)
    second.start(expect_ready=False)
    assert second.process.wait(20 * PATIENCE) == 3
    second.kill()
    with server.connect() as db:
        assert db.call("PING") == "PONG"


def test_vectors_are_kept_under_durability_interval(own_server):
    """In the tail that waits for the disk, in the log, behind a patch and after a restart."""
    server = own_server("--durability", "interval:400ms")
    schema = json.dumps({"fields": {"v": {"type": "vector", "dimensions": 2, "metric": "l2"},
                                    "n": {"type": "int", "index": True}}})

    def vector(db, id):
        return json.loads(db.call("FETCH", "c", id, "FIELDS", "n,v"))

    with server.connect(3) as db:
        db.call("CREATE", "c", schema)
        for n in range(50):
            db.call("PUT", "c", f"d{n}", json.dumps({"n": n}), "VEC", "v",
                    struct.pack("<2f", n, 0.5))
            assert vector(db, f"d{n}") == {"n": n, "v": [n, 0.5]}
            # It refers to the vector of an entry that may still wait for the disk.
            db.call("PATCH", "c", f"d{n}", '{"$inc":{"n":100}}')
            assert vector(db, f"d{n}") == {"n": n + 100, "v": [n, 0.5]}
        db.call("PUT", "c", "d0", '{"n":-1,"v":[7,8]}')
        assert vector(db, "d0") == {"n": -1, "v": [7, 8]}
        time.sleep(1)
        for n in range(1, 50):
            assert vector(db, f"d{n}") == {"n": n + 100, "v": [n, 0.5]}
        assert vector(db, "d0") == {"n": -1, "v": [7, 8]}
    for kill in (True, False):
        server.restart(kill=kill)
        with server.connect(3) as db:
            for n in range(1, 50):
                assert vector(db, f"d{n}") == {"n": n + 100, "v": [n, 0.5]}
            assert vector(db, "d0") == {"n": -1, "v": [7, 8]}


def test_a_paused_job_keeps_its_place_and_lets_others_run(own_server):
    server = own_server("--partitions", "2")
    count = 20_000

    def jobs(db):
        return {job["id"]: job for job in map(as_map, db.call("JOBS"))}

    with server.connect(3) as db:
        db.call("CREATE", "c", '{"fields":{"n":{"type":"int","index":true}}}')
        for start in range(0, count, 2000):
            db.pipeline([("PUT", "c", str(n), json.dumps({"n": n}))
                         for n in range(start, start + 2000)])
        # Both at once: it is paused before it can be done.
        job = job_of(db.call("RESHARD", "5"))
        if db.reply("JOBS", "PAUSE", job) != "OK" or jobs(db)[job]["state"] != "running":
            pytest.fail("the job ended before it could be paused")
        end = time.monotonic() + 10 * PATIENCE
        while jobs(db)[job]["text"] != "paused":
            assert time.monotonic() < end
            time.sleep(0.01)
        seen = jobs(db)[job]
        assert 0 < seen["done"] < seen["of"] and seen["of"] >= count
        lines = db.call("INFO", "jobs").splitlines()
        assert any(line.startswith(f"job{job}:kind=RESHARD") and f"done={seen['done']}" in line
                   and "state=paused" in line for line in lines), lines
        wait_for_job(db, job_of(db.call("COMPACT")))
        wait_for_job(db, job_of(db.call("ALTER", "c", '{"set":{"n":{"sort":true}}}')))
        assert jobs(db)[job]["text"] == "paused"
        db.call("JOBS", "RESUME", job)
        wait_for_job(db, job)
        assert jobs(db)[job]["done"] == jobs(db)[job]["of"]
        assert as_map(db.call("DESCRIBE", "c"))["partitions"] == 5
        assert not any(line.startswith("job") for line in db.call("INFO", "jobs").splitlines())
        assert db.call("COUNT", "c", '{"n":{"$gte":0}}') == count


def test_durability_interval(own_server):
    server = own_server("--durability", "interval:200ms")
    with server.connect(3) as db:
        db.call("CREATE", "c", '{"fields":{"n":{"type":"int","index":true}}}')
        db.pipeline([("PUT", "c", str(n), json.dumps({"n": n})) for n in range(500)])
        assert db.call("COUNT", "c", '{"n":{"$gte":0}}') == 500
        assert db.call("FETCH", "c", "499") == '{"n":499}'
        time.sleep(1)
    server.restart(kill=True)
    with server.connect(3) as db:
        assert db.call("COUNT", "c", "{}") == 500


def test_a_fresh_server_refuses_foreign_hosts_without_a_password(tmp_path):
    server = Server(tmp_path / "data", "--bind", "0.0.0.0")
    try:
        server.start()
    except RuntimeError:
        return  # Refusing to start is a refusal too.
    try:
        with server.connect() as db:
            assert db.call("PING") == "PONG"
    finally:
        server.remove()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, capture_output=True)
    return str(cert), str(key)


def test_tls(own_server, certificate):
    cert, key = certificate
    server = own_server("--tls-cert", cert, "--tls-key", key)
    context = ssl.create_default_context(cafile=cert)
    with server.connect(3, tls=context) as db:
        db.call("CREATE", "c", '{"fields":{}}')
        db.pipeline([("PUT", "c", str(n), '{"pad":"%s"}' % ("x" * 2000)) for n in range(200)])
        assert db.call("COUNT", "c", "{}") == 200
        assert len(find(db, "c", "{}", "LIMIT", "200").hits) == 200
    done = subprocess.run(["redis-cli", "--tls", "--cacert", cert, "-p", str(server.port),
                           "-h", "localhost", "COUNT", "c", "{}"], capture_output=True, text=True,
                          timeout=60)
    assert done.stdout.strip() in ("200", "(integer) 200"), done.stderr
    plain = server.connect(timeout=5)
    try:
        assert not isinstance(plain.reply("PING"), str)
    except Exception:  # noqa: BLE001 - any refusal will do
        pass
    with server.connect(2, unix=True) as db:
        assert db.call("COUNT", "c", "{}") == 200

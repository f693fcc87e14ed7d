"""The commands that Redis owns, health, metrics and what operators see."""

import json
import threading
import time
import urllib.error
import urllib.request

import pytest

from aisle_resp import Closed, RespError, as_map, encode, find
from test_schema import flat


def info(db, *sections):
    """INFO as {section: {name: value}}."""
    parsed, section = {}, None
    for line in db.call("INFO", *sections).splitlines():
        if line.startswith("#"):
            section = parsed.setdefault(line[1:].strip().lower(), {})
        elif ":" in line:
            name, value = line.split(":", 1)
            section[name] = value
    return parsed


def test_info_sections(server, db, name):
    db.call("CREATE", name, '{"fields":{"a":{"type":"int","index":true}}}')
    db.call("PUT", name, "1", '{"a":1}')
    everything = info(db)
    assert {"server", "clients", "memory", "stats", "cpu"} <= set(everything)
    assert int(everything["server"]["process_id"]) == server.process.pid
    assert int(everything["clients"]["connected_clients"]) >= 1
    assert int(everything["memory"]["used_memory"]) > 0
    assert int(everything["stats"]["total_commands_processed"]) > 0
    assert set(info(db, "server")) == {"server"}
    text = db.call("INFO", "everything")
    assert name in text, "no line for each collection"
    assert "shard" in text.lower() and "partition" in text.lower()


def test_info_commandstats_counts_calls(db):
    before = info(db, "commandstats")["commandstats"].get("cmdstat_time", "calls=0")
    db.call("TIME")
    after = info(db, "commandstats")["commandstats"]["cmdstat_time"]
    calls = [int(text.split("calls=")[1].split(",")[0]) for text in (before, after)]
    assert calls[1] >= calls[0] + 1


def test_command_docs_come_from_the_table(db):
    docs = as_map(db.call("COMMAND", "DOCS"))
    names = {n.lower() for n in docs}
    for verb in ("put patch fetch mfetch remove find count export more create alter drop describe "
                 "collections alias explain multi exec discard health stats jobs ping info acl "
                 "config client slowlog memory shutdown").split():
        assert verb in names, verb
    one = as_map(as_map(db.call("COMMAND", "DOCS", "put"))["put"])
    assert one["summary"]
    assert db.call("COMMAND", "COUNT") >= 40
    assert "put" in [n.lower() for n in db.call("COMMAND", "LIST")]
    assert db.call("COMMAND", "INFO", "put")[0][0].lower() == "put"


def test_config_get_and_set(db):
    settings = as_map(db.call("CONFIG", "GET", "*"))
    assert len(settings) > 10
    pattern = as_map(db.call("CONFIG", "GET", "slowlog*"))
    assert "slowlog-log-slower-than" in pattern
    before = pattern["slowlog-log-slower-than"]
    assert db.call("CONFIG", "SET", "slowlog-log-slower-than", "1234") == "OK"
    assert as_map(db.call("CONFIG", "GET", "slowlog-log-slower-than")) == {
        "slowlog-log-slower-than": "1234"}
    db.call("CONFIG", "SET", "slowlog-log-slower-than", before)
    assert isinstance(db.reply("CONFIG", "SET", "nosuchsetting", "1"), RespError)
    assert isinstance(db.reply("CONFIG", "SET", "slowlog-log-slower-than", "word"), RespError)
    assert db.call("CONFIG", "RESETSTAT") == "OK"


def test_slowlog(db):
    db.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
    try:
        db.call("SLOWLOG", "RESET")
        db.call("ECHO", "slow one")
        entries = db.call("SLOWLOG", "GET", "10")
        assert any(entry[3][:2] == ["ECHO", "slow one"] for entry in entries), entries
        identifier, when, microseconds, words = entries[0][:4]
        assert abs(when - time.time()) < 60 and microseconds >= 0
        assert db.call("SLOWLOG", "LEN") >= 1
        db.reply("AUTH", "nobody", "secret-word")
        db.call("ACL", "SETUSER", "tmp", ">secret-word2")
        db.call("ACL", "DELUSER", "tmp")
        assert "secret-word" not in json.dumps(db.call("SLOWLOG", "GET", "50"))
    finally:
        db.call("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    assert db.call("SLOWLOG", "RESET") == "OK"


def test_client_commands(server, db):
    identifier = db.call("CLIENT", "ID")
    assert db.call("CLIENT", "SETNAME", "tester") == "OK"
    assert db.call("CLIENT", "GETNAME") == "tester"
    lines = db.call("CLIENT", "LIST").splitlines()
    mine = [line for line in lines if f"id={identifier} " in line]
    assert len(mine) == 1 and "name=tester" in mine[0] and "cmd=client" in mine[0]
    assert f"id={identifier} " in db.call("CLIENT", "INFO")
    assert db.code("CLIENT", "SETNAME", "two words") == "ERR"
    victim = server.connect()
    number = victim.call("CLIENT", "ID")
    assert db.call("CLIENT", "KILL", "ID", str(number)) == 1
    with pytest.raises((Closed, ConnectionError)):
        victim.call("PING")
        victim.call("PING")
    assert db.call("CLIENT", "KILL", "ID", str(number)) == 0


def test_memory_usage(db, name):
    db.call("CREATE", name, '{"fields":{"a":{"type":"int","index":true}}}')
    empty = db.call("MEMORY", "USAGE", name)
    db.pipeline([("PUT", name, str(n), json.dumps({"a": n, "pad": "x" * 100}))
                 for n in range(2000)])
    assert db.call("MEMORY", "USAGE", name) > empty
    assert db.call("MEMORY", "USAGE", name + "/5") > 100
    assert db.call("MEMORY", "USAGE", "nosuchcollection") is None
    assert as_map(db.call("MEMORY", "STATS"))


def test_dbsize_counts_all_documents(db, name):
    before = db.call("DBSIZE")
    db.call("CREATE", name, '{"fields":{}}')
    db.pipeline([("PUT", name, str(n), "{}") for n in range(7)])
    assert db.call("DBSIZE") == before + 7
    db.call("DROP", name)
    assert db.call("DBSIZE") == before


def test_time_and_latency(db):
    seconds, microseconds = db.call("TIME")
    assert abs(int(seconds) - time.time()) < 5 and 0 <= int(microseconds) < 1_000_000
    assert not isinstance(db.reply("LATENCY", "HISTOGRAM"), RespError)


def test_health_stats_and_jobs(db, name):
    assert "ready" in " ".join(flat(db.call("HEALTH"))).lower()
    db.call("CREATE", name, '{"fields":{"a":{"type":"int","index":true}}}')
    db.pipeline([("PUT", name, str(n), '{"a":1}') for n in range(12)])
    stats = db.call("STATS", name)
    assert "12" in flat(stats), stats
    assert isinstance(db.call("JOBS"), (list, dict))
    assert db.code("JOBS", "CANCEL", "999999") == "NOTFOUND"


# ACL

def test_acl_rights(server, db, name):
    other = name + "other"
    for collection in (name, other):
        db.call("CREATE", collection, '{"fields":{}}')
        db.call("PUT", collection, "1", '{"a":1}')
    user = "u" + name
    db.call("ACL", "SETUSER", user, "on", ">pass", f"~{name}", "+@read", "+put")
    assert user in db.call("ACL", "USERS")
    assert any(user in line and "pass" not in line.replace("nopass", "").replace("allpass", "")
               for line in db.call("ACL", "LIST") if user in line)
    with server.connect(2, user=user, password="pass") as mine:
        assert mine.call("ACL", "WHOAMI") == user
        assert mine.call("FETCH", name, "1") == '{"a":1}'
        mine.call("PUT", name, "2", "{}")
        assert mine.code("FETCH", other, "1") == "NOPERM"
        assert mine.code("PATCH", name, "1", '{"a":2}') == "NOPERM"
        assert mine.code("DROP", name) == "NOPERM"
        assert mine.code("ACL", "USERS") == "NOPERM"
        assert mine.code("CONFIG", "SET", "slowlog-max-len", "5") == "NOPERM"
        assert mine.code("AUTH", user, "wrong") == "WRONGPASS"
    db.call("ALIAS", other + "alias", other)
    db.call("ACL", "SETUSER", user, f"~{other}alias*")
    with server.connect(2, user=user, password="pass") as mine:
        # The pattern is matched by what stands behind the alias too.
        assert mine.code("FETCH", other + "alias", "1") == "NOPERM"
    assert db.call("ACL", "DRYRUN", user, "FETCH", name, "1") == "OK"
    assert "permission" in db.call("ACL", "DRYRUN", user, "DROP", name).lower()
    assert db.call("ACL", "DELUSER", user) == 1
    with server.connect(2) as mine:
        assert mine.code("AUTH", user, "pass") == "WRONGPASS"


def test_acl_read_and_write_patterns(server, db, name):
    db.call("CREATE", name, '{"fields":{}}')
    user = "rw" + name
    db.call("ACL", "SETUSER", user, "on", ">p", f"%R~{name}", "+@read", "+@write")
    with server.connect(2, user=user, password="p") as mine:
        assert mine.call("COUNT", name, "{}") == 0
        assert mine.code("PUT", name, "1", "{}") == "NOPERM"
    db.call("ACL", "DELUSER", user)


def test_acl_helpers(db):
    assert {"read", "write", "admin"} <= set(db.call("ACL", "CAT"))
    assert "put" in [n.lower() for n in db.call("ACL", "CAT", "write")]
    assert len(db.call("ACL", "GENPASS")) == 64
    assert db.call("ACL", "WHOAMI") == "default"
    assert db.call("ACL", "GETUSER", "nosuchuser") is None
    assert isinstance(db.reply("ACL", "SETUSER", "bad", "+nosuchcommand"), RespError)


def test_a_password_is_asked_for(own_server):
    server = own_server()
    with server.connect() as db:
        db.call("ACL", "SETUSER", "default", ">top-secret")
    with server.connect() as db:
        assert db.code("COLLECTIONS") == "NOAUTH"
        assert db.code("AUTH", "wrong") == "WRONGPASS"
        assert db.call("AUTH", "top-secret") == "OK"
        db.call("COLLECTIONS")
    with server.connect() as db:
        reply = db.call("HELLO", "3", "AUTH", "default", "top-secret")
        assert as_map(reply)["proto"] == 3
        assert "top-secret" not in server.log_tail(100_000)
        assert "top-secret" not in db.call("CLIENT", "LIST")


def test_accounts_live_through_a_restart(own_server):
    server = own_server()
    with server.connect() as db:
        db.call("ACL", "SETUSER", "shop", "on", ">pw", "~*", "+@read")
        reply = db.reply("ACL", "SAVE")
        assert not isinstance(reply, RespError) or reply.code == "ERR"
    server.restart()
    with server.connect(2, user="shop", password="pw") as db:
        assert db.call("ACL", "WHOAMI") == "shop"


def test_config_rewrite_persists(own_server):
    server = own_server()
    with server.connect() as db:
        db.call("CONFIG", "SET", "slowlog-log-slower-than", "4321")
    server.restart()
    with server.connect() as db:
        assert as_map(db.call("CONFIG", "GET", "slowlog-log*"))[
            "slowlog-log-slower-than"] != "4321"
        db.call("CONFIG", "SET", "slowlog-log-slower-than", "4321")
        assert db.call("CONFIG", "REWRITE") == "OK"
    server.restart()
    with server.connect() as db:
        assert as_map(db.call("CONFIG", "GET", "slowlog-log*"))[
            "slowlog-log-slower-than"] == "4321"


# HTTP

def http(server, path):
    try:
        with urllib.request.urlopen(
                f"http://127.0.0.1:{server.metrics_port}{path}", timeout=20) as reply:
            return reply.status, reply.read().decode(), reply.headers.get("Content-Type", "")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), ""


def test_metrics_are_prometheus_text(server, db, name):
    db.call("CREATE", name, '{"fields":{}}')
    db.call("PUT", name, "1", "{}")
    find(db, name, "{}")
    status, text, kind = http(server, "/metrics")
    assert status == 200 and kind.startswith("text/plain")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            float(value)
            assert series[0].isalpha(), line
    assert "# TYPE" in text and "histogram" in text
    assert 'le="+Inf"' in text
    assert 'command="put"' in text.lower()
    assert name in text


def test_health_endpoints(server):
    assert http(server, "/health/live")[0] == 200
    assert http(server, "/health/ready")[0] == 200
    assert http(server, "/nosuch")[0] == 404


# Ending

def test_shutdown_command(own_server):
    server = own_server()
    with server.connect() as db:
        db.call("CREATE", "c", '{"fields":{}}')
        db.call("PUT", "c", "1", "{}")
        db.send(encode(["SHUTDOWN"]))
        with pytest.raises((Closed, ConnectionError)):
            while True:
                db.read()
    assert server.process.wait(30) == 0
    server.start()
    with server.connect() as db:
        assert db.call("COUNT", "c", "{}") == 1


def test_a_graceful_end_finishes_what_it_took(own_server):
    server = own_server()
    acknowledged = []
    with server.connect() as db:
        db.call("CREATE", "c", '{"fields":{}}')

    def writer(number):
        try:
            with server.connect() as mine:
                for n in range(100_000):
                    mine.call("PUT", "c", f"{number}-{n}", "{}")
                    acknowledged.append(f"{number}-{n}")
        except (Closed, ConnectionError, OSError, RespError):
            pass

    threads = [threading.Thread(target=writer, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    server.start()
    assert len(acknowledged) > 10
    with server.connect() as db:
        found = []
        for start in range(0, len(acknowledged), 1000):
            found += db.call("MFETCH", "c", *acknowledged[start:start + 1000])
        assert None not in found


def test_logs_are_json_lines(own_server):
    server = own_server("--log-level", "debug")
    with server.connect() as db:
        db.reply("PUT", "nosuch", "1", "{}")
    server.stop()
    with open(server.log_path) as file:
        lines = [line for line in file if line.strip()]
    assert lines
    for line in lines:
        entry = json.loads(line)
        assert {"level", "message"} <= set(entry) or {"level", "msg"} <= set(entry), line

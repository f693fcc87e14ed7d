"""The wire: RESP2, RESP3, inline commands, pipelines, sockets, and the clients people use."""

import json
import shutil
import subprocess

import pytest
import redis

from aisle_resp import Connection, RespError, as_map, encode


def test_ping_and_echo(db):
    assert db.call("PING") == "PONG"
    assert db.call("ping", "hello") == "hello"
    assert db.call("ECHO", "häh\r\n") == "häh\r\n"


def test_hello_switches_the_protocol(server):
    with server.connect(2) as db:
        assert as_map(db.call("HELLO"))["proto"] == 2
        reply = db.call("HELLO", "3")
        assert isinstance(reply, dict) and reply["proto"] == 3
        assert {"server", "version", "id", "mode", "role"} <= set(reply)
        assert db.code("HELLO", "4") == "NOPROTO"
        assert isinstance(db.call("HELLO", "2"), list)


def test_hello_sets_the_name(server):
    with server.connect(2) as db:
        db.call("HELLO", "3", "SETNAME", "till-4")
        assert db.call("CLIENT", "GETNAME") == "till-4"


def test_inline_commands(server):
    with server.connect(2) as db:
        db.send(b"PING\r\n")
        assert db.read() == "PONG"
        db.send(b'ECHO "a b\\n"\r\n')
        assert db.read() == "a b\n"
        db.send(b"ECHO 'single quoted'\n")
        assert db.read() == "single quoted"
        db.send(b'ECHO "unbalanced\r\n')
        assert db.read().code == "ERR"


def test_an_unknown_command_answers_as_redis_does(db):
    text = db.reply("FROBNICATE", "a", "b").text
    assert text.startswith("ERR unknown command 'FROBNICATE', with args beginning with: 'a' 'b'")
    assert db.call("PING") == "PONG"


@pytest.mark.parametrize("command", [["PUT"], ["FETCH", "c"], ["ECHO"], ["COUNT"], ["FIND"],
                                     ["CREATE", "c"], ["MFETCH", "c"], ["ALIAS", "x"]])
def test_a_wrong_number_of_arguments_is_an_error(db, command):
    reply = db.reply(*command)
    assert isinstance(reply, RespError)
    assert reply.code in ("ERR", "SYNTAX"), reply.text


def test_names_are_case_insensitive(db, name):
    db.call("create", name, '{"fields":{}}')
    db.call("pUt", name, "1", '{"a":1}')
    assert db.call("fetch", name, "1", "fields", "a") == '{"a":1}'


def test_pipelined_requests_keep_their_order(db, name):
    db.call("CREATE", name, '{"fields":{"n":{"type":"int","index":true}}}')
    commands = []
    for n in range(300):
        commands += [("PUT", name, f"id{n}", json.dumps({"n": n})), ("FETCH", name, f"id{n}"),
                     ("ECHO", f"e{n}")]
    replies = db.pipeline(commands)
    for n in range(300):
        assert as_map(replies[3 * n])["id"] == f"id{n}"
        assert replies[3 * n + 1] == json.dumps({"n": n}, separators=(",", ":"))
        assert replies[3 * n + 2] == f"e{n}"
    versions = [as_map(r)["version"] for r in replies[0::3]]
    assert versions == sorted(versions)


def test_a_request_may_arrive_byte_by_byte(server):
    with server.connect(2) as db:
        for byte in encode(["ECHO", "drip"]) * 2:
            db.send(bytes([byte]))
        assert [db.read(), db.read()] == ["drip", "drip"]


def test_the_unix_socket_serves_the_same(server, name):
    with server.connect(3, unix=True) as db, server.connect(2) as other:
        db.call("CREATE", name, '{"fields":{}}')
        db.call("PUT", name, "1", '{"a":1}')
        assert other.call("FETCH", name, "1") == '{"a":1}'


def test_replies_have_the_types_of_the_contract(server, name):
    schema = {"fields": {"price": {"type": "decimal", "scale": 2, "index": True, "facet": True},
                         "on": {"type": "bool", "index": True, "facet": True},
                         "rating": {"type": "float", "index": True}}}
    with server.connect(3) as db3, server.connect(2) as db2:
        db3.call("CREATE", name, json.dumps(schema))
        db3.call("PUT", name, "x", '{"price":1.5,"on":true,"rating":2.5}')
        args = ("FIND", name, "{}", "FACET", "on", "STATS", "price,rating")
        new = db3.call(*args)
        assert list(new) == [k for k in ("total", "exact", "hits", "facets", "stats", "cursor",
                                         "version", "took_us") if k in new]
        assert new["exact"] is True and new["total"] == 1
        assert isinstance(new["version"], int) and isinstance(new["took_us"], int)
        assert new["facets"]["on"] == [[True, 1]]
        assert new["stats"]["price"]["sum"] == "1.50"
        assert new["stats"]["price"]["avg"] == "1.500000"
        assert new["stats"]["rating"]["avg"] == 2.5
        assert isinstance(new["stats"]["rating"]["avg"], float)
        old = db2.call(*args)
        assert isinstance(old, list)
        old = as_map(old)
        assert old["exact"] == 1
        assert as_map(old["facets"])["on"] == [[1, 1]]
        stats = as_map(as_map(old["stats"])["rating"])
        assert stats["avg"] == "2.5"


def test_null_is_null_in_both(server, name):
    with server.connect(3) as db:
        db.call("CREATE", name, '{"fields":{}}')
        db.send(encode(["FETCH", name, "no"]))
        assert db.socket.recv(100) == b"_\r\n"
    with server.connect(2) as db:
        db.send(encode(["FETCH", name, "no"]))
        assert db.socket.recv(100) == b"$-1\r\n"


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_works_as_it_is(server, name, protocol):
    client = redis.Redis(port=server.port, protocol=protocol, decode_responses=True)
    assert client.ping()
    client.execute_command("CREATE", name, '{"fields":{"n":{"type":"int","index":true}}}')
    pipe = client.pipeline(transaction=False)
    for n in range(50):
        pipe.execute_command("PUT", name, n, json.dumps({"n": n}))
    assert len(pipe.execute()) == 50
    assert client.execute_command("COUNT", name, '{"n":{"$lt":10}}') == 10
    with pytest.raises(redis.ResponseError, match="^INVALID"):
        client.execute_command("PUT", name, "x", '{"n":"word"}')
    pipe = client.pipeline(transaction=True)
    pipe.execute_command("PUT", name, "t1", '{"n":1}')
    pipe.execute_command("PUT", name, "t2", '{"n":2}')
    assert len(pipe.execute()) == 2
    assert client.info("server")["process_id"] == server.process.pid
    assert isinstance(client.config_get("*"), dict)
    assert any(c["id"] == str(client.client_id()) for c in client.client_list())
    client.close()


def test_redis_cli_works_as_it_is(server, name):
    def cli(*args):
        return subprocess.run(["redis-cli", "-p", str(server.port), *args], capture_output=True,
                              text=True, check=True, timeout=60).stdout.strip()

    assert cli("PING") == "PONG"
    assert cli("CREATE", name, '{"fields":{}}') == "OK"
    assert "version" in cli("PUT", name, "1", '{"a":"b c"}')
    assert cli("FETCH", name, "1") == '{"a":"b c"}'
    assert cli("COUNT", name, "{}") == "1"
    assert "NOTFOUND" in cli("PATCH", name, "2", '{"a":1}')
    assert cli("-3", "FIND", name, "{}").find("total") >= 0
    assert subprocess.run(["redis-cli", "-s", server.unix, "PING"], capture_output=True,
                          text=True, timeout=60).stdout.strip() == "PONG"


def test_redis_benchmark_works_as_it_is(server, name):
    assert shutil.which("redis-benchmark"), "Tools/dev setup installs redis-tools"
    with server.connect() as db:
        db.call("CREATE", name, '{"fields":{}}')
    for extra in (["-t", "ping_mbulk,ping_inline"],
                  ["-P", "16", "PUT", name, "key:__rand_int__", '{"a":1}'],
                  ["FETCH", name, "key:000000000001"]):
        done = subprocess.run(
            ["redis-benchmark", "-p", str(server.port), "-n", "2000", "-c", "20", "-r", "500",
             "-q", *extra], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "requests per second" in done.stdout, done.stdout + done.stderr
        assert "Error" not in done.stdout + done.stderr


def test_quit_and_reset(server):
    with server.connect(3) as db:
        db.call("MULTI")
        assert db.call("RESET") == "RESET"
        assert db.reply("EXEC").code == "ERR"
    with server.connect(2) as db:
        assert db.call("QUIT") == "OK"
        assert db.socket.recv(10) == b""


def test_select_knows_database_zero_only(db):
    assert db.call("SELECT", "0") == "OK"
    assert db.code("SELECT", "1") == "ERR"


def test_many_connections_at_once(server):
    connections = [Connection(port=server.port) for _ in range(300)]
    for connection in connections:
        connection.send(encode(["PING"]))
    assert all(connection.read() == "PONG" for connection in connections)
    for connection in connections:
        connection.close()

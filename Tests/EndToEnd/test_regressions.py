"""What a reading of the whole server found wrong once, each with the request that showed it."""
import json

import pytest

from aisle_resp import RespError, as_map, find


@pytest.fixture
def c(db, name):
    db.call("CREATE", name, json.dumps({"fields": {
        "n": {"type": "int", "index": True, "sort": True},
        "price": {"type": "int", "index": True, "sort": True}}}))
    for i in range(6):
        db.call("PUT", name, f"d{i}", json.dumps({"n": i % 2, "price": i}))
    return name


def test_a_cursor_of_an_order_with_keys_behind_the_id_goes_on_at_an_older_version(db, c):
    old = find(db, c, "{}", "LIMIT", "1").version
    db.call("PUT", c, "later", '{"n":9,"price":9}')
    page = find(db, c, "{}", "SORT", "_id,n", "LIMIT", "2")
    again = find(db, c, "{}", "SORT", "_id,n", "LIMIT", "2", "AFTER", page.cursor,
                 "AT", str(old))
    assert again.ids == ["d2", "d3"]
    assert db.call("PING") == "PONG"


def test_a_key_belongs_to_its_collection(db, c, name):
    other = name + "_other"
    db.call("CREATE", other, '{"fields":{}}')
    db.call("PUT", c, "a", '{"n":1}', "KEY", "order-1", "RETURN", "new")
    reply = as_map(db.call("PUT", other, "b", '{"x":1}', "KEY", "order-1", "RETURN", "new"))
    assert reply["id"] == "b"
    assert json.loads(reply["doc"]) == {"x": 1}
    assert json.loads(db.call("FETCH", other, "b")) == {"x": 1}


def test_a_key_has_a_bound(db, c):
    with pytest.raises(RespError, match="LIMIT"):
        db.call("PUT", c, "a", "{}", "KEY", "k" * 600)


def test_a_transaction_has_a_bound_of_operations(db, c):
    ids = json.dumps([f"d{i}" for i in range(10_000)])
    db.call("MULTI")
    for _ in range(6):
        assert db.call("MFETCH", c, "IDS", ids) == "QUEUED"
    with pytest.raises(RespError, match="LIMIT"):
        db.call("MFETCH", c, "IDS", ids)
    with pytest.raises(RespError, match="EXECABORT"):
        db.call("EXEC")


def test_an_update_that_overflows_says_so_in_words(db, c):
    db.call("PUT", c, "big", json.dumps({"n": 2 ** 63 - 1}))
    with pytest.raises(RespError) as failure:
        db.call("PATCH", c, "big", '{"$inc":{"n":1}}')
    text = str(failure.value)
    assert "n" in text and "DecimalError" not in text and "arithmetic(" not in text


def test_a_key_belongs_to_its_user(server, db, c):
    """What one user has under a key, another neither sees nor is kept from."""
    users = [f"u{n}{c}" for n in (1, 2)]
    for user in users:
        db.call("ACL", "SETUSER", user, "on", ">pass", f"~{c}", "+@read", "+@write")
    versions = []
    for number, user in enumerate(users):
        with server.connect(3, user=user, password="pass") as mine:
            put = ["PUT", c, f"of{number}", json.dumps({"n": number}), "KEY", "order-1",
                   "RETURN", "new"]
            first = as_map(mine.call(*put))
            assert first["id"] == f"of{number}" and json.loads(first["doc"]) == {"n": number}
            assert as_map(mine.call(*put)) == first
            versions.append(first["version"])
    assert versions[0] != versions[1]
    assert db.call("COUNT", c, '{"_id":{"$in":["of0","of1"]}}') == 2
    db.call("ACL", "DELUSER", *users)


def test_an_export_across_a_drop_ends_with_an_error(db, name):
    """It gives rows of its version, whole, until they are gone: never others, never a false end."""
    count = 300
    db.call("CREATE", name, '{"fields":{"n":{"type":"int"}}}')
    db.pipeline([("PUT", name, str(n), json.dumps({"n": n, "old": True})) for n in range(count)])
    reply = as_map(db.call("EXPORT", name, "BATCH", 10))
    rows = reply["chunk"].splitlines()
    db.call("DROP", name)
    db.call("CREATE", name, '{"fields":{}}')
    db.call("PUT", name, "1", '{"n":1,"old":false}')
    code = None
    while code is None:
        answer = db.reply("MORE", reply["cursor"])
        if isinstance(answer, RespError):
            code = answer.code
            assert "dropped" in answer.text
        else:
            chunk = as_map(answer)
            rows += chunk["chunk"].splitlines()
            if "cursor" not in chunk:
                break
    assert all(json.loads(row)["old"] for row in rows)
    assert code == "NOTFOUND" or len(rows) == count
    # Once its documents are cleaned away the cursor is gone as well.
    if code == "NOTFOUND":
        assert db.code("MORE", reply["cursor"]) == "NOTFOUND"
    assert db.call("FETCH", name, "1") == '{"n":1,"old":false}'

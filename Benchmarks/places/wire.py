"""Requests and replies as bytes: RESP for Aisle, Redis and Tile38, and PostgreSQL's protocol."""

import struct


def command(*words):
    """A RESP request."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


def reply(data, at=0):
    """(value, end) of the RESP reply at an offset; maps become dicts, errors exceptions."""
    end = data.index(b"\r\n", at)
    kind, text, at = data[at:at + 1], data[at + 1:end], end + 2
    if kind in b"+,(":
        return (float(text) if kind == b"," else text), at
    if kind == b":":
        return int(text), at
    if kind == b"#":
        return text == b"t", at
    if kind == b"_":
        return None, at
    if kind == b"-":
        raise ValueError(text.decode())
    if kind == b"$":
        size = int(text)
        return (None, at) if size < 0 else (data[at:at + size], at + size + 2)
    count = int(text) * (2 if kind == b"%" else 1)
    items = []
    for _ in range(count):
        item, at = reply(data, at)
        items.append(item)
    return (dict(zip(items[::2], items[1::2], strict=True)) if kind == b"%" else items), at


def _message(kind, body):
    return kind + struct.pack(">i", len(body) + 4) + body


SYNC = _message(b"S", b"")


def postgres_start(user, database, name, sql):
    """The hand-shake of a connection, with a statement prepared: two replies."""
    body = struct.pack(">i", 196608)
    body += b"user\0%s\0database\0%s\0\0" % (user.encode(), database.encode())
    start = struct.pack(">i", len(body) + 4) + body
    parse = _message(b"P", b"%s\0%s\0\0\0" % (name.encode(), sql.encode()))
    return start + parse + SYNC


def postgres_execute(name, values):
    """A prepared statement with parameters as text."""
    body = b"\0%s\0\0\0" % name.encode() + struct.pack(">h", len(values))
    for value in values:
        value = str(value).encode()
        body += struct.pack(">i", len(value)) + value
    return (_message(b"B", body + b"\0\0") + _message(b"E", b"\0" + struct.pack(">i", 0)) + SYNC)


def postgres_rows(data):
    """The rows of a reply, as lists of text."""
    rows, at = [], 0
    while at < len(data):
        kind, length = data[at:at + 1], struct.unpack(">i", data[at + 1:at + 5])[0]
        body = data[at + 5:at + 1 + length]
        at += 1 + length
        if kind == b"E":
            raise ValueError(body.decode(errors="replace"))
        if kind != b"D":
            continue
        row, place = [], 2
        for _ in range(struct.unpack(">h", body[:2])[0]):
            size = struct.unpack(">i", body[place:place + 4])[0]
            row.append(None if size < 0 else body[place + 4:place + 4 + size].decode())
            place += 4 + max(size, 0)
        rows.append(row)
    return rows


def write_requests(path, handshake, replies, requests):
    """A file for the worker: see Worker/RequestFile.swift."""
    with open(path, "wb") as file:
        file.write(struct.pack("<I", replies))
        for record in [handshake, *requests]:
            file.write(struct.pack("<I", len(record)))
            file.write(record)

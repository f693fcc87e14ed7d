"""A small RESP2/RESP3 client, written apart from the server's code.

redis-py hides error codes and guesses types. These tests want to see what is on the wire, so this
client keeps every reply as it came: simple strings, doubles, booleans, nulls and maps stay apart.
"""

import socket
import ssl


class RespError(Exception):
    """An error reply. `code` is its first word."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text
        self.code = text.split(" ", 1)[0]

    def __eq__(self, other):
        return isinstance(other, RespError) and other.text == self.text

    def __hash__(self):
        return hash(self.text)


class Simple(str):
    """A simple string such as +OK; equal to the plain text."""


class Push(list):
    """A RESP3 push."""


class Pairs(list):
    """A RESP3 map whose keys cannot be hashed."""


class Closed(Exception):
    """The server closed the connection."""


def encode(args):
    """The RESP array of bulk strings for one command."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if isinstance(arg, str):
            arg = arg.encode("utf-8", "surrogateescape")
        elif not isinstance(arg, (bytes, bytearray)):
            arg = str(arg).encode()
        parts.append(b"$%d\r\n" % len(arg))
        parts.append(bytes(arg))
        parts.append(b"\r\n")
    return b"".join(parts)


class Connection:
    """One connection. `call` raises error replies, `reply` returns them."""

    def __init__(self, port=None, unix=None, host="127.0.0.1", protocol=2, tls=None, timeout=60,
                 password=None, user=None):
        if unix:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(unix)
        else:
            self.socket = socket.create_connection((host, port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""
        self.position = 0
        self.protocol = protocol
        self.pushes = []
        if password:
            self.call("AUTH", *([user] if user else []), password)
        if protocol == 3:
            self.call("HELLO", "3")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.socket.close()
        except OSError:
            pass

    def send(self, data):
        self.socket.sendall(data)

    def _fill(self):
        try:
            data = self.socket.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError) as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed("end of stream")
        self.buffer = self.buffer[self.position:] + data
        self.position = 0

    def _line(self):
        while True:
            end = self.buffer.find(b"\r\n", self.position)
            if end >= 0:
                line = self.buffer[self.position:end]
                self.position = end + 2
                return line
            self._fill()

    def _exactly(self, count):
        while len(self.buffer) - self.position < count + 2:
            self._fill()
        data = self.buffer[self.position:self.position + count]
        assert self.buffer[self.position + count:self.position + count + 2] == b"\r\n"
        self.position += count + 2
        return data

    def read(self):
        """The next reply that is not a push."""
        while True:
            value = self._value()
            if not isinstance(value, Push):
                return value
            self.pushes.append(value)

    def _value(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        text = rest.decode("utf-8", "surrogateescape")
        if kind == b"+":
            return Simple(text)
        if kind == b"-":
            return RespError(text)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            count = int(rest)
            if count < 0:
                return None
            return self._exactly(count).decode("utf-8", "surrogateescape")
        if kind == b"*":
            count = int(rest)
            return None if count < 0 else [self._value() for _ in range(count)]
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        if kind == b"(":
            return int(rest)
        if kind == b"=":
            return self._exactly(int(rest)).decode("utf-8", "surrogateescape")[4:]
        if kind == b"!":
            return RespError(self._exactly(int(rest)).decode())
        if kind == b"%":
            pairs = [(self._value(), self._value()) for _ in range(int(rest))]
            try:
                return dict(pairs)
            except TypeError:
                return Pairs(pairs)
        if kind == b"~":
            return [self._value() for _ in range(int(rest))]
        if kind == b">":
            return Push(self._value() for _ in range(int(rest)))
        raise AssertionError(f"not RESP: {line[:200]!r}")

    def reply(self, *args):
        """Sends one command and returns its reply, an error reply too."""
        self.send(encode(args))
        return self.read()

    def call(self, *args):
        """Sends one command and returns its reply; an error reply is raised."""
        value = self.reply(*args)
        if isinstance(value, RespError):
            raise RespError(f"{value.text}   [{' '.join(str(a)[:120] for a in args)[:400]}]")
        return value

    def code(self, *args):
        """The error code of a command that must fail."""
        value = self.reply(*args)
        assert isinstance(value, RespError), f"no error from {args!r}: {value!r}"
        return value.code

    def pipeline(self, commands):
        """Sends all commands in one write and returns all replies."""
        self.send(b"".join(encode(args) for args in commands))
        return [self.read() for _ in commands]


def as_map(value):
    """A RESP3 map, or RESP2's flat pairs, as a dict."""
    if isinstance(value, dict):
        return value
    assert isinstance(value, list) and len(value) % 2 == 0, f"not a map: {value!r}"
    return dict(zip(value[0::2], value[1::2]))


def _stats(value):
    if isinstance(value, dict):
        return value
    if value and isinstance(value[0], list):
        return [(key, as_map(inner)) for key, inner in value]
    return as_map(value)


class Lookup:
    """The reply of FIND and its kin, the same for both protocols."""

    def __init__(self, value):
        self.raw = as_map(value)
        known = {"total", "exact", "hits", "facets", "stats", "distinct", "based_on", "cursor",
                 "version", "took_us", "partial"}
        assert set(self.raw) <= known, f"unknown keys in {list(self.raw)}"
        self.total = self.raw.get("total")
        self.exact = self.raw.get("exact")
        self.hits = [as_map(hit) for hit in self.raw.get("hits", [])]
        self.cursor = self.raw.get("cursor")
        self.version = self.raw.get("version")
        self.took_us = self.raw.get("took_us")
        facets = self.raw.get("facets")
        self.facets = None if facets is None else as_map(facets)
        stats = self.raw.get("stats")
        self.stats = None if stats is None else {
            name: _stats(inner) for name, inner in as_map(stats).items()}
        self.distinct = self.raw.get("distinct")

    @property
    def ids(self):
        return [hit["id"] for hit in self.hits]


def find(connection, *args):
    """FIND, as a Lookup."""
    return Lookup(connection.call("FIND", *args))

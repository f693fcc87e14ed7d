"""Snapshot files as Snapshots/FORMAT.md describes them, read and written apart from the server."""

import struct

TABLE = []
for byte in range(256):
    value = byte
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    TABLE.append(value)

HEADER = struct.Struct("<8sIIQQqQIII32x")
ENTRY = struct.Struct("<HxxIIIQQQQI12x")
TRAILER = struct.Struct("<QQQII8s4x")
HEAD = struct.Struct("<III")


def crc32c(data, seed=0):
    crc = seed ^ 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def sealed(data):
    return data + struct.pack("<I", crc32c(data))


def opened(data):
    assert crc32c(data[:-4]) == struct.unpack("<I", data[-4:])[0], "a checksum is wrong"
    return data[:-4]


def write(sections, version=1, partitions=1):
    """A file of sections (kind, collection, partition, field, bytes), stored as they are."""
    out = sealed(HEADER.pack(b"AIESNAP1", 1, 96, version, version << 16, 0, 7, partitions, 0, 0))
    directory = b""
    for kind, collection, partition, field, data in sections:
        start, count = len(out), 0
        for at in range(0, len(data), 1 << 18):
            block = data[at:at + (1 << 18)]
            head = HEAD.pack(len(block), len(block), 0)
            total = crc32c(head + struct.pack("<Q", len(out)) + block)
            out += head + struct.pack("<I", total) + block
            count += 1
        directory += ENTRY.pack(kind, collection, partition, field, start, len(out) - start,
                                len(data), 0, count)
    size = len(out) + len(directory) + 48
    return out + directory + sealed(TRAILER.pack(
        len(out), len(directory), size, len(sections), crc32c(directory), b"AIESEND1"))


def read(data):
    """The header's fields and the sections' ids and blocks (codec, read size, stored bytes)."""
    header = HEADER.unpack(opened(data[:96]))
    assert header[:3] == (b"AIESNAP1", 1, 96)
    start, length, size, count, total, magic = TRAILER.unpack(opened(data[-48:]))
    assert magic == b"AIESEND1" and size == len(data) and length == 64 * count
    directory = data[start:start + length]
    assert crc32c(directory) == total and start + length + 48 == size
    sections, place = [], 96
    for number in range(count):
        (kind, collection, partition, field, offset, stored, bytes_read, _,
         blocks) = ENTRY.unpack(directory[64 * number:64 * number + 64])
        assert offset == place, "sections follow each other"
        found = []
        for left in range(blocks, 0, -1):
            wide, narrow, codec = HEAD.unpack(data[place:place + 12])
            body = data[place + 16:place + 16 + narrow]
            total = struct.unpack("<I", data[place + 12:place + 16])[0]
            assert crc32c(data[place:place + 12] + struct.pack("<Q", place) + body) == total
            assert left == 1 or wide == 1 << 18
            found.append((codec, wide, body))
            place += 16 + narrow
        assert place == offset + stored and bytes_read == sum(wide for _, wide, _ in found)
        sections.append(((kind, collection, partition, field), found))
    assert place == start
    return header, sections

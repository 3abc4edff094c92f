"""Geographic databases for trials: MaxMind's format (version 2.0), GeoIP2 schema, random networks by a fixed seed."""
import random
import struct
from pathlib import Path

# Country, continent.
COUNTRIES = (("IE", "EU"), ("GB", "EU"), ("FR", "EU"), ("DE", "EU"), ("PL", "EU"), ("SE", "EU"), ("ES", "EU"),
             ("IT", "EU"), ("US", "NA"), ("CA", "NA"), ("MX", "NA"), ("PA", "NA"), ("CU", "NA"), ("JM", "NA"),
             ("JP", "AS"), ("CN", "AS"), ("IN", "AS"), ("SG", "AS"), ("VN", "AS"), ("TH", "AS"), ("KR", "AS"))


def random_networks(seed: int = 7, shortest: int = 12, longest: int = 24) -> list[tuple[int, int, tuple[str, str]]]:
    """What is somebody's of IPv4, cut at random; each piece has a country."""
    draw = random.Random(seed)
    found, queue = [], [(first << 24, 8) for first in range(1, 224)]
    while queue:
        address, length = queue.pop()
        if length < shortest or (length < longest and draw.random() < 0.62):
            queue += [(address, length + 1), (address | 1 << (31 - length), length + 1)]
        else:
            found.append((address, length, draw.choice(COUNTRIES)))
    return found


U16, U32, U64 = 5, 6, 9


def control(kind: int, size: int) -> bytes:
    """The octets before a value. Kinds above 7 have an octet of their own."""
    if size >= 29:
        raise ValueError("only short values here")
    return bytes([kind << 5 | size]) if kind <= 7 else bytes([size, kind - 7])


def encode(value) -> bytes:
    if isinstance(value, str):
        return control(2, len(value)) + value.encode()
    if isinstance(value, dict):
        return control(7, len(value)) + b"".join(encode(key) + encode(of) for key, of in value.items())
    if isinstance(value, list):
        return control(11, len(value)) + b"".join(map(encode, value))
    kind, number = value
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return control(kind, len(raw)) + raw


def write(path: Path, networks: list[tuple[int, int, tuple[str, str]]]) -> None:
    """Writes a country database of IPv4 networks that do not overlap."""
    nodes, data, places = [[None, None]], b"", {}
    for address, length, place in networks:
        if place not in places:
            places[place] = len(data)
            country, continent = place
            data += encode({"continent": {"code": continent}, "country": {"iso_code": country}})
        at = 0
        for bit in range(length):
            side = address >> (31 - bit) & 1
            if bit == length - 1:
                nodes[at][side] = ("data", places[place])
            else:
                if nodes[at][side] is None:
                    nodes.append([None, None])
                    nodes[at][side] = len(nodes) - 1
                at = nodes[at][side]
    count = len(nodes)

    def record(of) -> bytes:
        number = count if of is None else of if isinstance(of, int) else count + 16 + of[1]
        return struct.pack(">I", number)

    metadata = {"binary_format_major_version": (U16, 2), "binary_format_minor_version": (U16, 0),
                "build_epoch": (U64, 1_700_000_000),
                "database_type": "GeoIP2-Country", "description": {"en": "random"}, "ip_version": (U16, 4),
                "languages": ["en"], "node_count": (U32, count), "record_size": (U16, 32)}
    tree = b"".join(record(left) + record(right) for left, right in nodes)
    path.write_bytes(tree + b"\0" * 16 + data + b"\xab\xcd\xefMaxMind.com" + encode(metadata))

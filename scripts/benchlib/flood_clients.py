"""One client that makes work: a process that floods a proxy, and says at its end how that went.

  flood_clients.py KIND HOST:PORT SECONDS

A connection that ends is made again. Told as JSON: connections made, those that the proxy ended and with which codes of
GOAWAY and RST_STREAM, the octets that were sent, and how old the connections that it ended without a code were.
"""
import collections
import itertools
import json
import selectors
import socket
import ssl
import struct
import sys
import time

DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4
ROOM = 1 << 16


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def block(method: str, path: str) -> bytes:
    fields = ((":method", method), (":scheme", "http"), (":path", path), (":authority", "bench.test"))
    return b"".join(bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in fields)


def hello(settings: bytes = b"") -> bytes:
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings)


GET, POST, LARGE = block("GET", "/128"), block("POST", "/128"), block("GET", "/65536")


def repeated(first: bytes, one: bytes):
    """The same over and over."""
    yield hello() + first
    whole = one * max(1, min(200, ROOM // len(one)))
    while True:
        yield whole


def rapid_reset():
    """Requests that are taken back at once."""
    yield hello()
    for first in itertools.count(1, 200):
        yield b"".join(frame(HEADERS, END_STREAM | END_HEADERS, stream, GET) + frame(RST, 0, stream, b"\0\0\0\x08")
                       for stream in range(first, first + 200, 2))


def stall():
    """A hundred responses of 64 KiB for which no window is ever opened."""
    yield hello(b"\0\x04\0\0\0\0")
    yield b"".join(frame(HEADERS, END_STREAM | END_HEADERS, stream, LARGE) for stream in range(1, 201, 2))


def client_hello() -> bytes:
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    try:
        context.wrap_bio(into, out, server_hostname="bench.test").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


GREETING = client_hello()


def half():
    """Half of a handshake's first message."""
    yield GREETING[:len(GREETING) // 2]


def drop_by_drop():
    """The same, an octet at a time."""
    yield from (bytes([octet]) for octet in GREETING[:-1])


# What is sent, over how many connections at once, and how many seconds lie between two pieces.
KINDS = {
    "rapid-reset": (rapid_reset, 4, 0),
    "continuation": (lambda: repeated(frame(HEADERS, END_STREAM, 1, GET), frame(CONTINUATION, 0, 1, b"\x20" * 10_000)), 4, 0),
    "settings": (lambda: repeated(b"", frame(SETTINGS, 0, 0, b"\0\x04\0\0\xff\xff")), 4, 0),
    "ping": (lambda: repeated(b"", frame(PING, 0, 0, b"12345678")), 4, 0),
    "empty-data": (lambda: repeated(frame(HEADERS, END_HEADERS, 1, POST), frame(DATA, 0, 1)), 4, 0),
    "window-stall": (stall, 20, 0),
    "half-open": (half, 1000, 0),
    "slow-handshake": (drop_by_drop, 200, 0.1),
}


class Connection:
    """One of the client's, from its first octet to its end."""

    def __init__(self, target: tuple, pieces, now: float):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(target)
        self.pieces, self.left = pieces, b""
        self.made, self.due = now, now
        self.received, self.code, self.resets = b"", None, collections.Counter()
        self.over = False

    def has_more(self) -> bool:
        if not self.left and self.pieces is not None:
            self.left = next(self.pieces, b"")
            if not self.left:
                self.pieces = None
        return bool(self.left)

    def write(self) -> int:
        """Octets that were sent."""
        if not self.has_more():
            return 0
        try:
            count = self.socket.send(self.left)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            # What it says of the end may still be there to read.
            self.pieces, self.left = None, b""
            return 0
        self.left = self.left[count:]
        return count

    def read(self) -> None:
        try:
            piece = self.socket.recv(ROOM)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            piece = b""
        self.over = not piece
        self.received += piece
        while len(self.received) >= 9:
            length, kind = int.from_bytes(self.received[:3], "big"), self.received[3]
            if len(self.received) < 9 + length:
                break
            payload, self.received = self.received[9:9 + length], self.received[9 + length:]
            if kind == GOAWAY:
                self.code = int.from_bytes(payload[4:8], "big")
            elif kind == RST:
                self.resets[int.from_bytes(payload[:4], "big")] += 1


class Client:
    """Keeps as many connections as its kind says, and counts."""

    def __init__(self, kind: str, target: tuple):
        self.kind, self.target = kind, target
        self.pieces, self.count, self.pause = KINDS[kind]
        self.selector, self.live = selectors.DefaultSelector(), set()
        self.made = self.ended = self.sent = 0
        self.codes, self.resets, self.ages = collections.Counter(), collections.Counter(), []

    def turn(self, now: float) -> None:
        # Not all at once: a thousand at a time would measure the backlog.
        for _ in range(min(self.count - len(self.live), 50)):
            connection = Connection(self.target, self.pieces(), now)
            self.selector.register(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)
            self.live.add(connection)
            self.made += 1
        for key, events in self.selector.select(0.01):
            connection = key.data
            if events & selectors.EVENT_READ:
                connection.read()
            if not connection.over and events & selectors.EVENT_WRITE and now >= connection.due:
                self.sent += connection.write()
                connection.due = now + self.pause
            if connection.over:
                self.end(connection, now)
            else:
                self.watch(connection)
        if self.pause:
            for connection in self.live:
                self.watch(connection, connection.due <= now)
            time.sleep(0.01)

    def watch(self, connection: Connection, is_due: bool = True) -> None:
        writes = is_due and (not self.pause or connection.due <= time.monotonic()) and connection.has_more()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if writes else 0)
        if self.selector.get_key(connection.socket).events != wanted:
            self.selector.modify(connection.socket, wanted, connection)

    def end(self, connection: Connection, now: float) -> None:
        self.selector.unregister(connection.socket)
        connection.socket.close()
        self.live.discard(connection)
        self.ended += 1
        if connection.code is not None:
            self.codes[connection.code] += 1
        else:
            self.ages.append(now - connection.made)
        self.resets += connection.resets

    def told(self) -> dict:
        for connection in self.live:
            self.resets += connection.resets
        ages = sorted(self.ages)
        return {"made": self.made, "ended": self.ended, "sent": self.sent, "goaway": dict(self.codes),
                "rst": dict(self.resets), "without_code": len(ages), "oldest_s": round(ages[-1], 2) if ages else None}


def main() -> None:
    host, port = sys.argv[2].rsplit(":", 1)
    client = Client(sys.argv[1], (host, int(port)))
    until = time.monotonic() + float(sys.argv[3])
    while (now := time.monotonic()) < until:
        client.turn(now)
    print(json.dumps(client.told()))


if __name__ == "__main__":
    main()

"""What a responder has to bear."""
import os
import random
import socket
import struct
import time
from pathlib import Path

from .dns_node import Node, dig, short
from .lab import Lab

IDLE = 10_000
SLOW = 500
# Of a good query among broken ones.
TRIES = 20
# Octets of an idle connection, the kernel's aside.
EACH = 8192


def query(name: str, kind: int = 1, number: int = 7, size: int = 0) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    opt = struct.pack(">BHHIH", 0, 41, size, 0, 0) if size else b""
    return struct.pack(">6H", number, 0x100, 1, 0, 0, bool(size)) + labels + b"\0" + struct.pack(">2H", kind, 1) + opt


def resident(node: Node) -> int:
    status = Path(f"/proc/{node.process.process.pid}/status").read_text()
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


def from_address(source: str) -> socket.socket:
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.bind((source, 0))
    asking.settimeout(0.3)
    asking.connect(("127.0.0.2", 53))
    return asking


def run(lab: Lab, place: Path, _args):
    big = " ".join(f'"{n:0250}"' for n in range(6))
    lines = (f"maxconn {IDLE}\ntcp-idle 60s\nallow 127.0.0.1\nforward . 127.0.0.9\nzone a.test\nrecord www A 192.0.2.1\n"
             f"record big TXT {big}\n")
    node = Node(lab, place, lines)
    yield "recursion for who may", "rd ra;" in dig("127.0.0.2", "www.a.test"), ""
    with from_address("127.0.0.77") as stranger:
        stranger.send(query("www.other.test"))
        answer = stranger.recv(2048)
    yield "none for strangers", answer[3] & 15 == 5 and not answer[3] & 0x80, f"code {answer[3] & 15}"
    with from_address("127.0.0.77") as asking:
        asking.send(query("big.a.test", 16, size=4096))
        answer = asking.recv(65535)
    yield "no long answer over UDP", len(answer) <= 1232 and bool(answer[2] & 2), f"{len(answer)} octets, truncated"

    before, held = resident(node), []
    for n in range(IDLE):
        one = socket.socket()
        one.bind((f"127.0.1.{n % 100 + 1}", 0))
        one.connect(("127.0.0.2", 53))
        held.append(one)
    time.sleep(1)
    each = (resident(node) - before) / IDLE
    alive = short("127.0.0.2", "www.a.test") == ["192.0.2.1"]
    yield f"{IDLE} idle connections", alive and each < EACH, f"{each:.0f} octets each, datagrams are answered meanwhile"
    extra = socket.create_connection(("127.0.0.2", 53), timeout=5)
    try:
        closed = extra.recv(1) == b""
    except ConnectionResetError:
        closed = True
    yield "one more is closed", closed, ""
    for one in held:
        one.close()
    node.stop()

    node = Node(lab, place, "tcp-idle 1s\nrate-limit 20\nzone a.test\nrecord www A 192.0.2.1\n")
    before, slow = resident(node), []
    for _ in range(SLOW):
        one = socket.create_connection(("127.0.0.2", 53), timeout=5)
        one.sendall(b"\0")
        slow.append(one)
    ended, deadline = 0, time.monotonic() + 10
    while slow and time.monotonic() < deadline:
        for one in list(slow):
            one.setblocking(False)
            try:
                # A whole message never comes, however long it takes.
                one.send(b"\0")
                if one.recv(1) == b"":
                    raise ConnectionResetError
            except BlockingIOError:
                continue
            except OSError:
                ended += 1
                slow.remove(one)
        time.sleep(0.4)
    each = (resident(node) - before) / SLOW
    yield f"{SLOW} slow writers", ended == SLOW and each < 2 * EACH, f"{ended} given up, {each:.0f} octets each"
    with from_address("127.0.0.88") as flood:
        for number in range(1000):
            flood.send(query("www.a.test", number=number))
        whole = short_ones = 0
        try:
            while answer := flood.recv(2048):
                whole, short_ones = whole + (not answer[2] & 2), short_ones + bool(answer[2] & 2)
        except TimeoutError:
            pass
    yield "a flood is limited", 20 <= whole <= 80 and short_ones <= 500, f"{whole} answers, {short_ones} truncated, of 1000 at 20/s"
    node.stop()


def broken(draw: random.Random, seeds: list[bytes]) -> bytes:
    """A query with some of it changed, cut, repeated or added."""
    octets = bytearray(draw.choice(seeds))
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(octets)) if octets else 0
        what = draw.randrange(6)
        if what == 0 and octets:
            octets[at] ^= 1 << draw.randrange(8)
        elif what == 1 and octets:
            octets[at] = draw.choice((0, 1, 0x3f, 0x40, 0xc0, 0xff, draw.randrange(256)))
        elif what == 2:
            del octets[at:at + draw.randint(1, 8)]
        elif what == 3:
            octets[at:at] = draw.randbytes(draw.randint(1, 16))
        elif what == 4:
            octets += octets[at:at + draw.randint(1, 40)]
        elif len(octets) > 12:
            struct.pack_into(">H", octets, draw.choice((4, 6, 8, 10)), draw.choice((0, 1, 2, 0xffff)))
    return bytes(octets[:4096])


def fuzz(lab: Lab, place: Path, args):
    os.nice(19)
    try:
        Path("/proc/self/autogroup").write_text("19")
    except OSError:
        pass
    lines = ("nsid here\nconsul-domain consul\nforward . 127.0.0.9\nallow 127.0.0.0/8\n"
             "key t hmac-sha256 c2VjcmV0LW9mLXRoZS16b25lcy0wMTIzNDU2Nzg5\ntransfer key t\nzone a.test\nrecord www A 192.0.2.1\n"
             "record *.w A 192.0.2.2\nrecord live service web policy nearest load 80\nrecord c CNAME www\nrecord @ alias www\n")
    node = Node(lab, place, lines)
    draw = random.Random(1)
    ecs = struct.pack(">HHHBB", 8, 7, 1, 24, 0) + b"\x01\x02\x03"
    cookie = struct.pack(">HH", 10, 8) + b"01234567"
    options = struct.pack(">BHHIH", 0, 41, 1232, 0, len(ecs + cookie) + 4) + ecs + cookie + struct.pack(">HH", 3, 0)
    tsig = (b"\x01t\0" + struct.pack(">HHIH", 250, 255, 0, 61) + b"\x0bhmac-sha256\0" + b"\0" * 6 + struct.pack(">HH", 300, 32)
            + b"x" * 32 + struct.pack(">HHH", 7, 0, 0))
    seeds = [query(name, kind, size=size) for name in ("www.a.test", "x.w.a.test", "live.a.test", "a.test", "c.a.test", "web.service.consul")
             for kind in (1, 16, 33, 255, 252) for size in (0, 512, 4096)]
    for plain in seeds[::3]:
        with_one = bytearray(plain)
        with_one[11] = 1
        seeds += [bytes(with_one) + options, bytes(with_one) + tsig]
    asking = from_address("127.0.0.1")
    asking.setblocking(False)
    sent = got = longest = 0
    end, checked, alive, slowest = time.monotonic() + args.seconds, time.monotonic(), True, 0

    def lives() -> bool:
        """It answers one of 20 good queries. What came before them may have filled its buffer, and is worked off meanwhile: none
        follow. Tries are counted, not seconds: both sides may have to wait for a processor, or be stopped."""
        nonlocal slowest
        for n in range(TRIES):
            if short("127.0.0.2", "www.a.test") == ["192.0.2.1"]:
                slowest = max(slowest, n + 1)
                return True
        return False

    while time.monotonic() < end and alive:
        for _ in range(64):
            try:
                asking.send(broken(draw, seeds))
                sent += 1
            except OSError:
                pass
        try:
            while answer := asking.recv(65535):
                got, longest = got + 1, max(longest, len(answer))
        except OSError:
            pass
        if time.monotonic() > checked + 5:
            checked = time.monotonic()
            alive = lives()
    # The same over TCP: each in a connection with its length, right or wrong.
    for _ in range(int(min(2000, args.seconds * 20))):
        message = broken(draw, seeds)
        try:
            with socket.create_connection(("127.0.0.2", 53), timeout=2) as one:
                one.settimeout(0.05)
                one.sendall(struct.pack(">H", len(message) + draw.choice((0, 0, 0, 1, -1)) & 0xffff) + message)
                one.recv(65535)
        except OSError:
            pass
    alive = alive and lives()
    words = node.process.words()
    clean = "failed and goes on" not in words and "panicked" not in words
    told = (f"{sent} broken queries, {got} answers, the longest {longest} octets, a good one at try {slowest} at most"
            + ("" if alive else "; it does not answer") + ("" if clean else f"; {words[-300:]}"))
    yield f"{args.seconds:g} s", alive and clean and longest <= 1232, told
    node.stop()

"""The clients of `scripts/lab storm`: each request has an id of its own, and its response must bear that id throughout."""
import asyncio
import random
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from .storm_origin import pattern

# Seconds after which a request that is neither answered nor closed was forgotten: no origin takes a second, and no timeout
# of the proxy's file is so short that it would end the wait instead.
FORGOTTEN = 15
# What a proxy may answer by itself while servers die.
OWN = {"502", "503", "504"}
ABORTS = ("head", "sent", "body", "response")


class Mixed(Exception):
    """A response is not the one of its request."""


@dataclass
class Plan:
    """A request."""
    name: str
    size: int = 0
    posted: int = 0
    in_chunks: bool = False
    asked: dict[str, int] = field(default_factory=dict)

    def head(self) -> bytes:
        query = "".join(f"&{key}={value}" for key, value in self.asked.items())
        length = ""
        if self.posted:
            length = "Transfer-Encoding: chunked\r\n" if self.in_chunks else f"Content-Length: {self.posted}\r\n"
        return (f"{'POST' if self.posted else 'GET'} /{self.name}?size={self.size}&posted={self.posted}{query} HTTP/1.1\r\n"
                f"Host: storm\r\nX-Id: {self.name}\r\n{length}\r\n").encode()

    def body(self) -> bytes:
        text = pattern("to-" + self.name, self.posted)
        if self.posted and self.in_chunks:
            half = self.posted // 2
            pieces = [piece for piece in (text[:half], text[half:]) if piece]
            return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        return text


class Clients:
    """So many clients at a time, until they are told to stop."""

    def __init__(self, seed: int, targets: list[tuple[str, int]], count: int):
        self.seed, self.targets, self.count = seed, targets, count
        self.counts, self.number, self.stopping = Counter(), 0, False
        self.mixed: list[str] = []
        self.forgotten: list[str] = []
        self.refused: list[str] = []
        self.dropped: list[str] = []
        # Until when the listeners of a frontend are stopped.
        self.paused: dict[str, float] = {}
        self.slowest, self.last_right, self.silence = 0.0, time.monotonic(), 0.0
        self.tasks: list[asyncio.Task] = []

    def start(self) -> None:
        self.stopping, self.last_right = False, time.monotonic()
        rngs = (random.Random(f"{self.seed}/{self.number}/{client}") for client in range(self.count))
        self.tasks = [asyncio.create_task(self.client(rng)) for rng in rngs]

    async def stop(self) -> None:
        self.stopping = True
        for task in self.tasks:
            await task

    async def client(self, rng: random.Random) -> None:
        while not self.stopping:
            connection = Connection(self, rng, *rng.choice(self.targets))
            await connection.run()
            await asyncio.sleep(rng.random() * 0.02)

    def plan(self, rng: random.Random) -> Plan:
        self.number += 1
        size = rng.choice((0, 1, 200, rng.randrange(5_000), rng.randrange(60_000), rng.randrange(200_000)))
        asked = {}
        if rng.random() < 0.3:
            asked["chunked"] = 1
        if rng.random() < 0.3:
            asked["wait"] = rng.randrange(300)
        if rng.random() < 0.15:
            asked["pause"] = rng.randrange(300)
        if rng.random() < 0.05:
            asked["close"] = 1
        posted = rng.choice((1, 300, rng.randrange(1, 100_000))) if rng.random() < 0.25 else 0
        return Plan(f"{self.number:09}", size, posted, rng.random() < 0.4, asked)

    def right(self, began: float) -> None:
        now = time.monotonic()
        self.counts["right"] += 1
        self.slowest = max(self.slowest, now - began)
        self.silence, self.last_right = max(self.silence, now - self.last_right), now


class Connection:
    """A connection of a client, and its requests."""

    def __init__(self, clients: Clients, rng: random.Random, where: str, port: int):
        self.all, self.rng, self.where, self.port = clients, rng, where, port
        self.plan, self.state, self.began, self.begun_at = None, "connecting", time.monotonic(), ""
        self.turns, self.beside, self.half = -1, 0, False

    async def run(self) -> None:
        source = (f"127.0.0.{self.rng.randrange(2, 10)}", 0)
        try:
            async with asyncio.timeout(FORGOTTEN):
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=source)
        except TimeoutError:
            self.forget()
            return
        except OSError as error:
            self.all.counts["refused"] += 1
            if not self.is_paused():
                self.all.refused.append(f"{time.strftime('%T')}: {self.where}: {error}")
            return
        try:
            for _ in range(self.rng.choice((1, 1, 3, 20))):
                if self.all.stopping or not await self.turn():
                    break
        except Mixed as error:
            self.all.mixed.append(f"{self.told()}: {error}")
        except TimeoutError:
            self.forget()
        except (OSError, asyncio.IncompleteReadError) as error:
            self.all.counts["cut" if self.state.startswith("body") else "closed"] += 1
            is_first = self.state == "sent" and self.turns == 0 and self.beside == 0
            if is_first and not self.half and self.where != "t" and not self.is_paused():
                self.all.dropped.append(f"{self.told()}: {error!r}")
        finally:
            self.leave(self.rng.random() < 0.2)

    def is_paused(self) -> bool:
        """Whether the listener was stopped since this began."""
        return self.all.paused.get(self.where, 0) >= self.began

    def told(self) -> str:
        if not self.plan:
            return f"{self.where}, {self.state}"
        return (f"{self.begun_at}: {self.plan} of {self.where} from {self.writer.get_extra_info('sockname')}, {self.turns} turns "
                f"before, {self.beside} beside it, {self.state} after {time.monotonic() - self.began:.3f} s")

    def forget(self) -> None:
        self.all.forgotten.append(f"{time.strftime('%T')}: {self.told()}")

    def leave(self, reset: bool) -> None:
        """Closes, with a reset if so asked."""
        raw = self.writer.get_extra_info("socket")
        if reset and raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def turn(self) -> bool:
        """A request, or some at once; whether the connection can be used again."""
        self.began, self.begun_at, chance = time.monotonic(), datetime.now().strftime("%T.%f"), self.rng.random()
        self.turns += 1
        async with asyncio.timeout(FORGOTTEN):
            if chance < 0.12:
                await self.aborted(self.rng.choice(ABORTS))
                return False
            self.half = half = 0.17 < chance < 0.20
            plans = [self.all.plan(self.rng) for _ in range(self.rng.randrange(2, 5) if chance < 0.17 else 1)]
            self.beside = len(plans) - 1
            for plan in plans:
                self.plan, self.state = plan, "sending"
                self.writer.write(plan.head() + plan.body())
                if len(plans) == 1:
                    await self.writer.drain()
            if half:
                self.writer.write_eof()
            for plan in plans:
                self.plan, self.state = plan, "sent"
                if not await self.response(plan, chance > 0.96, half):
                    return False
                self.all.right(self.began)
        return not plans[-1].asked.get("close") and not half

    async def response(self, plan: Plan, slow: bool = False, half: bool = False, at_most: int | None = None) -> bool:
        """Reads a response; False if it is the proxy's own. Raises what says that it is another's.

        `half` says that nothing follows the request, which may be taken for the end of its client: 400.
        """
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        status = lines[0].split(" ")[1]
        if "x-id" not in fields:
            if status not in OWN and not (status == "400" and half):
                raise Mixed(f"answered {lines}")
            self.all.counts[status] += 1
            return False
        if fields["x-id"] != plan.name or status != "200" or fields["x-posted"] != str(plan.posted):
            raise Mixed(f"got {lines}")
        expected, got = pattern(plan.name, plan.size), 0
        async for piece in self.pieces(fields):
            if piece != expected[got:got + len(piece)]:
                raise Mixed(f"{len(piece)} bytes from {got} on are others: {piece[:60]!r}")
            got += len(piece)
            self.state = f"body {got} of {plan.size}"
            if at_most is not None and got >= at_most:
                return False
            if slow:
                await asyncio.sleep(self.rng.random() * 0.05)
        if got != plan.size:
            raise Mixed(f"{got} of {plan.size} bytes, and yet a whole message")
        self.state = "answered"
        return True

    async def pieces(self, fields: dict[str, str]):
        """The body as it comes."""
        self.state = "body 0"
        if fields.get("transfer-encoding") != "chunked":
            left = int(fields["content-length"])
            while left:
                left -= len(piece := await self.some(left))
                yield piece
            return
        while left := self.size_of(await self.reader.readuntil(b"\r\n")):
            while left:
                left -= len(piece := await self.some(left))
                yield piece
            if await self.reader.readexactly(2) != b"\r\n":
                raise Mixed("a chunk is longer than it says")
        await self.reader.readexactly(2)

    def size_of(self, line: bytes) -> int:
        try:
            return int(line, 16)
        except ValueError:
            raise Mixed(f"a chunk's size is {line[:60]!r}") from None

    async def some(self, left: int) -> bytes:
        piece = await self.reader.read(min(left, 65_536))
        if not piece:
            raise asyncio.IncompleteReadError(piece, left)
        return piece

    async def aborted(self, when: str) -> None:
        """A request that its client gives up at some moment."""
        self.plan = plan = self.all.plan(self.rng)
        if when == "body":
            plan.posted = max(plan.posted, 1000)
        head, body = plan.head(), plan.body()
        sent = {"head": head[:self.rng.randrange(1, len(head) - 1)],
                "body": head + body[:len(body) // 2]}.get(when, head + body)
        self.state = f"abort: {when}"
        self.writer.write(sent)
        if when == "response":
            await self.response(plan, at_most=self.rng.randrange(1, 100_000))
        else:
            await asyncio.sleep(self.rng.choice((0, 0.001, self.rng.random() * 0.3)))
        self.all.counts["aborted"] += 1


async def plain(port: int, count: int) -> Counter:
    """So many requests, half of them at once, that nothing disturbs; how they went."""
    async def one(number: int) -> None:
        clients = Clients(0, [("plain", port)], 0)
        connection = Connection(clients, random.Random(number), "plain", port)
        connection.plan = plan = Plan(f"plain{number:04}", number * 100, number % 3 * 50)
        try:
            async with asyncio.timeout(FORGOTTEN):
                connection.reader, connection.writer = await asyncio.open_connection("127.0.0.1", port)
                connection.writer.write(plan.head() + plan.body())
                good = await connection.response(plan)
            outcomes["200" if good else next(iter(clients.counts))] += 1
            connection.leave(False)
        except (Mixed, TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            outcomes[f"{type(error).__name__}: {error}"] += 1

    outcomes: Counter = Counter()
    for half in range(2):
        await asyncio.gather(*(one(number) for number in range(half * count // 2, (half + 1) * count // 2)))
    return outcomes

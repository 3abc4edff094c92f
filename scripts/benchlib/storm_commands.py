"""What is done to the proxy of `scripts/lab storm` while it carries traffic: runtime commands, reloads, deaths of origins."""
import asyncio
import math
import random
import re
import time
from collections import Counter

BACKENDS = ("b", "c", "t")
FILE_SERVERS = tuple(f"s{number}" for number in range(1, 6))
ADDED_SERVERS = tuple(f"x{number}" for number in range(1, 6))
# Seconds after which a command was forgotten, and a server that is in maintenance must have nothing to do any more.
ANSWER, LEAVE = 10, 25
BUSY = r"Server still has connections attached"
MOVED = r"(IP changed|port changed|nothing changed|no need to change)"
# What an old process answers, or a new one of what its predecessor was told.
FORGOTTEN = ("No such server.", "Already exists a server with the same name in backend.", "Proxy is disabled.",
             "All sockets are already enabled.")
LOOKS = ("show stat", "show servers state", "show table front", "show info", "show servers conn", "show activity")


async def ask(path: str, command: str) -> str:
    """What the command line answers."""
    async with asyncio.timeout(ANSWER):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(f"{command}\n".encode())
            return (await reader.read()).decode()
        finally:
            writer.close()


class Commander:
    """Sends runtime commands by chance, and remembers which servers there have to be."""

    def __init__(self, path: str, seed: int, ports: list[int], keeps: bool, prefix: str, paused: dict[str, float]):
        # `keeps`: a reload keeps what commands did.
        self.path, self.seed, self.ports, self.keeps, self.prefix, self.paused = path, seed, ports, keeps, prefix, paused
        self.servers = {backend: set(FILE_SERVERS) for backend in BACKENDS}
        # Servers that a command of several steps has for itself.
        self.held: set[tuple[str, str]] = set()
        self.counts, self.stopping, self.rounds = Counter(), False, 0
        self.unexpected: list[str] = []
        self.tasks: list[asyncio.Task] = []

    def start(self) -> None:
        self.stopping, self.rounds = False, self.rounds + 1
        self.tasks = [asyncio.create_task(self.work(random.Random(f"{self.seed}/commands/{self.rounds}/{number}")))
                      for number in range(3)]

    async def stop(self) -> None:
        self.stopping = True
        for task in self.tasks:
            await task

    async def tell(self, command: str, expected: str = "", kind: str | None = None) -> str:
        """Sends a command, whose answer has to match."""
        self.counts[kind or " ".join(command.split(" ")[:2])] += 1
        try:
            answer = (await ask(self.path, command)).strip()
        except (TimeoutError, OSError) as error:
            self.unexpected.append(f"{time.strftime('%T')} {command}: {error!r}")
            return ""
        gone = not self.keeps and answer in FORGOTTEN
        if not re.match(expected or "$", answer) and not gone:
            self.unexpected.append(f"{time.strftime('%T')} {command}: {answer[:300]}")
        return answer

    async def work(self, rng: random.Random) -> None:
        kinds = {self.weight: 18, self.state: 30, self.address: 14, self.limit: 5, self.switch: 5, self.health: 3,
                 self.add: 8, self.delete: 8, self.shutdown: 4, self.clear: 2, self.disable: 1, self.look: 4}
        while not self.stopping:
            backend = rng.choice(BACKENDS)
            there = sorted(name for name in self.servers[backend] if (backend, name) not in self.held)
            await rng.choices(list(kinds), list(kinds.values()))[0](rng, backend, rng.choice(there))
            await asyncio.sleep(rng.random() * 0.15)

    async def weight(self, rng: random.Random, backend: str, name: str) -> None:
        await self.tell(f"set server {backend}/{name} weight {rng.choice((0, 1, 1, 10, 50, 256))}", kind="set server weight")

    async def state(self, rng: random.Random, backend: str, name: str) -> None:
        state = rng.choice(("maint", "drain", "ready", "ready", "ready"))
        await self.tell(f"set server {backend}/{name} state {state}", kind=f"set server state {state}")

    async def address(self, rng: random.Random, backend: str, name: str) -> None:
        port = rng.choice(self.ports)
        await self.tell(f"set server {backend}/{name} addr 127.0.0.1 port {port}", MOVED, "set server addr")

    async def limit(self, rng: random.Random, backend: str, name: str) -> None:
        await self.tell(f"set maxconn server {backend}/{name} {rng.choice((1, 2, 8, 20))}")

    async def switch(self, rng: random.Random, backend: str, name: str) -> None:
        await self.for_a_moment(rng, backend, name, "disable server", "enable server")

    async def health(self, rng: random.Random, backend: str, name: str) -> None:
        await self.for_a_moment(rng, backend, name, "disable health", "enable health")

    async def for_a_moment(self, rng: random.Random, backend: str, name: str, first: str, then: str) -> None:
        self.held.add((backend, name))
        await self.tell(f"{first} {backend}/{name}")
        await asyncio.sleep(rng.random() * 0.3)
        await self.tell(f"{then} {backend}/{name}")
        self.held.discard((backend, name))

    async def add(self, rng: random.Random, backend: str, _: str) -> None:
        missing = sorted(set(FILE_SERVERS[-1:] + ADDED_SERVERS) - self.servers[backend]
                         - {name for of, name in self.held if of == backend})
        if not missing:
            return
        name = rng.choice(missing)
        self.held.add((backend, name))
        answer = await self.tell(f"{self.prefix}add server {backend}/{name} 127.0.0.1:{rng.choice(self.ports)} maxconn "
                                 f"{rng.choice((2, 8))} check inter 200ms", "New server registered", "add server")
        self.held.discard((backend, name))
        if "New server" in answer:
            self.servers[backend].add(name)
            await self.tell(f"enable health {backend}/{name}")
            await self.tell(f"set server {backend}/{name} state ready", kind="set server state ready")

    async def delete(self, rng: random.Random, backend: str, name: str) -> None:
        """Takes a server out, for good once it has nothing to do."""
        if name in FILE_SERVERS[:-1] or name in FILE_SERVERS and not self.keeps or (backend, name) in self.held:
            return
        self.held.add((backend, name))
        began = time.monotonic()
        try:
            await self.tell(f"set server {backend}/{name} state maint", kind="set server state maint")
            while time.monotonic() < began + LEAVE:
                answer = await self.tell(f"{self.prefix}del server {backend}/{name}",
                                         f"Server deleted|{BUSY}|Only servers in maintenance", "del server")
                if not re.match(BUSY, answer):
                    # A command that was under way made it ready: it stays.
                    if "Only servers" not in answer:
                        self.servers[backend].discard(name)
                    return
                if rng.random() < 0.05:
                    await self.tell(f"shutdown sessions server {backend}/{name}")
                await asyncio.sleep(rng.random() * 0.3)
            self.unexpected.append(f"{time.strftime('%T')} {backend}/{name} is in use {LEAVE} s after it went into maintenance")
        finally:
            self.held.discard((backend, name))

    async def shutdown(self, rng: random.Random, backend: str, name: str) -> None:
        await self.tell(f"shutdown sessions server {backend}/{name}")

    async def clear(self, rng: random.Random, *_) -> None:
        await self.tell(rng.choice(("clear counters", "clear counters all", "clear table front")))

    async def disable(self, rng: random.Random, *_) -> None:
        await self.pause(rng.choice(("front", "plain")), asyncio.sleep(rng.random() * 0.2))

    async def pause(self, frontend: str, meanwhile) -> None:
        """Something happens while a frontend is disabled."""
        while self.paused.get(frontend) == math.inf:
            await asyncio.sleep(0.01)
        self.paused[frontend] = math.inf
        await self.tell(f"disable frontend {frontend}")
        await meanwhile
        await self.tell(f"enable frontend {frontend}")
        self.paused[frontend] = time.monotonic()

    async def look(self, rng: random.Random, *_) -> None:
        await self.tell(rng.choice(LOOKS), "(?s).+")


class Killer:
    """Kills origins, which come back after a moment."""

    def __init__(self, origins, seed: int):
        self.origins, self.rng, self.stopping, self.kills = origins, random.Random(f"{seed}/kills"), False, 0

    async def work(self) -> None:
        while not self.stopping:
            await asyncio.sleep(0.3 + self.rng.random() * 2)
            port = self.rng.choice(sorted(self.origins.processes))
            self.origins.kill(port)
            self.kills += 1
            await asyncio.sleep(0.2 + self.rng.random() * 1.8)
            self.origins.start(port)

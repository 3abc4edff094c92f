"""Runtime commands, reloads, dying origins and clients under load: nothing lost, stuck, mixed or leaked.

Sixty clients on four workers, over two HTTP listeners and one of TCP. Each request has an id that its response must repeat
in every byte; one in eight is given up in the middle. Meanwhile servers change their weight, state, address and limit, come
and go, frontends are disabled for a moment, the file is changed and read again (while a frontend is disabled, or broken, and
must be refused), and origins are killed. No timeout of the file ends a request's wait before 30 s, so that one which the proxy
forgets shows after 15. When all is calm again, every gauge must be zero, descriptors and memory as they were after a warm-up,
and plain requests must be answered. HAProxy can stand in the proxy's place (`--bin`): its reloads start another process and
forget what commands did, so descriptors, memory and the list of servers are not judged.
"""
import argparse
import asyncio
import csv
import ctypes
import io
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import report
from .lab import PR_SET_PDEATHSIG, Unable
from .proxy import family, version
from .storm_clients import Clients, plain
from .storm_commands import BACKENDS, FILE_SERVERS, MOVED, Commander, Killer, ask

ORIGINS, CLIENTS, PLAIN = 6, 60, 200
WARM_UP, CALM, RELOADED = 30, 15, 10
DESCRIPTORS, GROWTH = 40, 40 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=int, default=600, help="of storm, after a warm-up (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of all choices (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="log each request, and leave the files")


def free_ports(count: int) -> list[int]:
    """Ports below those that the kernel gives to connections: while an origin is dead, nobody else may get its port."""
    found = []
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                found.append(port)
            except OSError:
                continue
        if len(found) == count:
            return found
    raise Unable("there are no free ports from 20000 to 32000")


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Origins:
    """The origins' processes, by port."""

    def __init__(self, ports: list[int], work: Path):
        self.processes: dict[int, subprocess.Popen] = {}
        self.said = work / "origins.log"
        for port in ports:
            self.start(port)

    def start(self, port: int) -> None:
        program = Path(__file__).resolve().with_name("storm_origin.py")
        with self.said.open("a") as said:
            self.processes[port] = subprocess.Popen([sys.executable, str(program), str(port)], stderr=said,
                                                    preexec_fn=die_with_parent)

    def kill(self, port: int) -> None:
        self.processes[port].kill()
        self.processes[port].wait()

    def stop(self) -> None:
        for port in self.processes:
            self.kill(port)


class Subject:
    """The proxy, its file and its reloads."""

    def __init__(self, args: argparse.Namespace, work: Path):
        *self.ports, self.front, self.plain, self.tcp = free_ports(ORIGINS + 3)
        self.file, self.socket, self.log = work / "storm.cfg", str(work / "storm.sock"), work / "proxy.log"
        self.generation, self.rng = 0, random.Random(f"{args.seed}/reloads")
        self.is_logged, self.turns, self.commander = args.keep, 0, None
        self.keeps = "Isobar" in subprocess.run([args.bin, "-vv"], capture_output=True, text=True).stdout
        self.reloads, self.refused, self.failed, self.stopping = 0, 0, [], False
        self.file.write_text(self.text(6, False))
        command = [str(args.bin), *([] if self.keeps else ["-W"]), "-f", str(self.file)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=die_with_parent)

    def text(self, maxconn: int, more: bool) -> str:
        servers = [f"    server {name} 127.0.0.1:{port} maxconn {maxconn if name == 's2' else 8} check inter 200ms"
                   for name, port in zip(FILE_SERVERS + (("s6",) if more else ()), self.ports)]
        abort = "" if not more else "    option abortonclose\n"
        lines = "\n".join(servers)
        log = ("    log stdout format raw local0\n", "    log global\n    option httplog\n") if self.is_logged else ("", "")
        return f"""global
    nbthread 4
    maxconn 2000
    stats socket {self.socket} level admin
    hard-stop-after 30s
{log[0]}
defaults
{log[1]}    mode http
    timeout connect 30s
    timeout client 30s
    timeout server 30s
    timeout queue 30s
    timeout http-keep-alive 5s
    timeout check 1s
    retries 2
    option redispatch

frontend front
    bind 127.0.0.1:{self.front}
    http-request return status 200 content-type text/plain string "{self.generation}" if {{ path /generation }}
    stick-table type ip size 1k store conn_cur,http_req_cnt
    http-request track-sc0 src
    default_backend b

frontend plain
    bind 127.0.0.1:{self.plain}
    tcp-request connection track-sc1 src table front
    default_backend c

backend b
    balance leastconn
    http-reuse always
    option abortonclose
    option httpchk GET /check
{lines}

backend c
    balance roundrobin
    http-reuse always
{abort}{lines}

listen t
    mode tcp
    bind 127.0.0.1:{self.tcp}
    balance leastconn
{lines}
"""

    def pids(self) -> list[int]:
        return family(self.process.pid)

    def descriptors(self) -> int:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids())

    def resident(self) -> int:
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids())
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    async def seen(self) -> str:
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.front)
                writer.write(b"GET /generation HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
                writer.close()
                return answer.decode().rpartition("\r\n")[2]
        except (TimeoutError, OSError) as error:
            return repr(error)

    async def wait_for(self, seconds: float) -> bool:
        """Whether the file of this generation serves within so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            if await self.seen() == str(self.generation):
                return True
            await asyncio.sleep(0.05)
        return False

    async def reload(self, maxconn: int, more: bool) -> None:
        """A good file, which must serve soon."""
        self.generation += 1
        self.file.write_text(self.text(maxconn, more))
        self.process.send_signal(signal.SIGUSR2)
        self.reloads += 1
        if not await self.wait_for(RELOADED):
            self.failed.append(f"{time.strftime('%T')}: file {self.generation} does not serve {RELOADED} s after a reload")

    async def reload_while_paused(self, *file) -> None:
        """A good file while a frontend is disabled, which must stay so, and serve once it is enabled."""
        await self.commander.pause("plain", self.reload(*file))

    async def reload_broken(self, *_) -> None:
        """A broken file, which must be refused and change nothing."""
        good, before = self.file.read_text(), self.log.stat().st_size
        changed = good.replace(f'string "{self.generation}"', 'string "broken"')
        self.file.write_text(changed.replace("    maxconn 2000", "    maxconn 2000\n    nonsense"))
        self.process.send_signal(signal.SIGUSR2)
        await asyncio.sleep(1)
        self.refused += 1
        with self.log.open() as log:
            log.seek(before)
            said = "".join(line for line in log if "storm.cfg" in line)
        if not await self.wait_for(2) or "nonsense" not in said:
            self.failed.append(f"{time.strftime('%T')}: a broken file was not refused: {await self.seen()}, {said!r}")
        self.file.write_text(good)

    async def work(self, pause: float) -> None:
        while not self.stopping:
            until = time.monotonic() + pause * (0.5 + self.rng.random())
            while time.monotonic() < until and not self.stopping:
                await asyncio.sleep(0.1)
            if not self.stopping:
                self.turns += 1
                kinds = (self.reload, self.reload_while_paused, self.reload_broken)
                await kinds[self.turns % len(kinds)](self.rng.randrange(4, 12), self.rng.random() < 0.5)


class Storm:
    def __init__(self, args: argparse.Namespace, work: Path):
        self.args, self.subject = args, Subject(args, work)
        self.origins = Origins(self.subject.ports, work)
        self.clients = Clients(args.seed, [("front", self.subject.front)] * 3 + [("plain", self.subject.plain)] * 2
                               + [("t", self.subject.tcp)], CLIENTS)
        keeps = self.subject.keeps
        self.commander = Commander(self.subject.socket, args.seed, self.subject.ports, keeps,
                                   "" if keeps else "experimental-mode on; ", self.clients.paused)
        self.subject.commander = self.commander
        self.killer = Killer(self.origins, args.seed)

    async def blow(self, seconds: float) -> None:
        """Everything at once for so long, and an end of it."""
        self.killer.stopping = self.subject.stopping = False
        self.clients.start()
        self.commander.start()
        others = [asyncio.create_task(self.killer.work()), asyncio.create_task(self.subject.work(min(20, seconds / 4)))]
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.subject.process.poll() is None:
            await asyncio.sleep(0.2)
        self.killer.stopping = self.subject.stopping = True
        await self.commander.stop()
        await asyncio.gather(*others)
        await self.clients.stop()

    async def rows(self) -> list[dict[str, str]]:
        text = await ask(self.subject.socket, "show stat")
        return list(csv.DictReader(io.StringIO(text.removeprefix("# "))))

    async def make_well(self) -> None:
        """Every server on a living origin, checked and ready."""
        await self.subject.reload(8, False)
        if not self.subject.keeps:
            self.commander.servers = {backend: set(FILE_SERVERS) for backend in BACKENDS}
        for backend in BACKENDS:
            for number, name in enumerate(sorted(self.commander.servers[backend])):
                server, tell = f"{backend}/{name}", self.commander.tell
                port = self.subject.ports[number % ORIGINS]
                await tell(f"set server {server} addr 127.0.0.1 port {port}", MOVED, "set server addr")
                await tell(f"set server {server} weight 1", kind="set server weight")
                await tell(f"set maxconn server {server} 8")
                await tell(f"enable health {server}")
                await tell(f"set server {server} state ready", kind="set server state ready")

    async def unrest(self) -> list[str]:
        """What is not as it is when nothing happens."""
        found, there = [], {backend: set() for backend in BACKENDS}
        for row in await self.rows():
            name = f"{row['pxname']}/{row['svname']}"
            for column in ("scur", "qcur", "used_conn_cur"):
                if row.get(column, "") not in ("", "0"):
                    found.append(f"{name} {column} {row[column]}")
            if row["svname"] not in ("FRONTEND", "BACKEND"):
                there[row["pxname"]].add(row["svname"])
                if row["status"] != "UP":
                    found.append(f"{name} is {row['status']}")
        if there != self.commander.servers:
            found.append(f"servers are {there}, not {self.commander.servers}")
        table = await ask(self.subject.socket, "show table front")
        found += [line for line in table.splitlines()[1:] if line and not ("conn_cur=0" in line and "use=0" in line)]
        lines = (await ask(self.subject.socket, "show info")).splitlines()
        info = dict(line.split(": ", 1) for line in lines if ": " in line)
        found += [f"{name} {info[name]}" for name, most in (("CurrConns", 1), ("PipesUsed", 0)) if int(info.get(name, 0)) > most]
        if len(self.subject.pids()) != self.processes:
            found.append(f"processes {self.subject.pids()}")
        return found

    async def calm(self) -> dict:
        """Waits until nothing happens any more, and looks."""
        await self.make_well()
        deadline = time.monotonic() + CALM + (30 if not self.subject.keeps else 0)
        while (unrest := await self.unrest()) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        outcomes = await plain(self.subject.front, PLAIN) + await plain(self.subject.plain, PLAIN)
        figures, steady = [], 0
        # Idle connections to servers are closed little by little.
        while steady < 6 and len(figures) < 40:
            await asyncio.sleep(1)
            figures.append(self.subject.descriptors())
            steady = steady + 1 if len(figures) > 1 and figures[-1] == figures[-2] else 0
        return {"unrest": unrest, "plain": outcomes, "descriptors": figures[-1], "resident": self.subject.resident()}

    async def run(self) -> bool:
        if not await self.subject.wait_for(10):
            raise Unable(f"the proxy does not start: {self.subject.log.read_text()[-500:]}")
        self.processes = len(self.subject.pids())
        await self.blow(min(WARM_UP, self.args.seconds / 2))
        if self.subject.process.poll() is not None:
            return self.judge({}, {})
        warm = await self.calm()
        print(f"warm     {time.strftime('%T')}", flush=True)
        await self.blow(self.args.seconds)
        return self.judge(warm, await self.calm() if self.subject.process.poll() is None else {})

    def judge(self, warm: dict, calm: dict) -> bool:
        clients, commander, subject = self.clients, self.commander, self.subject
        counts, said = clients.counts, self.origins.said.read_text().splitlines()
        print(f"requests {clients.number}: " + ", ".join(f"{number} {what}" for what, number in counts.most_common())
              + f"; the slowest right answer took {clients.slowest:.1f} s, the longest time without one {clients.silence:.1f} s")
        print(f"commands {sum(commander.counts.values())}: "
              + ", ".join(f"{number} {what}" for what, number in sorted(commander.counts.items())))
        print(f"reloads  {subject.reloads}, and {subject.refused} of a broken file; kills {self.killer.kills}\n")

        def some(lines: list[str]) -> str:
            with self.origins.said.with_name("failures").open("a") as file:
                file.writelines(line + "\n" for line in lines)
            return f"{len(lines)}" + "".join(f"\n      {line}" for line in lines[:12])

        status = subject.process.poll()
        good = [report.verdict("process", status is None, "runs" if status is None else f"ended with status {status}")]
        good.append(report.verdict("answers", counts["right"] > clients.number / 2,
                                   f"{counts['right']} of {clients.number} right"))
        good.append(report.verdict("forgotten", not clients.forgotten, some(clients.forgotten)))
        good.append(report.verdict("mixed", not clients.mixed and not said, some(clients.mixed + said)))
        good.append(report.verdict("refused", not clients.refused,
                                   f"connections, while nobody stopped listeners: {some(clients.refused)}"))
        good.append(report.verdict("dropped", not clients.dropped, f"first requests, without a word: {some(clients.dropped)}"))
        good.append(report.verdict("commands", not commander.unexpected, f"unexpected: {some(commander.unexpected)}"))
        good.append(report.verdict("reloads", not subject.failed, f"failed: {some(subject.failed)}"))
        for name, figures in (("warm-up", warm), ("end", calm)):
            if figures:
                good.append(report.verdict(f"{name} zero", not figures["unrest"], f"not at rest: {some(figures['unrest'])}"))
                good.append(report.verdict(f"{name} plain", figures["plain"] == {"200": 2 * PLAIN}, f"{dict(figures['plain'])}"))
        if warm and calm and subject.keeps:
            more = calm["descriptors"] - warm["descriptors"]
            good.append(report.verdict("descriptors", more <= DESCRIPTORS, f"{warm['descriptors']} after the warm-up, "
                                       f"{calm['descriptors']} at the end"))
            grown = calm["resident"] - warm["resident"]
            good.append(report.verdict("memory", grown <= GROWTH, f"{warm['resident'] / 2**20:.1f} MiB after the warm-up, "
                                       f"{calm['resident'] / 2**20:.1f} at the end; bar {GROWTH >> 20} more"))
        return bool(calm) and all(one["pass"] for one in good)


def run(args: argparse.Namespace) -> int:
    work = Path(tempfile.mkdtemp(prefix="isobar-storm-"))
    print(f"proxy    {args.bin}: {version(args.bin)}\nseed     {args.seed}, {args.seconds} s, files in {work}", flush=True)
    storm = None
    try:
        storm = Storm(args, work)
        return 0 if asyncio.run(storm.run()) else 1
    except (Unable, OSError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    finally:
        if storm:
            storm.origins.stop()
            storm.subject.process.terminate()
            try:
                storm.subject.process.wait(10)
            except subprocess.TimeoutExpired:
                storm.subject.process.kill()
        if not args.keep:
            shutil.rmtree(work, ignore_errors=True)

"""An API that is abused: silent connections, slow readers of large answers, slow writers.

Three members on loopback carry proxied traffic at a fixed rate through the one that leads, first in quiet, then while its
API has to bear 15,000 silent connections, 1,000 readers of a large answer that take 4 kB a second, and 1,000 writers
that give half a kB a second of a head or a body; all that with 1,024 and with 18,000 descriptors. A connection that the
API ends is made again. The bars: p99 of the proxied requests at most twice that of quiet; the process grows by no more
than the entry of `http-api` says; term, leader and liveness stay as they were, and writes through another member go
through. A second proxy, which has no API, is measured at the same time: when it suffers as much, it is the machine.
"""
import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from . import lab as place
from . import report
from .load import Client, Origin
from .proxy import Proxy, Side, config, version
from .region import ALL_CPUS, NODES, Cluster

CONNECTIONS = 32
# What the entry of `http-api` says.
BODIES, HEADS, ANSWERS, EACH = 64 << 20, 64 << 20, 256 << 20, 128_000
PART, LEAST, MOST = 8, 32, 16_384
# The large answer: keys, and bytes of each.
KEYS, VALUE = 48, 256 << 10
CROWD = Path(__file__).resolve().parent / "api_clients.py"
# Seconds until all clients are there, at most; a while after that; and until they are gone.
RAMP, SETTLE, CALM = 90, 3, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limits", default="1024,18000", metavar="N,N", help="ulimit -n (default: %(default)s)")
    parser.add_argument("--kinds", default="silent,readers,writers", metavar="KIND,KIND", help="default: %(default)s")
    parser.add_argument("--silent", type=int, default=15_000, help="silent connections (default: %(default)s)")
    parser.add_argument("--readers", type=int, default=1_000, help="slow readers (default: %(default)s)")
    parser.add_argument("--writers", type=int, default=1_000, help="slow writers (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=1_000, help="proxied requests a second (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="windows of each kind (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=4, help="of a window (default: %(default)s)")
    parser.add_argument("--bar", type=float, default=2.0, help="the most p99 may be of that in quiet (default: %(default)s)")
    parser.add_argument("--load", type=Path, metavar="PATH", help="the load generator (default: built for release)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="all figures")


def ask(address: str, method: str = "GET", body: bytes | None = None, within: float = 10) -> bytes:
    request = urllib.request.Request(f"http://{address}", body, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=within) as answer:
        return answer.read()


class Members(Cluster):
    """Three members with so many descriptors, each of which is a proxy too."""

    def __init__(self, lab: place.Lab, side: Side, origin: int, descriptors: int):
        self.origin, self.descriptors = origin, descriptors
        self.proxies = [lab.port() for _ in range(NODES)]
        super().__init__(lab, f"abuse-{descriptors}", side)

    def isobar(self, side: Side, node: int) -> list:
        command = super().isobar(side, node)
        proxy = (f"\ndefaults\n    mode http\n    timeout connect 5s\n    timeout client 1m\n    timeout server 1m\n\n"
                 f"frontend bench\n    bind 127.0.0.1:{self.proxies[node]}\n    default_backend origin\n\n"
                 f"backend origin\n    server s 127.0.0.1:{self.origin}\n")
        with (self.data / f"{node}.cfg").open("a") as file:
            file.write(proxy)
        return ["prlimit", f"--nofile={self.descriptors}:{self.descriptors}", *command]

    def leader(self) -> int:
        told = json.loads(ask(f"127.0.0.1:{self.apis[0]}/v1/status/leader"))
        return self.peers.index(int(told.rsplit(":", 1)[1]))

    def fill(self) -> None:
        for number in range(KEYS):
            ask(f"127.0.0.1:{self.apis[0]}/v1/kv/big/{number}", "PUT", bytes([97 + number % 26]) * VALUE, 30)

    def standing(self, node: int) -> dict:
        """What must not move, as a member that is left alone knows it."""
        api = f"127.0.0.1:{self.apis[node]}"
        gauges = json.loads(ask(f"{api}/v1/agent/metrics"))["Gauges"]
        checks = json.loads(ask(f"{api}/v1/health/state/any?stale"))
        return {"term": next(one["Value"] for one in gauges if one["Name"] == "consul.raft.term"),
                "leader": json.loads(ask(f"{api}/v1/status/leader")),
                "liveness": {one["Node"]: (one["Status"], one["ModifyIndex"])
                             for one in checks if one["CheckID"] == "serfHealth"}}


class Watcher(threading.Thread):
    """Looks at a process twice a second, and writes through another member ten times a second."""

    def __init__(self, pid: int, api: int):
        super().__init__(daemon=True)
        self.pid, self.api, self.over = pid, api, threading.Event()
        self.resident, self.descriptors, self.writes, self.failed = 0, 0, [], []
        self.start()

    def run(self) -> None:
        looks = 0
        while not self.over.wait(0.1):
            looks += 1
            if looks % 5 == 0:
                self.resident = max(self.resident, resident(self.pid))
                self.descriptors = max(self.descriptors, len(list(Path(f"/proc/{self.pid}/fd").iterdir())))
            began = time.monotonic()
            try:
                ask(f"127.0.0.1:{self.api}/v1/kv/watch", "PUT", str(looks).encode())
                self.writes.append(time.monotonic() - began)
            except OSError as error:
                self.failed.append(str(error))

    def finish(self) -> None:
        self.over.set()
        self.join()


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


@dataclass
class Windows:
    """p99 in microseconds, window by window, of the proxy under abuse and of the one beside it."""
    proxy: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    failed: int = 0
    unsent: int = 0


def measure(lab: place.Lab, args: argparse.Namespace, proxy: str, beside: str, into: Windows) -> None:
    words = ("--conns", CONNECTIONS, "--rate", args.rate, "--warmup", 0.5, "--duration", args.seconds)
    clients = [Client(lab, "http", target, *words, cpus=ALL_CPUS) for target in (proxy, beside)]
    for client, figures in zip(clients, (into.proxy, into.beside)):
        told = client.finish(args.seconds + 90)
        figures.append(told["latency_us"]["p99"])
        into.failed += told["failed"]
        into.unsent += told["unsent"]


class Crowd:
    """The clients of one kind, until they are ended."""

    def __init__(self, lab: place.Lab, kind: str, api: int, count: int):
        self.lab, self.last = lab, {}
        # They stand for other hosts, whose processors the members and the proxies do not share.
        self.process = lab.spawn(["nice", "-n", "19", sys.executable, CROWD, kind, f"127.0.0.1:{api}", count], set(ALL_CPUS),
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        for line in self.process.stdout:
            self.last = json.loads(line)

    def wait(self, count: int) -> None:
        deadline = time.monotonic() + RAMP
        while self.last.get("made", 0) < count and time.monotonic() < deadline:
            time.sleep(0.5)
        time.sleep(SETTLE)

    def stop(self) -> None:
        if self.process.poll() is not None:
            raise place.Unable(f"the clients ended with status {self.process.returncode}")
        self.process.stdin.close()
        self.process.stdin = None
        self.process.wait(30)


def trial(lab: place.Lab, args: argparse.Namespace, members: Members, beside: Proxy, kind: str) -> list[dict]:
    """One kind of abuse of the leader, and its verdicts."""
    leader = members.leader()
    other = (leader + 1) % NODES
    pid, name = members.processes[leader].pid, f"{members.descriptors} {kind}"
    proxy = f"127.0.0.1:{members.proxies[leader]}"
    quiet, abused = Windows(), Windows()
    for _ in range(args.rounds):
        measure(lab, args, proxy, beside.target, quiet)
    before, standing = resident(pid), members.standing(other)
    crowd, watcher = Crowd(lab, kind, members.apis[leader], getattr(args, kind)), Watcher(pid, members.apis[other])
    crowd.wait(getattr(args, kind))
    for _ in range(args.rounds):
        measure(lab, args, proxy, beside.target, abused)
    told = crowd.last
    crowd.stop()
    watcher.finish()
    after = members.standing(other)
    time.sleep(CALM)
    return verdicts(args, members, name, (quiet, abused), (watcher, before), (standing, after), told)


def verdicts(args: argparse.Namespace, members: Members, name: str, windows: tuple[Windows, Windows],
             watched: tuple[Watcher, int], standings: tuple[dict, dict], told: dict) -> list[dict]:
    (quiet, abused), (watcher, before), (standing, after) = windows, watched, standings
    connections = min(max(members.descriptors // PART, LEAST), MOST)
    bound = BODIES + HEADS + ANSWERS + EACH * connections
    ratios = {side: statistics.median(getattr(abused, side)) / statistics.median(getattr(quiet, side))
              for side in ("proxy", "beside")}
    spread = max(quiet.proxy) / min(quiet.proxy)
    lost = abused.failed + quiet.failed
    slowest = max(watcher.writes, default=float("inf")) * 1000
    print(f"\n{name}: {json.dumps(told)}")
    p99 = report.verdict(
        f"{name} p99", ratios["proxy"] <= args.bar and lost == 0,
        f"{statistics.median(quiet.proxy):.0f} us in quiet, {statistics.median(abused.proxy):.0f} us abused: "
        f"{ratios['proxy']:.2f} times, bar {args.bar:g}; a proxy beside it {ratios['beside']:.2f} times; quiet windows "
        f"spread {spread:.2f}; {lost} requests failed, {abused.unsent} unsent"
        + ("; NOISY" if ratios["beside"] > args.bar or spread > args.bar else ""))
    memory = report.verdict(
        f"{name} memory", watcher.resident - before <= bound,
        f"{before / 2**20:.0f} MiB before, at most {watcher.resident / 2**20:.0f} MiB: {(watcher.resident - before) / 2**20:.0f} "
        f"MiB more, bound {bound / 2**20:.0f}; {watcher.descriptors} of {members.descriptors} descriptors")
    calm = standing == after and not watcher.failed and len(watcher.writes) > 0
    moved = "" if standing == after else f"; it was {standing}, it is {after}"
    raft = report.verdict(
        f"{name} raft", calm,
        f"term {after['term']}, leader and liveness {'as before' if standing == after else 'MOVED'}; {len(watcher.writes)} writes "
        f"through another member, the slowest {slowest:.0f} ms, {len(watcher.failed)} failed{moved}")
    for verdict, figures in zip((p99, memory, raft), ({"quiet": vars(quiet), "abused": vars(abused)}, {
            "before": before, "most": watcher.resident, "descriptors": watcher.descriptors}, {"slowest_ms": slowest})):
        verdict["figures"] = figures
    return [p99, memory, raft]


def table(all_verdicts: list[dict]) -> None:
    print(f"\n{'descriptors':>11} {'kind':8} {'p99':>5} {'memory':>7} {'raft':>5}")
    rows: dict[str, list[str]] = {}
    for one in all_verdicts:
        key, _ = one["name"].rsplit(" ", 1)
        rows.setdefault(key, []).append("PASS" if one["pass"] else "FAIL")
    for key, cells in rows.items():
        descriptors, kind = key.split(" ")
        print(f"{descriptors:>11} {kind:8} {cells[0]:>5} {cells[1]:>7} {cells[2]:>5}")


def run(args: argparse.Namespace) -> int:
    place.enter_namespace()
    root, side = Path(__file__).resolve().parent.parent.parent, Side("isobar", args.bin)
    found = []
    try:
        with place.Lab(root, 0) as lab:
            if not shutil.which("prlimit"):
                raise place.Unable("prlimit (util-linux) is needed")
            if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < max(args.silent + 1_000, *map(int, args.limits.split(","))):
                raise place.Unable("the hard limit of descriptors is too low for as many connections")
            if args.load:
                lab.load_bin = args.load.resolve()
            else:
                lab.prepare(args.bin, args.bin)
            print(f"isobar   {args.bin}: {version(args.bin)}\nmachine  {lab.describe()['cpu']}, {lab.describe()['cpus']} CPUs, load "
                  f"average {lab.describe()['load_average']:.2f}; {args.rounds} windows of {args.seconds:g} s, "
                  f"{args.rate} requests/s on {CONNECTIONS} connections")
            origin = Origin(lab, cpus=ALL_CPUS)
            port = lab.port()
            beside = Proxy(lab, "abuse-beside", side, config("http", port, origin.http), port, ALL_CPUS)
            for descriptors in map(int, args.limits.split(",")):
                members = Members(lab, side, origin.http[0], descriptors)
                try:
                    members.fill()
                    for kind in args.kinds.split(","):
                        found += trial(lab, args, members, beside, kind)
                finally:
                    members.stop()
    except (place.Unable, OSError, subprocess.SubprocessError, json.JSONDecodeError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    table(found)
    report.write_json(args.json, {"part": "abuse", "verdicts": found})
    return 0 if all(one["pass"] for one in found) else 1

"""What rules, many rules and large maps cost a request beside HAProxy.

All sides read the same files and meet 64 keep-alive connections, one worker on CPU 0, the load on CPU 1, in short windows
in turn (A B A', then A' B A). A figure is CPU per request; the figure of an addition is the difference of two files that
differ in nothing else.

  site      12 ACLs, 6 rewrites, a map of 10,000 hosts, captures, httplog to a socket: CPU of Isobar over HAProxy's
  hosts     1,000 lines 'use_backend X if { hdr(host) ... }' of which none applies: what they add to a request
  strings   a map of 1,000,000 strings, asked for one of them at random: what the lookup adds, the time to load it, bytes
            an entry, and the time of one change by the runtime API
  networks  the same with 1,000,000 networks of 8 to 32 bits
  sticky    the site with a stick table that tracks each client and its rate, and a cookie that binds it to its server:
            CPU of Isobar over HAProxy's; then four workers on the same CPU over one, and what the table counted of them
"""
import argparse
import random
import socket
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from . import report
from .compare import ORDERS, SIDES, stopping
from .instructions import ACLS
from .lab import Lab
from .load import Client, Origin, Sink
from .proxy import Proxy, about, config, sides
from .rows import CONNS

ROWS = ("site", "hosts", "strings", "networks", "sticky")
# The most that Isobar may take of what HAProxy takes.
SITE_BAR, HOSTS_BAR, LOOKUP_BAR, LOAD_BAR, BYTES_BAR, CHANGE_MS = 0.70, 0.02, 0.4, 0.5, 0.5, 1.0
STICKY_BAR = 0.72
# The most that four workers may take of what one takes.
FOUR_BAR = 1.1
ENTRIES = 1_000_000
# Of each proxy with a large map.
STARTS = 5
REWRITES = (
    "http-request set-header X-Forwarded-Proto http",
    "http-request set-header X-Real-IP %[src]",
    "http-request replace-path /old/(.*) /new/\\1",
    "http-request set-header X-Request-Path %[path]",
    "http-response set-header X-Frame-Options DENY",
    "http-response del-header Server",
)
TRACKED = (
    "stick-table type ip size 100k expire 10m store gpc0,http_req_cnt,http_req_rate(10s)",
    "http-request track-sc0 src",
    "http-request deny if { sc_http_req_rate(0) gt 100000000 }",
)
# So many requests are counted one by one.
COUNTED = 20_000
CAPTURES = ("capture request header Host len 64", "capture request header User-Agent len 64",
            "capture response header Content-Length len 10")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", default=",".join(ROWS), metavar="A,B", help="rows to run (default: all: %(default)s)")
    parser.add_argument("--rounds", type=int, help="rounds of windows (default 6; --quick: 2)")
    parser.add_argument("--window", type=float, help="seconds per window (default 0.7; --quick: 0.4)")
    parser.add_argument("--entries", type=int, default=ENTRIES, help="of the large maps (default: %(default)s)")


class Files:
    """What the rows' maps hold; made once."""

    def __init__(self, lab: Lab, entries: int):
        self.lab, self.entries = lab, entries

    def hosts(self) -> Path:
        lines = (f"h{i}.bench.example be{i % 7}\n" for i in range(10_000))
        return self.write("hosts.map", ["bench.test origin\n", *lines])

    def strings(self) -> Path:
        return self.write("strings.map", (f"{i}.customers.example value-{i % 1000}\n" for i in range(self.entries)))

    def networks(self) -> Path:
        draw = random.Random(7)
        found = set()
        while len(found) < self.entries:
            bits = draw.choice((8, 12, 16, 20, 22, 24, 24, 24, 26, 28, 30, 32, 32))
            found.add((draw.getrandbits(32) >> (32 - bits) << (32 - bits), bits))
        text = (f"{a >> 24}.{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}/{bits} net-{bits}\n" for a, bits in sorted(found))
        return self.write("networks.map", text)

    def write(self, name: str, lines) -> Path:
        path = self.lab.work / name
        with path.open("w") as file:
            file.writelines(lines)
        return path


@dataclass(frozen=True)
class Text:
    """A configuration: lines of its frontend, of its defaults, words of its server, and workers."""
    front: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    server: str = ""
    threads: int = 1


class Side:
    """A proxy on each of some texts."""

    def __init__(self, bench: "Bench", side: str, described, texts: dict[str, Text], log: bool, stack: ExitStack):
        self.bench, self.proxies, self.ready = bench, {}, {}
        sink = stack.enter_context(stopping(Sink(bench.lab, bench.lab.work / f"{side}.sock"))) if log else None
        for key, told in texts.items():
            port, self.socket = bench.lab.port(), bench.lab.work / f"{side}-{key}.stats"
            text = config("http", port, [bench.origin.http[0]], front=told.front, log=sink.path if sink else None,
                          options=(*told.options, *(("option httplog",) if log else ())), server=told.server,
                          threads=told.threads, extra_global=(f"stats socket {self.socket} level admin",))
            began = time.monotonic()
            self.proxies[key] = stack.enter_context(stopping(Proxy(bench.lab, f"{side}-{key}", described, text, port)))
            self.ready[key] = time.monotonic() - began

    def window(self, key: str, seconds: float) -> float:
        """Microseconds of CPU a request."""
        proxy = self.proxies[key]
        told = Client(self.bench.lab, "http", proxy.target, "--conns", CONNS, "--warmup", 0.15, "--duration", seconds,
                      "--path", "/128", pids=proxy.pids()).finish(timeout=seconds + 60)
        self.bench.failed += told["failed"]
        return told["cpu_ns"] / max(told["requests"], 1) / 1000

    def counted(self, key: str) -> int:
        """How many of COUNTED requests its stick table has counted. Asks the proxy that was started last."""
        before = self.in_table()
        told = Client(self.bench.lab, "http", self.proxies[key].target, "--conns", CONNS, "--requests", COUNTED,
                      "--path", "/128").finish(timeout=60)
        self.bench.failed += told["failed"]
        assert told["total_requests"] == COUNTED, told
        return self.in_table() - before

    def in_table(self) -> int:
        lines = self.ask("show table bench").splitlines()
        words = [word for line in lines for word in line.split() if word.startswith("http_req_cnt=")]
        return sum(int(word.split("=")[1]) for word in words)

    def ask(self, line: str) -> str:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.socket))
            s.sendall(line.encode() + b"\n")
            return s.makefile().read()

    def change_ms(self, name: Path, key: str) -> float:
        """The median time of a change of one entry."""
        took = []
        for i in range(50):
            began = time.monotonic()
            answer = self.ask(f"set map {name} {key} changed-{i}")
            took.append((time.monotonic() - began) * 1000)
            assert not answer.strip(), answer
        return statistics.median(took)


class Bench:
    def __init__(self, lab: Lab, args: argparse.Namespace, origin: Origin):
        self.lab, self.args, self.origin, self.failed = lab, args, origin, 0
        self.rounds = args.rounds or (2 if args.quick else 6)
        self.seconds = args.window or (0.4 if args.quick else 0.7)

    def started(self, texts: dict[str, Text], stack: ExitStack, log: bool = False) -> dict[str, Side]:
        return {side: Side(self, side, described, texts, log, stack) for side, described in sides(self.args).items()}

    def measured(self, running: dict[str, Side], keys: list[str]) -> dict[str, dict[str, float]]:
        """CPU a request by side and text: the median of all rounds."""
        found = {side: {key: [] for key in keys} for side in SIDES}
        for number in range(self.rounds):
            for side in ORDERS[number % 2]:
                for key in keys:
                    found[side][key].append(running[side].window(key, self.seconds))
        return {side: {key: statistics.median(of_side[key]) for key in keys} for side, of_side in found.items()}


def both(figures: dict[str, float]) -> float:
    """HAProxy's figure: the mean of both of it."""
    return (figures["haproxy"] + figures["control"]) / 2


def judged(name: str, ours: float, theirs: float, bar: float, unit: str) -> dict:
    ratio = ours / theirs if theirs > 0 else float("inf")
    return report.verdict(name, ratio <= bar, f"{ours:.2f} beside {theirs:.2f} {unit}: {ratio:.3f}, bar {bar:.2f}")


def of_site(files: Files) -> tuple[str, ...]:
    return (*CAPTURES, *ACLS, *REWRITES, f"use_backend %[req.hdr(host),field(1,:),lower,map({files.hosts()},origin)]")


def site(bench: Bench, files: Files) -> list[dict]:
    with ExitStack() as stack:
        figures = bench.measured(bench.started({"site": Text(of_site(files))}, stack, log=True), ["site"])
    us = {side: of_side["site"] for side, of_side in figures.items()}
    print(f"      HAProxy beside itself: {us['control'] / us['haproxy']:.3f}")
    return [judged("site", us["isobar"], both(us), SITE_BAR, "us a request")]


def sticky(bench: Bench, files: Files) -> list[dict]:
    keeps = {"options": ("cookie SRV insert indirect nocache",), "server": "cookie s1"}
    front = (*TRACKED, *of_site(files))
    texts = {"one": Text(front, **keeps), "four": Text(front, threads=4, **keeps)}
    with ExitStack() as stack:
        running = bench.started(texts, stack, log=True)
        figures = bench.measured(running, list(texts))
        counted = running["isobar"].counted("four")
    one, four = ({side: of_side[key] for side, of_side in figures.items()} for key in texts)
    print(f"      HAProxy beside itself: {one['control'] / one['haproxy']:.3f}; "
          f"with four workers: {both(four) / both(one):.3f} of its cost with one")
    return [
        judged("sticky", one["isobar"], both(one), STICKY_BAR, "us a request"),
        judged("sticky, four workers", four["isobar"], one["isobar"], FOUR_BAR, "us a request with one"),
        report.verdict("sticky, counts", counted == COUNTED, f"{counted} of {COUNTED} requests are in the table"),
    ]


def hosts(bench: Bench, _: Files) -> list[dict]:
    rules = tuple(f"use_backend origin if {{ hdr(host) -i h{i}.bench.example }}" for i in range(1000))
    with ExitStack() as stack:
        figures = bench.measured(bench.started({"none": Text(), "rules": Text(rules)}, stack), ["none", "rules"])
    added = {side: of_side["rules"] - of_side["none"] for side, of_side in figures.items()}
    return [judged("hosts", max(added["isobar"], 0), both(added), HOSTS_BAR, "us that 1,000 rules add")]


def loading(running: dict) -> dict[str, float]:
    """What the map adds to a start."""
    return {side: of.ready["map"] - of.ready["none"] for side, of in running.items()}


def large(bench: Bench, name: str, path: Path, sample: str, method: str, key: str) -> list[dict]:
    header = "http-request set-header X-Found"
    values = {"none": sample, "map": f"{sample},{method}({path},none)"}
    texts = {name: Text((f"{header} %[{value}]",)) for name, value in values.items()}
    # The first to use memory of the machine waits for it, whoever that is: a start is the median of several.
    loads = []
    for _ in range(STARTS - 1):
        with ExitStack() as stack:
            loads.append(loading(bench.started(texts, stack)))
    with ExitStack() as stack:
        running = bench.started(texts, stack)
        loads.append(loading(running))
        figures = bench.measured(running, list(texts))
        rss = {side: of.proxies["map"].rss_bytes() - of.proxies["none"].rss_bytes() for side, of in running.items()}
        change_ms = running["isobar"].change_ms(path, key)
    added = {side: of_side["map"] - of_side["none"] for side, of_side in figures.items()}
    load = {side: statistics.median(one[side] for one in loads) for side in running}
    each = {side: bytes_ / bench.args.entries for side, bytes_ in rss.items()}
    return [
        judged(f"{name} lookup", max(added["isobar"], 0), both(added), LOOKUP_BAR, "us that a lookup adds"),
        judged(f"{name} load", load["isobar"], both(load), LOAD_BAR, "s to load"),
        judged(f"{name} memory", each["isobar"], both(each), BYTES_BAR, "bytes an entry"),
        report.verdict(f"{name} change", change_ms < CHANGE_MS, f"{change_ms:.2f} ms, bar {CHANGE_MS:g} ms"),
    ]


def strings(bench: Bench, files: Files) -> list[dict]:
    sample = f"rand({bench.args.entries}),concat(.customers.example)"
    return large(bench, "strings", files.strings(), sample, "map_str", "77.customers.example")


def networks(bench: Bench, files: Files) -> list[dict]:
    path = files.networks()
    key = path.read_text().split(" ", 1)[0]
    return large(bench, "networks", path, "rand(2147483647),mul(2)", "map_ip", key)


def run(lab: Lab, args: argparse.Namespace) -> int:
    wanted = [row for row in args.rows.split(",") if row]
    unknown = [row for row in wanted if row not in ROWS]
    if unknown:
        print(f"no row {', '.join(unknown)}; rows are {', '.join(ROWS)}")
        return 2
    described = about(lab, args)
    report.heading(described)
    verdicts = []
    with stopping(Origin(lab)) as origin:
        bench, files = Bench(lab, args, origin), Files(lab, args.entries)
        for row in wanted:
            verdicts += globals()[row](bench, files)
    if bench.failed:
        verdicts.append(report.verdict("requests", False, f"{bench.failed} failed"))
    report.write_json(args.json, {"part": "rules", "about": described, "verdicts": verdicts})
    return 0 if all(verdict["pass"] for verdict in verdicts) else 1
